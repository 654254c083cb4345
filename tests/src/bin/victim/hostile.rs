//! Both ends of HTTP, in breach of its rules: a server whose answers are drawn from a number that the request names, and a
//! client that draws its requests. Each breaks off at the end of what it has to say, in good order or by a reset.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use injector_common::decide::random64;
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::Summary;
use rustix::net::sockopt::set_socket_linger;

use crate::speak::{ready, rounds};

/// What is said in a drip waits so long between two bytes, and is so long.
const DRIP: Duration = Duration::from_millis(2);
const DRIPS: usize = 60;
/// Longer than any line that a client or a server puts up with.
const ENDLESS: usize = 2 << 20;

/// One connection's words: how they are sent, and what they are.
enum Words {
    /// As fast as they go.
    AtOnce(Vec<u8>),
    /// Byte by byte.
    Slowly(Vec<u8>),
}
use Words::{AtOnce, Slowly};

/// Serves for ever, a thread for each connection.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    ready(Some(listener.local_addr()?))?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn answer(mut stream: TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
    let mut heard = vec![0; 4096];
    let count = stream.read(&mut heard).unwrap_or_default();
    let text = String::from_utf8_lossy(&heard[..count]).into_owned();
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix("x-number: ")?.trim().parse().ok())
        .unwrap_or_default();
    say(&mut stream, answers(number), random64(number, 99));
}

/// A client of it.
#[derive(clap::Args, Clone)]
pub(crate) struct Client {
    #[arg(long)]
    connect: SocketAddr,
    /// Where its requests are drawn from.
    #[arg(long)]
    seed: u64,
    /// Requests of a round, each on a connection of its own.
    #[arg(long)]
    count: u64,
}

/// Asks, a round for each line on standard input; how it comes out it does not look at.
pub(crate) fn ask(client: &Client) -> Result<()> {
    let mut number = 0;
    rounds(true, || {
        let began = now_ns();
        let mut summary = Summary::default();
        for _ in 0..client.count {
            number += 1;
            summary.sent += 1;
            let drawn = random64(client.seed, number);
            if let Ok(mut stream) = TcpStream::connect(client.connect) {
                say(&mut stream, requests(drawn), drawn);
            }
        }
        summary.elapsed_ns = now_ns() - began;
        Ok(summary)
    })
}

/// Says it, hears a little of what comes back, and breaks off.
fn say(stream: &mut TcpStream, words: Words, random: u64) {
    let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    match words {
        AtOnce(bytes) => {
            let _ = stream.write_all(&bytes);
        }
        Slowly(bytes) => {
            for byte in bytes.iter().take(DRIPS) {
                if stream.write_all(&[*byte]).is_err() {
                    break;
                }
                thread::sleep(DRIP);
            }
        }
    }
    let _ = stream.read(&mut [0; 1024]);
    if random.is_multiple_of(2) {
        let _ = set_socket_linger(&*stream, Some(Duration::ZERO));
    }
}

fn answers(number: u64) -> Words {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    let chunked = |rest: &[u8]| {
        let head = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
        AtOnce([head.as_bytes(), rest].concat())
    };
    let chunk = |data: &[u8]| {
        let size = format!("{:x}\r\n", data.len());
        chunked(&[size.as_bytes(), data, b"\r\n0\r\n\r\n"].concat())
    };
    let at_once = |text: String| AtOnce(text.into_bytes());
    match number % 18 {
        0 => Slowly(format!("{HEAD}x: y\r\n\r\n").into_bytes()),
        1 => at_once(format!("{HEAD}x: {}", "a".repeat(ENDLESS))),
        2 => at_once(format!("{HEAD}{}\r\n", "a: b\r\n".repeat(50_000))),
        3 => chunked(b"ffffffffffffffff\r\nabc"),
        4 => chunked(b"-1\r\nabc\r\n0\r\n\r\n"),
        5 => at_once(format!("{HEAD}content-length: 999999999999\r\n\r\nabc")),
        6 => chunk(&[b"data: ", vec![b'a'; ENDLESS].as_slice()].concat()),
        7 => chunk(format!("data: {}\n\n", "[".repeat(ENDLESS)).as_bytes()),
        8 => chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\xc0\"}}]}\n\n"),
        9 => AtOnce(junk(number, 100_000)),
        10 => AtOnce(http2(number)),
        11 => at_once(format!(
            "{HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
        )),
        12 => at_once("HTTP/1.1 100 Continue\r\n\r\n".repeat(20_000)),
        13 => AtOnce(
            [
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
                junk(number, 9_000).as_slice(),
            ]
            .concat(),
        ),
        14 => AtOnce(
            [
                format!("{HEAD}content-encoding: gzip\r\ncontent-length: 9000\r\n\r\n").as_bytes(),
                &junk(number, 9_000),
            ]
            .concat(),
        ),
        15 => chunk(&b"data: {}\n".repeat(200_000)),
        16 => chunk(&b"data: {\"type\":\"message_stop\"}\n\ndata: [DONE]\n\n".repeat(50_000)),
        _ => AtOnce(Vec::new()),
    }
}

fn requests(drawn: u64) -> Words {
    let head = |first: &str| format!("{first}\r\nhost: x\r\nx-number: {}\r\n", drawn >> 8);
    let post = |body: &[u8]| {
        let path = ["/v1/chat/completions", "/v1/messages", "/mcp"][(drawn >> 5) as usize % 3];
        let first = head(&format!("POST {path} HTTP/1.1"));
        let length = format!("content-length: {}\r\n\r\n", body.len());
        AtOnce([first.as_bytes(), length.as_bytes(), body].concat())
    };
    let get = head("GET / HTTP/1.1");
    let call =
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{}}},"#;
    let at_once = |text: String| AtOnce(text.into_bytes());
    // Most are sound: what is hostile then is the answer.
    match drawn % 32 {
        0 => Slowly(get.into_bytes()),
        1 => at_once(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(ENDLESS))),
        2 => at_once(format!("{get}{}\r\n", "a: b\r\n".repeat(50_000))),
        3 => at_once(format!(
            "{}content-length: 99999999999999999999\r\n\r\n{{",
            head("POST /mcp HTTP/1.1")
        )),
        4 => at_once(format!(
            "{}content-length: -1\r\n\r\n{{",
            head("POST /mcp HTTP/1.1")
        )),
        5 => at_once(format!(
            "{}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{{\r\n",
            head("POST /mcp HTTP/1.1")
        )),
        6 => at_once(format!("{get}\r\n").repeat(300)),
        7 => AtOnce([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http2(drawn).as_slice()].concat()),
        8 => AtOnce(
            [
                &[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..],
                &junk(drawn, 400),
            ]
            .concat(),
        ),
        9 => AtOnce([b"\x16\x03\x03\xff\xff", junk(drawn, 70_000).as_slice()].concat()),
        10 => post("[".repeat(ENDLESS).as_bytes()),
        11 => post(b"{\"model\": \"\xff\xfe\", \"messages\": [], \"stream\": true}"),
        12 => post(&[b"[", call.repeat(10_000).as_slice(), b"{}]"].concat()),
        13 => AtOnce(junk(drawn, 100_000)),
        14 => at_once(format!("{get}\0\r\n: \r\n\r\n")),
        15 => at_once(format!(
            "{}expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n",
            head("POST /mcp HTTP/1.1")
        )),
        16..20 => post(&call[..call.len() - 1]),
        20..24 => post(br#"{"model": "big-1", "messages": []}"#),
        _ => post(br#"{"model": "big-1", "messages": [], "stream": true}"#),
    }
}

fn junk(seed: u64, length: usize) -> Vec<u8> {
    let words = (0..).flat_map(|index| random64(seed, index).to_ne_bytes());
    words.take(length).collect()
}

/// Frames of HTTP/2: settings, then headers that are reset at once, many times over.
fn http2(seed: u64) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len())
            .unwrap_or_default()
            .to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut frames = frame(4, 0, 0, &[]);
    for stream in (1..4000_u32).step_by(2) {
        frames.extend(frame(1, 4, stream, &junk(seed ^ u64::from(stream), 24)));
        frames.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    frames
}
