//! The body of an answer: where it ends, and what came of a stream in it. Its bytes are looked at one by one and not kept.

use serde::Serialize;

use super::head::{Content, Fields, Transfer, wipe};

/// What marks the end of a stream in the words of its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Mark {
    /// `data: [DONE]` of `OpenAI` and what is like it.
    #[serde(rename = "[DONE]")]
    Done,
    /// `message_stop` of Anthropic.
    #[serde(rename = "message_stop")]
    MessageStop,
    /// `response.completed` of the responses of `OpenAI`.
    #[serde(rename = "response.completed")]
    Completed,
    /// `"done":true` of Ollama.
    #[serde(rename = "done")]
    DoneTrue,
}

impl Mark {
    const ALL: [(Self, &'static [u8]); 5] = [
        (Self::Done, b"data: [DONE]"),
        (Self::Done, b"data:[DONE]"),
        (Self::MessageStop, b"event: message_stop"),
        (Self::Completed, b"event: response.completed"),
        (Self::DoneTrue, b"\"done\":true"),
    ];

    /// As people read it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Done => "[DONE]",
            Self::MessageStop => "message_stop",
            Self::Completed => "response.completed",
            Self::DoneTrue => "done",
        }
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// With so many bytes.
    Length(u64),
    /// With an empty chunk.
    Chunks,
    /// With the connection.
    Close,
}

/// Longest mark; so much of what came is kept while a stream goes on, to find one that is split over two reads.
const WINDOW: usize = 32;

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    content: Content,
    seen: u64,
    /// The last eight bytes, as a number; those of the head's end at first.
    last: u64,
    window: Vec<u8>,
    is_complete: bool,
    pub(super) records: u64,
    pub(super) is_partial: bool,
    pub(super) mark: Option<Mark>,
    pub(super) first_record_ns: Option<u64>,
    pub(super) last_record_ns: u64,
}

/// What stands in front of a body: the end of its head.
pub(super) const HEAD_ENDS: u64 = u64::from_be_bytes(*b"\0\0\0\0\r\n\r\n");

/// Whether these are the last bytes of a body in chunks.
pub(super) const fn ends_chunks(last: u64) -> bool {
    last & SEVEN == LAST_CHUNK
}

/// The last bytes of a body in chunks.
const LAST_CHUNK: u64 = u64::from_be_bytes(*b"\0\r\n0\r\n\r\n");
const SEVEN: u64 = (1 << 56) - 1;
const RECORD: u64 = u64::from_be_bytes(*b"\0\0\ndata:");
const SIX: u64 = (1 << 48) - 1;
const OBJECT_ENDS: u64 = u64::from_be_bytes(*b"\0\0\0\0\0\0}\n");
const TWO: u64 = (1 << 16) - 1;

impl Body {
    /// Of an answer with this status to a request of this method.
    pub(super) fn of(method: &str, status: u16, fields: &Fields) -> Self {
        let has_none = method == "HEAD" || status < 200 || matches!(status, 204 | 304);
        let framing = match (fields.transfer, fields.content_length) {
            _ if has_none => Framing::Length(0),
            (Transfer::Chunked, _) => Framing::Chunks,
            (Transfer::Plain, Some(length)) => Framing::Length(length),
            (Transfer::Plain, None) => Framing::Close,
        };
        Self {
            framing,
            content: fields.content,
            seen: 0,
            last: HEAD_ENDS,
            window: Vec::with_capacity(WINDOW),
            is_complete: framing == Framing::Length(0),
            records: 0,
            is_partial: false,
            mark: None,
            first_record_ns: None,
            last_record_ns: 0,
        }
    }

    /// Takes bytes in, which came at this time on the boot clock.
    pub(super) fn feed(&mut self, bytes: &[u8], now_ns: u64) {
        let before = self.records;
        for byte in bytes {
            self.last = self.last << 8 | u64::from(*byte);
            let is_record = match self.content {
                Content::Document => false,
                Content::Events => self.last & SIX == RECORD,
                Content::Lines => self.last & TWO == OBJECT_ENDS,
            };
            self.records += u64::from(is_record);
        }
        if self.content != Content::Document {
            self.look_for_marks(bytes);
        }
        if self.records > before {
            self.first_record_ns.get_or_insert(now_ns);
            self.last_record_ns = now_ns;
        }
        self.count(bytes.len() as u64);
        if !bytes.is_empty() && self.framing == Framing::Chunks && ends_chunks(self.last) {
            self.is_complete = true;
        }
    }

    /// Takes in that so many bytes came that were not looked at.
    pub(super) fn skip(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.is_partial = true;
        self.last = 0;
        self.clear_window();
        self.count(bytes);
    }

    /// Whether it was read to its end.
    pub(super) const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether it is over, now that the connection is.
    pub(super) fn is_complete_at_close(&self) -> bool {
        let is_stream = self.content != Content::Document;
        self.is_complete || self.mark.is_some() || self.framing == Framing::Close && !is_stream
    }

    /// Whether it is a stream of records.
    pub(super) fn is_stream(&self) -> bool {
        self.content != Content::Document
    }

    /// Records, without the one that only marks the end.
    pub(super) fn told(&self) -> u64 {
        self.records - u64::from(self.mark == Some(Mark::Done) && self.records > 0)
    }

    fn count(&mut self, bytes: u64) {
        self.seen = self.seen.saturating_add(bytes);
        if let Framing::Length(length) = self.framing {
            self.is_complete |= self.seen >= length;
        }
    }

    fn look_for_marks(&mut self, bytes: &[u8]) {
        // Of its whole length at once: a room that grows leaves what was in it behind.
        let mut all = Vec::with_capacity(self.window.len() + bytes.len());
        all.extend_from_slice(&self.window);
        all.extend_from_slice(bytes);
        for (mark, words) in Mark::ALL {
            if all.windows(words.len()).any(|part| part == words) {
                self.mark = Some(mark);
            }
        }
        self.clear_window();
        let surplus = all.len().saturating_sub(WINDOW);
        self.window.extend_from_slice(&all[surplus..]);
        wipe(&mut all);
    }

    fn clear_window(&mut self) {
        wipe(&mut self.window);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.clear_window();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(transfer: Transfer) -> Fields {
        Fields {
            transfer,
            content: Content::Events,
            ..Fields::default()
        }
    }

    const STREAM: &[u8] = b"f\r\ndata: {\"a\":1}\n\n\r\n10\r\ndata: {\"a\":22}\n\n\r\nd\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

    #[test]
    fn a_body_of_a_length_ends_with_it() {
        let fields = Fields {
            content_length: Some(5),
            ..Fields::default()
        };
        let mut body = Body::of("POST", 200, &fields);
        body.feed(b"abc", 1);
        assert!(!body.is_complete());
        assert!(!body.is_complete_at_close());
        body.skip(2);
        assert!(body.is_complete());
        assert!(Body::of("HEAD", 200, &fields).is_complete());
        assert!(Body::of("GET", 304, &fields).is_complete());
    }

    #[test]
    fn an_empty_body_in_chunks_ends_at_once() {
        let mut body = Body::of("GET", 200, &events(Transfer::Chunked));
        body.feed(b"0\r\n\r\n", 1);
        assert!(body.is_complete());
    }

    #[test]
    fn a_stream_that_is_cut_is_not_complete() {
        let mut body = Body::of("POST", 200, &events(Transfer::Plain));
        body.feed(b"data: 1\n\ndata: 2\n\n", 1);
        assert_eq!(body.told(), 2);
        assert!(!body.is_complete_at_close(), "it has no mark");
    }

    #[test]
    fn lines_of_json() {
        let fields = Fields {
            content: Content::Lines,
            transfer: Transfer::Chunked,
            ..Fields::default()
        };
        let mut body = Body::of("POST", 200, &fields);
        body.feed(b"9\r\n{\"a\":1}\n\r\n", 4);
        body.feed(b"c\r\n{\"done\":true}\n\r\n0\r\n\r\n", 9);
        assert_eq!((body.told(), body.mark), (2, Some(Mark::DoneTrue)));
        assert_eq!((body.first_record_ns, body.last_record_ns), (Some(4), 9));
        assert!(body.is_complete());
    }

    proptest! {
        #[test]
        fn a_stream_is_the_same_however_it_is_split(cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut body = Body::of("POST", 200, &events(Transfer::Chunked));
            for two in cuts.windows(2) {
                prop_assert!(!body.is_complete() || two[0] == STREAM.len());
                body.feed(&STREAM[two[0]..two[1]], 1);
            }
            prop_assert_eq!((body.told(), body.mark), (2, Some(Mark::Done)));
            prop_assert!(body.is_complete());
        }
    }
}
