//! What the demo's agents call: a model, whose answers come in streams, and a tool by MCP that pays orders and keeps a ledger of what
//! it has paid. A payment with a key that it knows is answered, and not paid again.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::http::{self, Message};

/// Where models are asked.
pub(super) const CHAT: &str = "/v1/chat/completions";

/// Where tools are called.
pub(super) const TOOLS: &str = "/mcp";

/// Where the ledger is.
pub(super) const LEDGER: &str = "/ledger";

/// What the model says, in pieces.
pub(super) const SAYS: [&str; 4] = ["All is ", "well, but ", "one test ", "fails."];

/// Between two pieces.
const PAUSE: Duration = Duration::from_millis(20);

/// Payments by order, and the keys that were seen.
#[derive(Default)]
struct Ledger {
    paid: BTreeMap<String, u64>,
    keys: BTreeSet<String>,
}

/// Serves until the process ends; says where first.
pub(in crate::cli::demo) fn serve(say: impl FnOnce(&str) -> io::Result<()>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    say(&listener.local_addr()?.to_string())?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    loop {
        let (connection, _) = listener.accept()?;
        let ledger = Arc::clone(&ledger);
        thread::spawn(move || {
            // A client that breaks off is the client's affair.
            let _ = answer(&connection, &ledger);
        });
    }
}

fn answer(connection: &TcpStream, ledger: &Mutex<Ledger>) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let request = http::read(connection)?;
    let path = request.first.split(' ').nth(1).unwrap_or_default();
    match path {
        CHAT => stream(connection),
        TOOLS => document(connection, &called(&request, ledger)),
        LEDGER => {
            let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            document(connection, &json!(ledger.paid))
        }
        _ => Ok(()),
    }
}

fn document(mut connection: &TcpStream, value: &Value) -> io::Result<()> {
    let body = value.to_string();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    connection.write_all(text.as_bytes())
}

fn stream(mut connection: &TcpStream) -> io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes())?;
    let piece = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let piece = json!({"id": "c-1", "object": "chat.completion.chunk", "model": "demo", "choices": [choice]});
        format!("data: {piece}\n\n")
    };
    let words = SAYS.map(|word| piece(json!({ "content": word }), Value::Null));
    let last = [piece(json!({}), json!("stop")), "data: [DONE]\n\n".into()];
    for text in words.into_iter().chain(last) {
        thread::sleep(PAUSE);
        write!(connection, "{:x}\r\n{text}\r\n", text.len())?;
    }
    connection.write_all(b"0\r\n\r\n")
}

/// Pays an order, but for one whose key is known.
fn called(request: &Message, ledger: &Mutex<Ledger>) -> Value {
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let order = asked["params"]["arguments"]["order"].as_str();
    let order = order.unwrap_or_default().to_owned();
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let key = request.header("idempotency-key");
    let is_new = key.is_none_or(|key| ledger.keys.insert(key.to_owned()));
    if is_new {
        *ledger.paid.entry(order.clone()).or_default() += 1;
    }
    let text = format!("order {order} is paid");
    json!({"jsonrpc": "2.0", "id": asked["id"], "result": {
        "content": [{"type": "text", "text": text}], "isError": false,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pay(order: &str, key: Option<&str>) -> Message {
        let call = json!({"id": 1, "params": {"arguments": {"order": order}}});
        let key = key.map(|key| ("idempotency-key".to_owned(), key.to_owned()));
        Message {
            headers: key.into_iter().collect(),
            body: call.to_string().into_bytes(),
            ..Message::default()
        }
    }

    #[test]
    fn what_has_a_key_is_paid_once() {
        let ledger = Mutex::default();
        for request in [
            pay("a", None),
            pay("a", None),
            pay("b", Some("k")),
            pay("b", Some("k")),
        ] {
            let answer = called(&request, &ledger);
            assert_eq!(answer["result"]["isError"], false);
        }
        let paid = ledger.into_inner().unwrap().paid;
        assert_eq!(paid, BTreeMap::from([("a".into(), 2), ("b".into(), 1)]));
    }
}
