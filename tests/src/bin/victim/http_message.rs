//! Messages of HTTP/1.1, read to the end that they say themselves, and a server that tells of them.

use std::io::{BufRead, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Result;
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::{Call, Line};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::speak::{ready, say};

/// Serves for ever, a thread for each connection.
pub(crate) fn serve(listen: SocketAddr, converse: fn(&TcpStream) -> Result<()>) -> Result<()> {
    raise_limit()?;
    let listener = TcpListener::bind(listen)?;
    ready(Some(listener.local_addr()?))?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        // A client that breaks off is the client's affair.
        thread::spawn(move || drop(converse(&stream)));
    }
    Ok(())
}

/// As many connections at once as this process may ask for.
pub(crate) fn raise_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, most)?)
}

/// Tells that a request has come.
pub(crate) fn tell() -> Result<()> {
    let start_ns = now_ns();
    say(&Line::Call(Call {
        start_ns,
        end_ns: start_ns,
        ok: true,
        attempts: 1,
        failures: Vec::new(),
    }))
}

/// A message, taken apart.
pub(crate) struct Message {
    pub(crate) first: String,
    /// In small letters, a line each.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

/// Why a message could not be read, by the word that summaries have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The connection ended in the middle.
    Cut,
    /// Nothing came in time.
    Late,
    /// The connection ended before the first byte.
    Closed,
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Late,
            _ => Self::Cut,
        }
    }
}

impl Broken {
    /// The same, where a message has begun.
    fn inside(self) -> Self {
        match self {
            Self::Closed | Self::Cut => Self::Cut,
            Self::Late => Self::Late,
        }
    }
}

fn line(input: &mut impl BufRead) -> Result<String, Broken> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Err(Broken::Closed);
    }
    Ok(line.trim_end().to_owned())
}

/// Reads a message to the end that it says itself.
pub(crate) fn read(input: &mut impl BufRead) -> Result<Message, Broken> {
    let first = line(input)?;
    let (mut length, mut is_chunked) = (0, false);
    let mut headers = Vec::new();
    loop {
        let header = line(input).map_err(Broken::inside)?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| Broken::Cut)?;
        }
        is_chunked |= header == "transfer-encoding: chunked";
        headers.push(header);
    }
    let mut body = vec![0; length];
    if !is_chunked {
        input.read_exact(&mut body)?;
        return Ok(Message {
            first,
            headers,
            body,
        });
    }
    loop {
        let size = line(input).map_err(Broken::inside)?;
        let size = usize::from_str_radix(&size, 16).map_err(|_| Broken::Cut)?;
        let mut chunk = vec![0; size + 2];
        input.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(Message {
                first,
                headers,
                body,
            });
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
