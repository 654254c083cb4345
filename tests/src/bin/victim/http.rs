//! As much HTTP/1.1 as an agent and its model API speak: one header block, one body, a digest.

use std::io::{BufRead, Error, ErrorKind, Read, Result, Write};

use crate::pattern::digest;

const LARGEST_BODY: usize = 1 << 20;

/// A request or a response.
pub(crate) struct Message {
    /// The request line or status line.
    pub(crate) first_line: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// Whether the body is the one that its digest was made of.
    pub(crate) intact: bool,
}

/// Writes a message in one piece, so that a small one is one packet.
pub(crate) fn write(out: &mut impl Write, first_line: &str, body: &[u8]) -> Result<()> {
    let mut message = format!(
        "{first_line}\r\nhost: model\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nx-digest: {:016x}\r\n\r\n",
        body.len(),
        digest([body]),
    )
    .into_bytes();
    message.extend(body);
    out.write_all(&message)
}

/// Reads a message; `None` at a clean end of the connection.
pub(crate) fn read(input: &mut impl BufRead) -> Result<Option<Message>> {
    let Some(first_line) = read_line(input)? else {
        return Ok(None);
    };
    let (mut length, mut expected) = (None, None);
    loop {
        let line = read_line(input)?.ok_or(ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok(),
            Some(("x-digest", value)) => expected = u64::from_str_radix(value, 16).ok(),
            _other => {}
        }
    }
    let length = length
        .filter(|length| *length <= LARGEST_BODY)
        .ok_or_else(damaged)?;
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let intact = expected == Some(digest([body.as_slice()]));
    Ok(Some(Message {
        first_line,
        body,
        intact,
    }))
}

/// One header line; `None` at the end of the connection. Binary rubbish is damage.
fn read_line(input: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    let length = input.by_ref().take(4096).read_until(b'\n', &mut line)?;
    if length == 0 {
        return Ok(None);
    }
    let line = String::from_utf8(line).map_err(|_rubbish| damaged())?;
    Ok(Some(line.trim_end().to_owned()))
}

/// What cannot be read as HTTP was changed on its way: both ends here speak it well.
fn damaged() -> Error {
    ErrorKind::InvalidData.into()
}
