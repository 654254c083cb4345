//! The two agents: the same work, by other habits.
//!
//! | | naive | careful |
//! | --- | --- | --- |
//! | waits for an answer | for ever | 1 s |
//! | tries again | at once, seven times; not after a cut connection | twice, as long after the last as it was told, or a moment |
//! | half an answer | is one | is none: it looks for the end that the provider promises |
//! | the same call | is another call | has the same key |

use std::{io, net::SocketAddr, str, thread, time::Duration};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    http::{End, Message, post},
    server::{CHAT, TOOLS},
};

/// Which of the two.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// It trusts whatever comes
    Naive,
    /// It expects that things fail
    Careful,
}

/// What an agent does.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It asks a model, and asks on with the answer
    Ask,
    /// It has a tool pay an order
    Pay,
}

/// How long the careful one waits for an answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// How long it waits before it tries again where it was not told.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest that it waits where it was told.
const LONGEST: Duration = Duration::from_secs(5);

/// What came of one try.
enum Came {
    /// What was wanted.
    Answer(String),
    /// Nothing that helps, and another try may; after so long where that was told.
    Again(Option<Duration>),
    /// Nothing that helps, and no other try does.
    Nothing,
}

/// Works. The error says that the work is not done.
pub(super) fn work(habit: Habit, work: Work, order: &str, server: SocketAddr) -> io::Result<()> {
    match work {
        Work::Ask => {
            let mut messages =
                vec![json!({"role": "user", "content": format!("Do the tests of {order} pass?")})];
            let text = ask(habit, server, &messages)?;
            messages.push(json!({"role": "assistant", "content": text}));
            messages.push(json!({"role": "user", "content": "What is to be done?"}));
            ask(habit, server, &messages).map(drop)
        }
        Work::Pay => {
            let params = json!({"name": "pay", "arguments": {"order": order}});
            let call = |number: u32| json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params});
            let read = |message: &Message| paid(habit, message);
            try_again(habit, server, TOOLS, order, call, read).map(drop)
        }
    }
}

fn ask(habit: Habit, server: SocketAddr, messages: &[Value]) -> io::Result<String> {
    let body = json!({"model": "demo", "stream": true, "messages": messages});
    let key = format!("{}-{}", messages[0]["content"], messages.len());
    let read = |message: &Message| said(habit, message);
    try_again(habit, server, CHAT, &key, |_| body.clone(), read)
}

/// Sends a request until it is answered, by the agent's habits.
fn try_again(
    habit: Habit,
    server: SocketAddr,
    path: &str,
    key: &str,
    body: impl Fn(u32) -> Value,
    read: impl Fn(&Message) -> Came,
) -> io::Result<String> {
    let (tries, deadline) = match habit {
        Habit::Naive => (8, None),
        Habit::Careful => (3, Some(DEADLINE)),
    };
    let key: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    let keyed = [("idempotency-key", key.as_str())];
    let headers = match habit {
        Habit::Naive => &[][..],
        Habit::Careful => &keyed[..],
    };
    for number in 1..=tries {
        let answer = post(server, path, headers, &body(number).to_string(), deadline);
        let wait = match answer.map(|message| came(&message, &read)) {
            Ok(Came::Answer(text)) => return Ok(text),
            Ok(Came::Again(wait)) => wait,
            Ok(Came::Nothing) => break,
            Err(error) => match habit {
                Habit::Naive => return Err(error),
                Habit::Careful => None,
            },
        };
        if habit == Habit::Careful && number < tries {
            thread::sleep(wait.unwrap_or(PAUSE * number).min(LONGEST));
        }
    }
    Err(io::Error::other("it was not answered"))
}

/// What an answer is by its status, and by what it says.
fn came(message: &Message, read: impl Fn(&Message) -> Came) -> Came {
    if (200..300).contains(&message.status()) {
        return read(message);
    }
    let told = message.header("retry-after");
    let told = told.and_then(|text| text.parse().ok());
    Came::Again(told.map(Duration::from_secs))
}

/// What a model has said in a stream.
fn said(habit: Habit, message: &Message) -> Came {
    let text = String::from_utf8_lossy(&message.body);
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let (mut said, mut is_over) = (String::new(), false);
    for data in data {
        let Ok(piece) = serde_json::from_str::<Value>(data) else {
            continue;
        };
        let choice = &piece["choices"][0];
        said.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        is_over |= choice["finish_reason"] == "stop";
    }
    match (habit, message.end) {
        (Habit::Careful, _) if !is_over => Came::Again(None),
        // As SDKs do: what ends in good order is an answer, and a cut connection an error that is passed on.
        (Habit::Naive, End::Broken) => Came::Nothing,
        (Habit::Naive | Habit::Careful, _) => Came::Answer(said),
    }
}

/// What a tool has answered.
fn paid(habit: Habit, message: &Message) -> Came {
    let answer: Value = serde_json::from_slice(&message.body).unwrap_or_default();
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str();
    match (habit, text) {
        (_, Some(text)) if result["isError"] == false => Came::Answer(text.to_owned()),
        // The tool has said that it cannot: that is for a person to read.
        (Habit::Careful, Some(_)) => Came::Nothing,
        // It was answered, and holds nothing that another call would bring.
        (Habit::Careful, None) if result.is_object() => Came::Nothing,
        (Habit::Naive | Habit::Careful, _) => Came::Again(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::server::SAYS, *};

    fn answer(body: &str, end: End) -> Message {
        Message {
            first: "HTTP/1.1 200 OK".into(),
            body: body.into(),
            end,
            ..Message::default()
        }
    }

    fn streamed(words: usize, finish: &str) -> String {
        let piece = |text: &str, finish: &str| {
            format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":{text:?}}},\"finish_reason\":{finish}}}]}}\n\n"
            )
        };
        let words = SAYS.iter().take(words).map(|word| piece(word, "null"));
        words.chain([piece("", finish)]).collect()
    }

    #[test]
    fn half_an_answer_is_one_to_the_naive_alone() {
        let half = answer(&streamed(2, "null"), End::Whole);
        assert!(
            matches!(said(Habit::Naive, &half), Came::Answer(text) if text == "All is well, but ")
        );
        assert!(matches!(said(Habit::Careful, &half), Came::Again(None)));
        let whole = answer(&streamed(4, "\"stop\""), End::Whole);
        for habit in [Habit::Naive, Habit::Careful] {
            assert!(matches!(said(habit, &whole), Came::Answer(_)));
        }
        let cut = answer(&streamed(2, "null"), End::Broken);
        assert!(matches!(said(Habit::Naive, &cut), Came::Nothing));
        assert!(matches!(said(Habit::Careful, &cut), Came::Again(None)));
    }

    #[test]
    fn a_tool_that_says_no_is_asked_again_by_the_naive_alone() {
        let no = r#"{"result":{"isError":true,"content":[{"type":"text","text":"no"}]}}"#;
        let empty = r#"{"result":{"isError":false,"content":[]}}"#;
        for body in [no, empty] {
            let body = answer(body, End::Whole);
            assert!(matches!(paid(Habit::Naive, &body), Came::Again(None)));
            assert!(matches!(paid(Habit::Careful, &body), Came::Nothing));
        }
        let half = answer(r#"{"result":{"isErr"#, End::Whole);
        for habit in [Habit::Naive, Habit::Careful] {
            assert!(matches!(paid(habit, &half), Came::Again(None)));
        }
        let well = answer(
            r#"{"result":{"isError":false,"content":[{"text":"ok"}]}}"#,
            End::Whole,
        );
        assert!(matches!(paid(Habit::Careful, &well), Came::Answer(_)));
    }

    #[test]
    fn a_time_to_wait_is_read() {
        let limited = Message {
            first: "HTTP/1.1 429 Too Many Requests".into(),
            headers: vec![("retry-after".into(), "2".into())],
            ..Message::default()
        };
        let wait = came(&limited, |_| Came::Nothing);
        assert!(matches!(wait, Came::Again(Some(wait)) if wait == Duration::from_secs(2)));
    }
}
