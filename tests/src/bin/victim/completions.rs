//! A model API as its clients know it, and a client that says exactly what it got: the calls for chats of `OpenAI` and of
//! Anthropic, whole and in a stream.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::Summary;
use serde_json::{Value, json};

use crate::Rounds;
use crate::http_message::{self, Broken, read, tell};
use crate::speak::rounds;

/// Whose API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Dialect {
    /// `/v1/chat/completions`.
    Openai,
    /// `/v1/messages`.
    Anthropic,
}

/// Pieces with text in an answer that streams, and the pause before each.
const WORDS: [&str; 4] = ["one ", "two ", "three ", "four "];
const PAUSE: Duration = Duration::from_millis(10);
const MODEL: &str = "big-model-1";
/// Of a thread that asks for one answer.
const STACK: usize = 256 << 10;

impl Dialect {
    fn path(self) -> &'static str {
        match self {
            Self::Openai => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
        }
    }
}

/// Serves for ever, a thread for each connection; each request is told as a call.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    http_message::serve(listen, converse)
}

fn converse(stream: &TcpStream) -> Result<()> {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    while let Ok(request) = read(&mut input) {
        tell()?;
        let asked: Value = serde_json::from_slice(&request.body)?;
        let is_openai = request.first.contains("/chat/completions");
        if asked["stream"] != true {
            let body = whole(is_openai, &asked).to_string();
            let length = body.len();
            write!(
                output,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )?;
            continue;
        }
        write!(
            output,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )?;
        for piece in pieces(is_openai, &asked) {
            thread::sleep(PAUSE);
            write!(output, "{:x}\r\n{piece}\r\n", piece.len())?;
        }
        write!(output, "0\r\n\r\n")?;
    }
    Ok(())
}

fn whole(is_openai: bool, asked: &Value) -> Value {
    let text = WORDS.concat();
    if is_openai {
        return json!({"object": "chat.completion", "model": asked["model"], "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        ]});
    }
    json!({"type": "message", "role": "assistant", "model": asked["model"], "stop_reason": "end_turn",
        "content": [{"type": "text", "text": text}]})
}

fn pieces(is_openai: bool, asked: &Value) -> Vec<String> {
    let model = &asked["model"];
    if is_openai {
        let piece = |delta: Value, reason: Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
            let data =
                json!({"object": "chat.completion.chunk", "model": model, "choices": [choice]});
            format!("data: {data}\n\n")
        };
        let mut pieces = vec![piece(
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        )];
        pieces.extend(WORDS.map(|word| piece(json!({"content": word}), Value::Null)));
        pieces.push(piece(json!({}), json!("stop")));
        pieces.push("data: [DONE]\n\n".into());
        return pieces;
    }
    let piece = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let begin = json!({"type": "message_start", "message": {"role": "assistant", "model": model, "content": []}});
    let mut pieces = vec![piece("message_start", begin)];
    pieces.extend(WORDS.map(|word| {
        let data = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}});
        piece("content_block_delta", data)
    }));
    pieces.push(piece("message_stop", json!({"type": "message_stop"})));
    pieces
}

/// Answers that a client takes for what the model has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Remember {
    /// None.
    None,
    /// Those whose last piece says that they are complete.
    Complete,
    /// All that ended in good order, as a careless client does.
    Any,
}

/// A client of it.
#[derive(clap::Args, Clone)]
pub(crate) struct Client {
    #[arg(long)]
    connect: SocketAddr,
    #[arg(long, value_enum, default_value = "openai")]
    dialect: Dialect,
    /// Ask for answers in pieces.
    #[arg(long)]
    stream: bool,
    /// Ask on one connection as long as it lasts.
    #[arg(long)]
    keep: bool,
    /// Ask all of a round at once, each on a connection of its own.
    #[arg(long, conflicts_with = "keep")]
    at_once: bool,
    /// Which answers go into the next requests, as an agent tells its model what was said.
    #[arg(long, value_enum, default_value = "none")]
    remember: Remember,
    #[command(flatten)]
    rounds: Rounds,
}

/// Asks, and counts answers that are complete as well; of others the errors are their status, or in a word what is wrong.
pub(crate) fn ask(client: &Client) -> Result<()> {
    let mut kept = None;
    let mut said = Vec::new();
    rounds(client.rounds.wait, || {
        let mut summary = Summary::default();
        let mut times = Vec::new();
        let began = now_ns();
        let mut count = |took: Result<u64>| {
            summary.sent += 1;
            match took {
                Ok(took) => {
                    summary.ok += 1;
                    times.push(took);
                }
                Err(wrong) => summary.failed(&wrong.to_string()),
            }
        };
        if client.at_once {
            together(client)?.into_iter().for_each(&mut count);
        } else {
            for _ in 0..client.rounds.count {
                let start = now_ns();
                count(one(client, &mut kept, &mut said).map(|()| now_ns() - start));
                thread::sleep(client.rounds.interval);
            }
        }
        summary.times(&times);
        summary.elapsed_ns = now_ns() - began;
        Ok(summary)
    })
}

/// How long each of them took.
fn together(client: &Client) -> Result<Vec<Result<u64>>> {
    http_message::raise_limit()?;
    thread::scope(|scope| {
        let started: Vec<_> = (0..client.rounds.count)
            .map(|_| {
                let one = || {
                    let start = now_ns();
                    one(client, &mut None, &mut Vec::new()).map(|()| now_ns() - start)
                };
                thread::Builder::new()
                    .stack_size(STACK)
                    .spawn_scoped(scope, one)
            })
            .collect::<std::io::Result<_>>()?;
        let ended = started.into_iter().map(|thread| match thread.join() {
            Ok(took) => took,
            Err(_panic) => bail!("panic"),
        });
        Ok(ended.collect())
    })
}

fn one(client: &Client, kept: &mut Option<TcpStream>, said: &mut Vec<String>) -> Result<()> {
    let stream = match kept.take() {
        Some(stream) => stream,
        None => TcpStream::connect(client.connect).context("connect")?,
    };
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(client.rounds.timeout))?;
    // Who the other side is must stay what was asked for.
    if stream.peer_addr().context("peer")? != client.connect {
        bail!("peer");
    }
    let mut messages = vec![json!({"role": "user", "content": "hi"})];
    for text in &*said {
        messages.push(json!({"role": "assistant", "content": text}));
        messages.push(json!({"role": "user", "content": "go on"}));
    }
    let body = json!({"model": MODEL, "stream": client.stream, "messages": messages});
    let body = body.to_string();
    write!(
        &stream,
        "POST {} HTTP/1.1\r\nHost: model\r\nX-Case: Kept\r\ncontent-type: application/json\r\naccept-encoding: gzip\r\ncontent-length: {}\r\n\r\n{body}",
        client.dialect.path(),
        body.len()
    )?;
    let answer = match read(&mut BufReader::new(&stream)) {
        Ok(answer) => answer,
        Err(Broken::Late) => bail!("timeout"),
        Err(Broken::Cut | Broken::Closed) => bail!("cut"),
    };
    let status = answer.first.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        bail!("{status}");
    }
    let (model, text, is_complete) = if client.stream {
        streamed(&answer.body)?
    } else {
        let Ok(value) = serde_json::from_slice::<Value>(&answer.body) else {
            bail!("json");
        };
        (value["model"].clone(), text_of(&value), true)
    };
    if client.keep {
        *kept = Some(stream);
    }
    if model != MODEL {
        bail!("model {}", model.as_str().unwrap_or_default());
    }
    match client.remember {
        Remember::Any => said.push(text.clone()),
        Remember::Complete if is_complete => said.push(text.clone()),
        Remember::Complete | Remember::None => {}
    }
    match (text, is_complete) {
        (text, true) if text == WORDS.concat() => Ok(()),
        (text, true) if text.is_empty() => bail!("empty"),
        (text, false) => bail!("ends after {} words", text.split_whitespace().count()),
        (_, true) => bail!("other text"),
    }
}

fn text_of(value: &Value) -> String {
    let texts = [
        &value["choices"][0]["message"]["content"],
        &value["content"][0]["text"],
        &value["choices"][0]["delta"]["content"],
        &value["delta"]["text"],
    ];
    texts.iter().filter_map(|text| text.as_str()).collect()
}

/// Model and text of a stream, and whether its last piece says that it is complete.
fn streamed(body: &[u8]) -> Result<(Value, String, bool)> {
    let (mut model, mut text, mut is_complete) = (Value::Null, String::new(), false);
    for line in String::from_utf8_lossy(body).lines() {
        let Some(data) = line.strip_prefix("data: ") else {
            continue;
        };
        if data == "[DONE]" {
            is_complete = true;
            continue;
        }
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            bail!("json");
        };
        if value["error"].is_object() {
            bail!("error in the stream");
        }
        is_complete |= value["type"] == "message_stop";
        for named in [&value["model"], &value["message"]["model"]] {
            if named.is_string() {
                model = named.clone();
            }
        }
        text.push_str(&text_of(&value));
    }
    Ok((model, text, is_complete))
}
