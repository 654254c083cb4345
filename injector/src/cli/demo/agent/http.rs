//! As much of HTTP/1.1 as the demo's agents and their server need: one request for each connection, bodies with a length, in chunks,
//! or to the end.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The longest line, and the longest body, in bytes: a message of the demo has far less.
const LONGEST: u64 = 64 << 10;

/// Headers of a message at most.
const MOST_HEADERS: usize = 64;

/// A request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Its first line.
    pub(super) first: String,
    /// In small letters, name and value.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// What came of its end.
    pub(super) end: End,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// As it said it would.
    #[default]
    Whole,
    /// In the middle, or by a deadline.
    Broken,
}

impl Message {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The status of an answer; 0 where it has none.
    pub(super) fn status(&self) -> u16 {
        let second = self.first.split(' ').nth(1);
        second.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// Reads a message. What came of one that breaks off in its body is there.
pub(super) fn read(from: impl Read) -> io::Result<Message> {
    let mut from = BufReader::new(from);
    let mut message = Message {
        first: line(&mut from)?,
        ..Message::default()
    };
    loop {
        let header = line(&mut from)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        if message.headers.len() >= MOST_HEADERS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        message.headers.push(header);
    }
    let is_chunked = message.header("transfer-encoding").is_some();
    let length = message.header("content-length");
    let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    let read = if is_chunked {
        chunks(&mut from, &mut message.body)
    } else {
        whole(&mut from, length, &mut message.body)
    };
    if read.is_err() {
        message.end = End::Broken;
    }
    Ok(message)
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.take(LONGEST).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(line.trim_end().to_owned())
}

fn whole(from: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let has = u64::try_from(body.len()).unwrap_or(u64::MAX);
    if length > LONGEST.saturating_sub(has) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let read = from.take(length).read_to_end(body)?;
    if u64::try_from(read).is_ok_and(|read| read == length) {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let size = line(from)?;
        let size = u64::from_str_radix(&size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        whole(from, size, body)?;
        line(from)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// Asks and waits for the answer, each read for this long at most where there is a deadline.
pub(super) fn post(
    server: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    deadline: Option<Duration>,
) -> io::Result<Message> {
    let connection = TcpStream::connect(server)?;
    connection.set_read_timeout(deadline)?;
    let mut more = String::new();
    for (name, value) in headers {
        let _ = write!(more, "{name}: {value}\r\n");
    }
    let length = body.len();
    // In one write: what comes in pieces waits for the peer's word in between.
    let text = format!(
        "POST {path} HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\naccept: application/json, \
         text/event-stream\r\nconnection: close\r\n{more}content-length: {length}\r\n\r\n{body}"
    );
    (&connection).write_all(text.as_bytes())?;
    read(&connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Message {
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_message_is_read_to_the_end_that_it_says() {
        let plain = of("HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nok more");
        assert_eq!(
            (plain.status(), plain.header("retry-after")),
            (429, Some("1"))
        );
        assert_eq!((plain.body.as_slice(), plain.end), (&b"ok"[..], End::Whole));
        let chunked =
            of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(
            (chunked.body.as_slice(), chunked.end),
            (&b"abc"[..], End::Whole)
        );
        let cut = of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n9\r\nab");
        assert_eq!((cut.body.as_slice(), cut.end), (&b"abcab"[..], End::Broken));
        let short = of("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        assert_eq!(short.end, End::Broken);
        assert!(read(&b""[..]).is_err());
        let size = LONGEST + 1;
        let long = of(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}",
            "x".repeat(70_000)
        ));
        assert_eq!((long.body.len(), long.end), (0, End::Broken));
        assert!(read(format!("HTTP/1.1 200 {}\r\n\r\n", "x".repeat(70_000)).as_bytes()).is_err());
    }
}
