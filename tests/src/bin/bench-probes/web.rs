//! A server on this host that answers every question at once with the same document, which suits each kind of probe.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

const BODY: &str = r#"{"waiting":3,"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#;

/// Starts it, on threads that end with this process; returns its port.
pub(crate) fn serve() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A probe of a connection alone asks nothing, and leaves.
            thread::spawn(move || answer(stream));
        }
    });
    Ok(port)
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let lines = BufReader::new(stream.try_clone().ok()?).lines();
    let mut head = lines.map_while(Result::ok);
    head.find(String::is_empty)?;
    let length = BODY.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{BODY}");
    stream.write_all(answer.as_bytes()).ok()
}
