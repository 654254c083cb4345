//! A tool as agents call it, by MCP over HTTP and as plain JSON, and a client that says exactly what it got.

use std::collections::BTreeSet;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::Summary;
use serde_json::{Value, json};

use crate::Rounds;
use crate::http_message::{self, Broken, Message, read, tell};
use crate::speak::rounds;

const PAUSE: Duration = Duration::from_millis(10);
const SESSION: &str = "mcp-session-id: s-1";

/// Serves for ever, a thread for each connection; each call of the tool is told.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    http_message::serve(listen, converse)
}

/// Keys of calls that were carried out: one with such a key is answered, and has no effect.
static KEYS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn is_known(request: &Message) -> bool {
    let mut headers = request.headers.iter();
    let key = headers.find(|header| header.starts_with("idempotency-key:"));
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    key.is_some_and(|key| !keys.insert(key.clone()))
}

fn converse(stream: &TcpStream) -> Result<()> {
    let mut input = BufReader::new(stream);
    while let Ok(request) = read(&mut input) {
        let asked: Value = serde_json::from_slice(&request.body)?;
        let is_plain = request.first.contains("/tools/");
        if (is_plain || !calls(&asked).is_empty()) && !is_known(&request) {
            tell()?;
        }
        let mut answer = if is_plain {
            Some(sum(&asked))
        } else {
            answered(&asked)
        };
        if let Some(answer) = answer
            .as_mut()
            .filter(|_| request.first.contains("/failing"))
        {
            answer["result"]["isError"] = true.into();
        }
        match answer {
            None => write(stream, "202 Accepted", "")?,
            Some(answer) if request.first.contains("/events") => streamed(stream, &answer)?,
            Some(_) if request.first.contains("/begun") => begun(stream)?,
            Some(answer) => write(stream, "200 OK", &answer.to_string())?,
        }
    }
    Ok(())
}

/// The calls of the tool in a message, or in a batch of them.
fn calls(asked: &Value) -> Vec<&Value> {
    let alone = std::slice::from_ref(asked);
    let all = asked.as_array().map_or(alone, Vec::as_slice);
    let is_call = |one: &&Value| one["method"] == "tools/call";
    all.iter().filter(is_call).collect()
}

fn answered(asked: &Value) -> Option<Value> {
    if let Some(all) = asked.as_array() {
        return Some(all.iter().filter_map(answered).collect());
    }
    let id = asked.get("id")?;
    let result = match asked["method"].as_str()? {
        "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "adder", "version": "1"}}),
        "tools/list" => json!({"tools": [{"name": "add", "inputSchema": {"type": "object"}}]}),
        _ => {
            let sum = sum(&asked["params"]["arguments"]);
            json!({"content": [{"type": "text", "text": sum["text"]}], "structuredContent": sum,
                "isError": false})
        }
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn sum(arguments: &Value) -> Value {
    let of = |name: &str| arguments[name].as_i64().unwrap_or_default();
    let sum = of("a") + of("b");
    json!({"sum": sum, "text": text(sum)})
}

fn text(sum: i64) -> String {
    format!("the sum is {sum}")
}

fn write(mut stream: &TcpStream, status: &str, body: &str) -> Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{SESSION}\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    Ok(())
}

/// Begins a stream.
fn begin(mut stream: &TcpStream) -> Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{SESSION}\r\ntransfer-encoding: chunked\r\n\r\n"
    )?;
    Ok(())
}

/// In a stream that begins and does not go on, until the other side closes it.
fn begun(mut stream: &TcpStream) -> Result<()> {
    begin(stream)?;
    // To be reset is to be closed.
    let _ = stream.read(&mut [0]);
    Ok(())
}

/// In a stream, behind a comment and a notification.
fn streamed(mut stream: &TcpStream, answer: &Value) -> Result<()> {
    begin(stream)?;
    let told =
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
    let pieces = [
        ": keep-alive\n\n".to_owned(),
        format!("event: message\ndata: {told}\n\n"),
        format!("event: message\nid: 7\ndata: {answer}\n\n"),
    ];
    for piece in pieces {
        thread::sleep(PAUSE);
        write!(stream, "{:x}\r\n{piece}\r\n", piece.len())?;
    }
    write!(stream, "0\r\n\r\n")?;
    Ok(())
}

/// A client of it.
#[derive(clap::Args, Clone)]
pub(crate) struct Client {
    #[arg(long)]
    connect: SocketAddr,
    #[arg(long, default_value = "/mcp")]
    path: String,
    /// Ask for the same sum each time.
    #[arg(long)]
    same: bool,
    /// Send this key with each call.
    #[arg(long)]
    key: Option<String>,
    /// Begin a session and list the tools before each round.
    #[arg(long)]
    session: bool,
    /// Make two calls in one request.
    #[arg(long)]
    batch: bool,
    #[command(flatten)]
    rounds: Rounds,
}

/// Calls, and counts answers that are right as well; of others the errors say in a word what is wrong.
pub(crate) fn ask(client: &Client) -> Result<()> {
    let mut number = 0;
    rounds(client.rounds.wait, || {
        let mut summary = Summary::default();
        let mut times = Vec::new();
        let began = now_ns();
        if client.session {
            let session = begin_session(client);
            session.unwrap_or_else(|wrong| summary.failed(&format!("session: {wrong}")));
        }
        for _ in 0..client.rounds.count {
            let start = now_ns();
            number += i64::from(!client.same);
            summary.sent += 1;
            match one(client, number) {
                Ok(()) => {
                    summary.ok += 1;
                    times.push(now_ns() - start);
                }
                Err(wrong) => summary.failed(&wrong.to_string()),
            }
            thread::sleep(client.rounds.interval);
        }
        summary.times(&times);
        summary.elapsed_ns = now_ns() - began;
        Ok(summary)
    })
}

fn begin_session(client: &Client) -> Result<()> {
    let messages = [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    ];
    for message in messages {
        let answer = post(client, &message)?;
        let has_session = answer.headers.iter().any(|header| header == SESSION);
        if message["id"].is_null() {
            if !has_session || !answer.first.contains(" 202 ") {
                bail!("{}", answer.first);
            }
            continue;
        }
        let said = said(&answer)?;
        if let Some(code) = said["error"]["code"].as_i64() {
            bail!("error {code}");
        }
        if !has_session || said["result"].is_null() || said["id"] != message["id"] {
            bail!("no result");
        }
    }
    Ok(())
}

fn one(client: &Client, a: i64) -> Result<()> {
    let arguments = json!({"a": a, "b": 1});
    if client.path.starts_with("/tools/") {
        let answer = post(client, &arguments)?;
        let said = said(&answer)?;
        return right(&said, &said["text"], a + 1);
    }
    // Ids of both kinds.
    let id = if a % 2 == 0 {
        json!(a)
    } else {
        json!(format!("id-{a}"))
    };
    let params =
        json!({"name": "add", "arguments": arguments, "_meta": {"progressToken": now_ns()}});
    let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    if client.batch {
        let said = said(&post(client, &json!([call, call]))?)?;
        return match said.as_array().map(Vec::len) {
            Some(2) => Ok(()),
            _ => bail!("batch"),
        };
    }
    let said = said(&post(client, &call)?)?;
    if said["id"] != id {
        bail!("id");
    }
    if let Some(code) = said["error"]["code"].as_i64() {
        bail!("error {code}");
    }
    let result = &said["result"];
    if result["isError"] == true {
        bail!("is-error");
    }
    let texts: Vec<&Value> = result["content"].as_array().into_iter().flatten().collect();
    match texts.as_slice() {
        [] => bail!("empty"),
        [text] => right(&result["structuredContent"], &text["text"], a + 1),
        _ => bail!("{} texts", texts.len()),
    }
}

/// What is structured and what is text have to be the sum.
fn right(structured: &Value, said: &Value, sum: i64) -> Result<()> {
    let (Some(found), Some(own)) = (structured.get("sum"), structured.get("text")) else {
        bail!("keys");
    };
    let (Some(found), Some(own), Some(said)) = (found.as_i64(), own.as_str(), said.as_str()) else {
        bail!("types");
    };
    if said.is_empty() || own.is_empty() {
        bail!("empty");
    }
    if found == sum && said == text(sum) && own == said {
        return Ok(());
    }
    if said == text(found) && own == said {
        bail!("another sum");
    }
    if let (Some(more), true) = (said.strip_prefix(&text(sum)), own == said) {
        bail!("and{}", more.replace('\n', " "));
    }
    bail!("other text");
}

fn post(client: &Client, message: &Value) -> Result<Message> {
    let stream = TcpStream::connect(client.connect).context("connect")?;
    stream.set_read_timeout(Some(client.rounds.timeout))?;
    // Who the other side is must stay what was asked for.
    if stream.peer_addr().context("peer")? != client.connect {
        bail!("peer");
    }
    let body = message.to_string();
    let key = client.key.as_ref();
    let key = key.map_or_else(String::new, |key| format!("Idempotency-Key: {key}\r\n"));
    write!(
        &stream,
        "POST {} HTTP/1.1\r\nHost: tool\r\n{key}content-type: application/json\r\naccept: application/json, text/event-stream\r\nMcp-Session-Id: s-1\r\ncontent-length: {}\r\n\r\n{body}",
        client.path,
        body.len()
    )?;
    match read(&mut BufReader::new(&stream)) {
        Ok(answer) => Ok(answer),
        Err(Broken::Late) => bail!("timeout"),
        Err(Broken::Cut | Broken::Closed) => bail!("cut"),
    }
}

/// The JSON of an answer: all of it, or of the last event of its stream.
fn said(answer: &Message) -> Result<Value> {
    let status = answer.first.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        bail!("{status}");
    }
    let is_stream = answer
        .headers
        .iter()
        .any(|header| header.ends_with("text/event-stream"));
    let text = String::from_utf8_lossy(&answer.body);
    let data = if is_stream {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.next_back().unwrap_or_default()
    } else {
        &text
    };
    match serde_json::from_str(data) {
        Ok(value) => Ok(value),
        Err(_) => bail!("json"),
    }
}
