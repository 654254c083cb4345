//! A health endpoint: answers `GET` with 200 while the service is good, and with 503 while it is not. Of `/told` the
//! status is 200 always. The body, which is JSON, has the state, and a number that waits.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Answers on threads of its own, until the process is killed.
pub(crate) fn serve(listener: TcpListener, is_good: impl Fn() -> bool + Send + Sync + 'static) {
    let is_good = Arc::new(is_good);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let is_good = Arc::clone(&is_good);
            thread::spawn(move || answer(&stream, is_good()));
        }
    });
}

fn answer(mut stream: &TcpStream, is_good: bool) {
    let mut head = BufReader::new(stream).lines().map_while(Result::ok);
    let is_told = head.next().is_some_and(|line| line.contains(" /told "));
    let _asked = head.find(String::is_empty);
    let status = if is_good || is_told {
        "200 OK"
    } else {
        "503 Not Now"
    };
    let (state, waiting) = if is_good { ("good", 0) } else { ("bad", 3) };
    let body = format!("{{\"state\":\"{state}\",\"waiting\":{waiting}}}");
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // A probe that has gone away needs no answer.
    let _told = stream.write_all(text.as_bytes());
}
