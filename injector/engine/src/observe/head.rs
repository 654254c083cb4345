//! Heads of HTTP/1 messages (RFC 9112), from bytes that come in pieces.
//!
//! Of a line only what is asked for is kept; the room in which it is gathered is its only copy, and is cleared behind it.

/// Longest line that is understood; of a longer one the beginning is.
const LONGEST_LINE: usize = 2_048;
/// Longest path, host and date that are kept, in bytes.
const LONGEST_PATH: usize = 256;
const LONGEST_WORD: usize = 128;

/// A head that is being read.
#[derive(Debug, Default)]
pub(super) struct Head {
    line: Vec<u8>,
    /// The first line, in three words.
    first: Option<[String; 3]>,
    /// Whether that line was too long to be read to its end.
    is_cut: bool,
    fields: Fields,
    is_over: bool,
}

/// What is kept of a head's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) host: Option<String>,
    pub(super) content_length: Option<u64>,
    pub(super) transfer: Transfer,
    pub(super) content: Content,
    pub(super) retry_after: Option<String>,
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Transfer {
    /// As it is.
    #[default]
    Plain,
    /// In chunks.
    Chunked,
}

/// What a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    /// One document.
    #[default]
    Document,
    /// Server-Sent Events.
    Events,
    /// JSON in lines.
    Lines,
}

impl Head {
    /// Takes bytes in; gives how many belong to the head.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while !self.is_over && taken < bytes.len() {
            let byte = bytes[taken];
            taken += 1;
            if byte != b'\n' {
                if self.line.capacity() == 0 {
                    // At once: a room that grows leaves what was in it behind.
                    self.line.reserve_exact(LONGEST_LINE);
                }
                if self.line.len() < LONGEST_LINE {
                    self.line.push(byte);
                }
                continue;
            }
            self.end_of_line();
        }
        taken
    }

    /// Takes it as over, where the rest was not looked at.
    pub(super) fn cut(&mut self) {
        self.clear_line();
        self.is_over = true;
    }

    /// Whether it was read to its end.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// What it says beside its first line.
    pub(super) const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// A request's method, host where the target is a whole address, and path.
    pub(super) fn request(&self) -> Option<(&str, Option<&str>, &str)> {
        let [method, target, version] = self.first.as_ref()?;
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_method || target.is_empty() || !(self.is_cut || version.starts_with("HTTP/1.")) {
            return None;
        }
        let (host, path) = match target.split_once("://") {
            Some((_, rest)) => {
                let (authority, path) = rest
                    .find('/')
                    .map_or((rest, "/"), |slash| rest.split_at(slash));
                (Some(authority), path)
            }
            None => (None, target.as_str()),
        };
        Some((method, host, path))
    }

    /// Whether its first line was read, and is none of a request.
    pub(super) fn is_no_request(&self) -> bool {
        self.first.is_some() && self.request().is_none()
    }

    /// An answer's status.
    pub(super) fn status(&self) -> Option<u16> {
        let [version, status, _] = self.first.as_ref()?;
        version.starts_with("HTTP/").then(|| status.parse().ok())?
    }

    fn end_of_line(&mut self) {
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if self.first.is_none() {
            self.is_cut = self.line.len() >= LONGEST_LINE;
            self.first = Some(three_words(&self.line));
        } else if self.line.is_empty() {
            self.is_over = true;
        } else {
            self.fields.take(&self.line);
        }
        self.clear_line();
    }

    fn clear_line(&mut self) {
        wipe(&mut self.line);
        if self.is_over {
            self.line = Vec::new();
        }
    }
}

/// Clears bytes that may be secret.
pub(super) fn wipe(bytes: &mut Vec<u8>) {
    bytes.fill(0);
    // The clearing is not left out for want of a reader.
    std::hint::black_box(&mut *bytes);
    bytes.clear();
}

impl Drop for Head {
    fn drop(&mut self) {
        self.clear_line();
    }
}

/// The words of a first line. A path loses its query here, and an address its name and password, before they are kept.
fn three_words(line: &[u8]) -> [String; 3] {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut word = |longest| {
        words
            .next()
            .and_then(|word| word.split(|byte| b"?#".contains(byte)).next())
            .map_or_else(String::new, |word| {
                let (scheme, rest) = without_password(word);
                let mut word = kept(scheme, longest);
                word += &kept(rest, longest - word.len());
                word
            })
    };
    [word(LONGEST_WORD), word(LONGEST_PATH), word(LONGEST_WORD)]
}

/// A whole address in two parts, without the name and password that may stand in its middle.
fn without_password(word: &[u8]) -> (&[u8], &[u8]) {
    const BEFORE: &[u8] = b"://";
    let before = word.windows(BEFORE.len()).position(|part| part == BEFORE);
    let (scheme, rest) = word.split_at(before.map_or(0, |at| at + BEFORE.len()));
    if scheme.is_empty() {
        return (scheme, rest);
    }
    let slash = rest.iter().position(|byte| *byte == b'/');
    let authority = &rest[..slash.unwrap_or(rest.len())];
    let at = authority.iter().rposition(|byte| *byte == b'@');
    (scheme, &rest[at.map_or(0, |at| at + 1)..])
}

/// Text that is fit to be shown: no byte that is not printable ASCII, and no longer than this. `?` would look like the begin of
/// a query, which is never kept.
pub(super) fn kept(bytes: &[u8], longest: usize) -> String {
    let shown = bytes.iter().take(longest);
    shown
        .map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '_',
        })
        .collect()
}

impl Fields {
    fn take(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let has = |wanted: &[u8]| {
            value
                .windows(wanted.len())
                .any(|part| part.eq_ignore_ascii_case(wanted))
        };
        if is("host") {
            self.host = Some(kept(value, LONGEST_WORD));
        } else if is("content-length") {
            self.content_length = kept(value, 20).parse().ok();
        } else if is("transfer-encoding") && has(b"chunked") {
            self.transfer = Transfer::Chunked;
        } else if is("content-type") {
            self.content = if has(b"text/event-stream") {
                Content::Events
            } else if has(b"ndjson") || has(b"jsonl") {
                Content::Lines
            } else {
                Content::Document
            };
        } else if is("retry-after") {
            self.retry_after = Some(kept(value, 40));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &[u8] = b"POST /v1/chat/completions?key=SECRET HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer SECRET\r\nContent-Length: 12\r\n\r\n{\"model\":1}";

    fn fed(pieces: &[&[u8]]) -> (Head, usize) {
        let mut head = Head::default();
        let taken = pieces.iter().map(|piece| head.feed(piece)).sum();
        (head, taken)
    }

    #[test]
    fn a_request_without_what_is_secret() {
        let (head, taken) = fed(&[REQUEST]);
        assert!(head.is_over());
        assert_eq!(taken, REQUEST.len() - 11);
        assert_eq!(head.request(), Some(("POST", None, "/v1/chat/completions")));
        assert_eq!(head.fields().host.as_deref(), Some("api.openai.com"));
        assert_eq!(head.fields().content_length, Some(12));
        assert!(!format!("{head:?}").contains("SECRET"), "{head:?}");
    }

    #[test]
    fn an_answer() {
        let (head, _) = fed(&[
            b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/event-stream; charset=utf-8\r\nRetry-After: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        ]);
        assert_eq!(head.status(), Some(429));
        let fields = head.fields();
        assert_eq!(fields.retry_after.as_deref(), Some("3"));
        assert_eq!(fields.content, Content::Events);
        assert_eq!(fields.transfer, Transfer::Chunked);
    }

    #[test]
    fn a_request_to_a_proxy_names_its_server_without_the_password() {
        let (head, _) = fed(&[b"GET http://user:SECRET@host:8080/a HTTP/1.1\r\n\r\n"]);
        assert_eq!(head.request(), Some(("GET", Some("host:8080"), "/a")));
        assert!(!format!("{head:?}").contains("SECRET"), "{head:?}");
    }

    #[test]
    fn a_line_that_is_none_of_a_request() {
        for (line, expected) in [
            ("GET /a HTTP/1.0\n", true),
            ("GET /a RTSP/1.0\n", false),
            ("GET key\n", false),
            ("POST it on the HTTP/1.1\n", false),
            ("Get /a HTTP/1.1\n", false),
            ("GET  HTTP/1.1\n", false),
        ] {
            let (head, _) = fed(&[line.as_bytes()]);
            assert_eq!(head.request().is_some(), expected, "{line}");
            assert_eq!(head.is_no_request(), !expected, "{line}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(LONGEST_LINE));
        let (head, _) = fed(&[long.as_bytes()]);
        assert!(head.request().is_some(), "its end was not read");
        assert!(!fed(&[b"GET /a"]).0.is_no_request(), "it may become one");
    }

    proptest! {
        #[test]
        fn pieces_come_to_the_same(cuts in prop::collection::vec(0..REQUEST.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.extend([0, REQUEST.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|two| &REQUEST[two[0]..two[1]]).collect();
            let (head, taken) = fed(&pieces);
            prop_assert!(head.is_over());
            prop_assert_eq!(taken, REQUEST.len() - 11);
            prop_assert_eq!(head.request(), Some(("POST", None, "/v1/chat/completions")));
        }

        #[test]
        fn any_bytes_are_read_and_never_shown_raw(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let (head, taken) = fed(&[&bytes]);
            prop_assert!(taken <= bytes.len());
            if let Some((method, host, path)) = head.request() {
                for text in [Some(method), host, Some(path)].into_iter().flatten() {
                    prop_assert!(text.len() <= LONGEST_PATH);
                    prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                }
            }
        }
    }
}
