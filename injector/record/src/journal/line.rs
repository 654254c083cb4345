//! One line: a record, its place, its times, and a checksum over all of them.
//!
//! `{"seq":3,"boot_ns":…,"unix_ms":…,"record":{…},"crc":"89abcdef"}`: the checksum is the CRC-32 of the
//! bytes in front of `,"crc"`, so that checking needs no second opinion on how JSON is written.

use serde::{Deserialize, Serialize};

use super::Record;

/// A record as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// Number of the record within the run, from 0.
    pub seq: u64,
    /// When, on the boot clock, in nanoseconds.
    pub boot_ns: u64,
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What.
    pub record: Record,
}

/// Bytes of `,"crc":"89abcdef"}`.
const TAIL: usize = 18;

/// The line of a record, with its line feed.
pub(super) fn encode(stamped: &Stamped) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(stamped)?;
    line.pop(); // The closing brace; the tail brings its own.
    let tail = tail(&line);
    line.extend_from_slice(tail.as_bytes());
    line.push(b'\n');
    Ok(line)
}

/// The record of a line, without its line feed, or why it cannot be trusted.
pub(super) fn decode(line: &[u8]) -> Result<Stamped, String> {
    let Some(at) = line.len().checked_sub(TAIL) else {
        return Err("the line is cut off".to_owned());
    };
    let (body, found) = line.split_at(at);
    if found != tail(body).as_bytes() {
        let why = if found.ends_with(b"}") {
            "the checksum does not fit"
        } else {
            "the line is cut off"
        };
        return Err(why.to_owned());
    }
    serde_json::from_slice(line).map_err(|error| format!("not a record of this version: {error}"))
}

fn tail(body: &[u8]) -> String {
    format!(r#","crc":"{:08x}"}}"#, crc32fast::hash(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_like_one() {
        let stamped = Stamped {
            seq: 7,
            boot_ns: 1,
            unix_ms: 2,
            record: Record::Armed,
        };
        let line = encode(&stamped).unwrap();
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(
            text.starts_with(
                r#"{"seq":7,"boot_ns":1,"unix_ms":2,"record":{"type":"armed"},"crc":""#
            )
        );
        assert_eq!(decode(&line[..line.len() - 1]), Ok(stamped));
    }
}
