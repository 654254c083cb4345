//! A connection of a target: its requests, one after the other, and their answers.

use std::time::Duration;

use injector_common::plaintext::{ConnectionKey, Heard, Opening, through};

use super::{
    body::{Body, HEAD_ENDS, ends_chunks},
    exchange::{End, Exchange, Streamed, Through},
    head::{Head, Transfer, kept},
    model,
};

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    key: ConnectionKey,
    open: Option<Open>,
}

/// A request without an end.
#[derive(Debug)]
struct Open {
    began_ns: u64,
    name: String,
    request: Head,
    /// Bytes of its body so far.
    sent: u64,
    /// The last eight of them, as a number; those of the head's end at first.
    last: u64,
    model: Option<String>,
    first_byte_ns: Option<u64>,
    answer: Head,
    body: Option<Body>,
}

/// What a look at a call has come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing has ended.
    Nothing,
    /// A request has.
    Ended(Box<Exchange>),
    /// It speaks HTTP/2.
    Http2,
}

/// The parts of a call's bytes: the first, how many were not copied, the last.
fn parts<'b>(heard: &Heard<'b>) -> (&'b [u8], u64, &'b [u8]) {
    let copied = heard.head.len() + heard.tail.len();
    let left_out = u64::from(heard.heading.length).saturating_sub(copied as u64);
    (heard.head, left_out, heard.tail)
}

impl Connection {
    /// One of which nothing was seen.
    pub(super) const fn new(key: ConnectionKey) -> Self {
        Self { key, open: None }
    }

    /// The target wrote.
    pub(super) fn written(&mut self, heard: &Heard<'_>) -> Turn {
        let opening = heard
            .head
            .first_chunk()
            .map_or(Opening::Other, |first| Opening::of(*first));
        let is_body = self.open.as_ref().is_some_and(Open::awaits_body);
        match opening {
            Opening::Http2 => return Turn::Http2,
            Opening::Http1 if !is_body => {}
            Opening::Http1 | Opening::Other => {
                if let Some(open) = &mut self.open {
                    open.write(heard);
                }
                return Turn::Nothing;
            }
        }
        let mut open = Open::begin(heard);
        open.write(heard);
        if open.request.is_no_request() {
            // A part of a body, or of another protocol.
            if let Some(open) = &mut self.open {
                open.write(heard);
            }
            return Turn::Nothing;
        }
        let former = self.end(heard.heading.began_ns, End::GivenUp);
        self.open = Some(open);
        former
    }

    /// It read.
    pub(super) fn read(&mut self, heard: &Heard<'_>) -> Turn {
        let now = heard.heading.boot_ns;
        let Some(open) = &mut self.open else {
            return Turn::Nothing;
        };
        match open.read(heard) {
            Some(end) => self.end(now, end),
            None => Turn::Nothing,
        }
    }

    /// The connection has ended.
    pub(super) fn closed(&mut self, now_ns: u64) -> Turn {
        let end = self.open.as_ref().map_or(End::NoAnswer, |open| {
            match (&open.body, open.first_byte_ns) {
                (Some(body), _) if body.is_complete_at_close() => End::Clean,
                (_, Some(_)) => End::Cut,
                (_, None) => End::NoAnswer,
            }
        });
        self.end(now_ns, end)
    }

    /// When its open request began; none where it is at rest.
    pub(super) fn began_ns(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.began_ns)
    }

    /// Nothing more will be heard.
    pub(super) fn left(&mut self, now_ns: u64) -> Turn {
        self.end(now_ns, End::Open)
    }

    fn end(&mut self, now_ns: u64, end: End) -> Turn {
        let told = self
            .open
            .take()
            .and_then(|open| open.told(self.key, now_ns, end));
        told.map_or(Turn::Nothing, |exchange| Turn::Ended(Box::new(exchange)))
    }
}

impl Open {
    fn begin(heard: &Heard<'_>) -> Self {
        let comm = heard.heading.comm;
        let comm = comm.split(|byte| *byte == 0).next().unwrap_or_default();
        Self {
            began_ns: heard.heading.began_ns,
            name: kept(comm, comm.len()),
            request: Head::default(),
            sent: 0,
            last: HEAD_ENDS,
            model: None,
            first_byte_ns: None,
            answer: Head::default(),
            body: None,
        }
    }

    /// Whether a part of the request is still to come for certain.
    fn awaits_body(&self) -> bool {
        if self.first_byte_ns.is_some() {
            return false;
        }
        let fields = self.request.fields();
        let is_sent = match fields.transfer {
            // One with trailers ends for this with its answer.
            Transfer::Chunked => ends_chunks(self.last),
            Transfer::Plain => self.sent >= fields.content_length.unwrap_or_default(),
        };
        !self.request.is_over() || !is_sent
    }

    fn write(&mut self, heard: &Heard<'_>) {
        let (first, left_out, last) = parts(heard);
        let taken = self.request.feed(first);
        if !self.request.is_over() && left_out + last.len() as u64 > 0 {
            self.request.cut();
        }
        let body = &first[taken..];
        self.pass(body);
        if left_out > 0 {
            self.last = 0;
        }
        self.pass(last);
        self.sent += body.len() as u64 + left_out + last.len() as u64;
        if self.model.is_none() {
            self.model = model::in_body(body).or_else(|| model::in_body(last));
        }
    }

    fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().skip(bytes.len().saturating_sub(8)) {
            self.last = self.last << 8 | u64::from(*byte);
        }
    }

    /// Takes an answer's bytes in; says how the request ended, where it did.
    fn read(&mut self, heard: &Heard<'_>) -> Option<End> {
        let now = heard.heading.boot_ns;
        self.first_byte_ns.get_or_insert(now);
        let (mut first, left_out, last) = parts(heard);
        while self.body.is_none() {
            let taken = self.answer.feed(first);
            first = &first[taken..];
            if !self.answer.is_over() {
                if left_out + last.len() as u64 == 0 {
                    return None;
                }
                self.answer.cut();
            }
            let status = self.answer.status().unwrap_or_default();
            let (method, _, _) = self.request.request()?;
            match status {
                101 => return Some(End::Upgraded),
                // An answer for the time being; the answer comes behind it.
                100..200 => {
                    self.answer = Head::default();
                    self.first_byte_ns = None;
                    if first.is_empty() {
                        return None;
                    }
                    self.first_byte_ns = Some(now);
                }
                200..300 if method == "CONNECT" => return Some(End::Upgraded),
                _ => self.body = Some(Body::of(method, status, self.answer.fields())),
            }
        }
        let body = self.body.as_mut()?;
        body.feed(first, now);
        body.skip(left_out);
        body.feed(last, now);
        body.is_complete().then_some(End::Clean)
    }

    fn told(&self, key: ConnectionKey, now_ns: u64, end: End) -> Option<Exchange> {
        let (method, proxied, path) = self.request.request()?;
        let since = |ns: u64| Duration::from_nanos(ns.saturating_sub(self.began_ns));
        let host = proxied.map(str::to_owned);
        let stream = self.body.as_ref().filter(|body| body.is_stream());
        Some(Exchange {
            began_ns: self.began_ns,
            pid: key.tgid,
            name: self.name.clone(),
            through: if key.through == through::TLS {
                Through::Tls
            } else {
                Through::Plain
            },
            method: method.to_owned(),
            host: host.or_else(|| self.request.fields().host.clone()),
            path: path.to_owned(),
            model: self.model.clone().or_else(|| model::in_path(path)),
            status: self.answer.status(),
            first_byte: self.first_byte_ns.map(since),
            took: since(now_ns),
            stream: stream.map(|body| Streamed {
                records: body.told(),
                is_partial: body.is_partial,
                first_record: body.first_record_ns.map(since),
                lasted: body.first_record_ns.map_or(Duration::ZERO, |first| {
                    Duration::from_nanos(body.last_record_ns.saturating_sub(first))
                }),
                mark: body.mark,
            }),
            // A stream that its provider has ended was given up by nothing.
            end: match (end, stream.and_then(|body| body.mark)) {
                (End::GivenUp | End::Cut | End::Open, Some(_)) => End::Clean,
                _ => end,
            },
            retry_after: self.answer.fields().retry_after.clone(),
            retry: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use injector_common::plaintext::Heading;

    use super::*;

    const KEY: ConnectionKey = ConnectionKey {
        handle: 1,
        tgid: 7,
        through: through::TLS,
    };

    fn heard(bytes: &[u8], at_ms: u64) -> Heard<'_> {
        Heard {
            heading: Heading {
                boot_ns: at_ms * 1_000_000,
                began_ns: at_ms * 1_000_000,
                length: u32::try_from(bytes.len()).unwrap(),
                ..Heading::default()
            },
            head: bytes,
            tail: &[],
        }
    }

    fn ended(turn: Turn) -> Exchange {
        match turn {
            Turn::Ended(exchange) => *exchange,
            other => panic!("{other:?}"),
        }
    }

    const ASKED: &[u8] =
        b"POST /v1/messages HTTP/1.1\r\nHost: a.b\r\nX-Api-Key: SECRET\r\nContent-Length: 31\r\n\r\n";
    const BODY: &[u8] = b"{\"model\":\"m-1\",\"x\":\"SECRET\"    }";

    #[test]
    fn a_request_in_two_writes_and_its_answer() {
        let mut one = Connection::new(KEY);
        assert_eq!(one.written(&heard(ASKED, 10)), Turn::Nothing);
        assert_eq!(one.written(&heard(BODY, 11)), Turn::Nothing);
        assert_eq!(
            one.read(&heard(b"HTTP/1.1 100 Continue\r\n\r\n", 12)),
            Turn::Nothing
        );
        assert_eq!(
            one.read(&heard(
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab",
                30
            )),
            Turn::Nothing
        );
        let told = ended(one.read(&heard(b"cd", 50)));
        assert_eq!(told.model.as_deref(), Some("m-1"));
        assert_eq!((told.status, told.end), (Some(200), End::Clean));
        assert_eq!(told.took, Duration::from_millis(40));
        assert_eq!(told.first_byte, Some(Duration::from_millis(20)));
        assert_eq!(told.host.as_deref(), Some("a.b"));
        assert!(!told.is_failed());
        assert!(!format!("{told:?}{one:?}").contains("SECRET"));
    }

    #[test]
    fn ends_that_are_none() {
        let mut one = Connection::new(KEY);
        one.written(&heard(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 1));
        assert_eq!(ended(one.closed(2_000_000)).end, End::NoAnswer);
        one.written(&heard(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 3));
        one.read(&heard(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", 4));
        assert_eq!(ended(one.closed(5_000_000)).end, End::Cut);
        assert_eq!(one.closed(6_000_000), Turn::Nothing);
        assert_eq!(one.written(&heard(b"PRI * HTTP/2.0\r\n", 7)), Turn::Http2);
    }

    #[test]
    fn what_is_between_is_counted() {
        let mut one = Connection::new(KEY);
        one.written(&heard(b"GET /a HTTP/1.1\r\n\r\n", 1));
        let mut long = heard(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 2);
        long.heading.length += 100;
        long.tail = b"0123456789";
        assert_eq!(ended(one.read(&long)).end, End::Clean);
    }

    #[test]
    fn a_body_in_chunks_is_awaited_to_its_last() {
        let mut one = Connection::new(KEY);
        one.written(&heard(
            b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            1,
        ));
        one.read(&heard(b"HTTP/1.1 100 Continue\r\n\r\n", 2));
        let inner = b"GET /b HTTP/1.1\r\n\r\n";
        assert_eq!(one.written(&heard(inner, 3)), Turn::Nothing);
        assert_eq!(one.written(&heard(b"\r\n0\r\n\r\n", 4)), Turn::Nothing);
        let former = ended(one.written(&heard(inner, 5)));
        assert_eq!((former.path.as_str(), former.end), ("/a", End::GivenUp));
        let told = ended(one.read(&heard(b"HTTP/1.1 204 No Content\r\n\r\n", 6)));
        assert_eq!(told.path, "/b");
    }

    #[test]
    fn words_that_begin_like_a_request_end_none() {
        let mut one = Connection::new(KEY);
        one.written(&heard(b"GET /a HTTP/1.1\r\n\r\n", 1));
        assert_eq!(one.written(&heard(b"POST mortem\n", 2)), Turn::Nothing);
        let told = ended(one.read(&heard(b"HTTP/1.1 204 No Content\r\n\r\n", 3)));
        assert_eq!(told.path, "/a");
        assert_eq!(one.written(&heard(b"GET key\r\n", 4)), Turn::Nothing);
        assert_eq!(one.closed(5_000_000), Turn::Nothing);
    }

    #[test]
    fn a_body_that_begins_like_a_request_is_a_body() {
        let mut one = Connection::new(KEY);
        one.written(&heard(b"PUT /a HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 1));
        assert_eq!(one.written(&heard(b"GET /b HT", 2)), Turn::Nothing);
        let told = ended(one.read(&heard(b"HTTP/1.1 204 No Content\r\n\r\n", 3)));
        assert_eq!((told.method.as_str(), told.status), ("PUT", Some(204)));
    }
}
