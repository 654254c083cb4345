//! Takes the body of an answer apart: the events of a stream, or the lines of one. What comes out, put together again, is what
//! went in.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

/// How a body is cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events: a piece ends with a blank line.
    Events,
    /// Lines of JSON.
    Lines,
}

/// The longest piece that is waited for, in bytes. A longer one goes on as it came, in parts that are no pieces.
const LONGEST: usize = 1 << 20;

/// What is left of a body whose next piece is not complete.
pub(crate) struct Pieces {
    framing: Framing,
    waiting: BytesMut,
    /// How much of what waits has no end in it.
    searched: usize,
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece(pub(crate) Bytes);

impl Framing {
    /// By the type that an answer says it has; `None` is one document.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let bare = content_type.split(';').next().unwrap_or_default().trim();
        if bare.eq_ignore_ascii_case("text/event-stream") {
            Some(Self::Events)
        } else if bare.eq_ignore_ascii_case("application/x-ndjson") {
            Some(Self::Lines)
        } else {
            None
        }
    }
}

impl Pieces {
    /// Nothing has come yet.
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            waiting: BytesMut::new(),
            searched: 0,
        }
    }

    /// Takes in what has come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next complete piece.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        let end = self.end().or_else(|| {
            let too_long = self.waiting.len() > LONGEST;
            too_long.then_some(self.waiting.len())
        });
        let Some(end) = end else {
            self.searched = self.waiting.len().saturating_sub(3);
            return None;
        };
        self.searched = 0;
        Some(Piece(self.waiting.split_to(end).freeze()))
    }

    /// What is left when the body has ended.
    pub(crate) fn rest(&mut self) -> Option<Piece> {
        self.searched = 0;
        let rest = self.waiting.split().freeze();
        (!rest.is_empty()).then_some(Piece(rest))
    }

    /// Behind the first piece. A line ends with LF, CR or both (HTML, "Server-sent events"), and a piece of events with an
    /// empty one.
    fn end(&self) -> Option<usize> {
        let bytes = &self.waiting[..];
        match self.framing {
            Framing::Lines => {
                let found = bytes[self.searched..]
                    .iter()
                    .position(|byte| *byte == b'\n');
                found.map(|at| self.searched + at + 1)
            }
            Framing::Events => (self.searched..bytes.len()).find_map(|at| {
                let rest = &bytes[at..];
                let ends: [&[u8]; 3] = [b"\r\n\r\n", b"\n\n", b"\r\r"];
                let end = ends.iter().find(|end| rest.starts_with(end));
                end.map(|end| at + end.len())
            }),
        }
    }
}

impl Piece {
    /// The JSON that it carries, and where in it.
    pub(crate) fn json(&self) -> Option<(Value, std::ops::Range<usize>)> {
        let range = self.data()?;
        let value = serde_json::from_slice(&self.0[range.clone()]).ok()?;
        Some((value, range))
    }

    /// Where its data is: behind `data:` where it has one such line, all of it where it has none and is one line.
    pub(crate) fn data(&self) -> Option<std::ops::Range<usize>> {
        let bytes = &self.0[..];
        let mut at = 0;
        let mut found = None;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let trimmed = line.trim_ascii_end().len();
            if line.starts_with(b"data:") {
                if found.is_some() {
                    return None;
                }
                let blank = usize::from(line.get(5) == Some(&b' '));
                found = Some(at + (5 + blank).min(trimmed)..at + trimmed);
            } else if line.starts_with(b"{") && found.is_none() && bytes.len() == line.len() {
                found = Some(at..at + trimmed);
            }
            at += line.len();
        }
        found
    }

    /// The same piece with other data.
    pub(crate) fn with_data(&self, range: std::ops::Range<usize>, data: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(self.0.len() + data.len());
        bytes.extend_from_slice(&self.0[..range.start]);
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(&self.0[range.end..]);
        Self(bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(framing: Framing, parts: &[&[u8]]) -> Vec<Bytes> {
        let mut pieces = Pieces::new(framing);
        let mut found = Vec::new();
        for part in parts {
            pieces.push(part);
            while let Some(Piece(piece)) = pieces.next() {
                found.push(piece);
            }
        }
        found.extend(pieces.rest().map(|Piece(rest)| rest));
        found
    }

    #[test]
    fn events_end_with_an_empty_line() {
        let found = taken(
            Framing::Events,
            &[b"data: 1\n", b"\nevent: x\r\ndata: {}\r\n\r", b"\ndata: 3"],
        );
        assert_eq!(
            found,
            ["data: 1\n\n", "event: x\r\ndata: {}\r\n\r\n", "data: 3"]
        );
    }

    #[test]
    fn data_is_found_and_replaced() {
        let piece = Piece(Bytes::from_static(b"event: a\r\ndata: {\"x\": 1}\r\n\r\n"));
        let (value, range) = piece.json().unwrap();
        assert_eq!(value["x"], 1);
        let other = piece.with_data(range, b"[]");
        assert_eq!(other.0, "event: a\r\ndata: []\r\n\r\n");
        let line = Piece(Bytes::from_static(b"{\"done\":true}\n"));
        assert_eq!(line.json().unwrap().0["done"], true);
        for none in [&b": ping\n\n"[..], b"data: a\ndata: b\n\n", b"data:\n\n"] {
            assert_eq!(Piece(Bytes::from_static(none)).json(), None);
        }
    }

    proptest! {
        /// However a body comes, its pieces are the same, and together they are the body.
        #[test]
        fn pieces_are_the_body(
            text in "(data: [a-z{}\"]{0,5}|event: x|\n|\r\n|\r|:){0,20}",
            cuts in proptest::collection::vec(0usize..60, 0..6),
            framing in prop_oneof![Just(Framing::Events), Just(Framing::Lines)],
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let found = taken(framing, &parts);
            prop_assert_eq!(found.concat(), bytes);
            prop_assert_eq!(found, taken(framing, &[bytes]));
        }
    }
}
