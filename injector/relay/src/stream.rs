//! Bodies on their way to a target.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, ETAG, TRANSFER_ENCODING},
};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::mpsc;

/// A body that passes.
pub(crate) type Passing = UnsyncBoxBody<Bytes, Broken>;

/// A transfer that ends before it is complete. The other side sees its connection end in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the transfer ended before it was complete")
    }
}

impl std::error::Error for Broken {}

/// Headers that say what a body's bytes are: RFC 1864, 3230 and 9530.
const OF_THE_BYTES: [&str; 4] = ["content-md5", "digest", "content-digest", "repr-digest"];

/// Says that a body goes on as a whole: its length is what it was read as, however it came.
pub(crate) fn is_whole(headers: &mut HeaderMap) {
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
}

/// Takes out what would give a changed body away as one, or have it refused on the way.
pub(crate) fn is_changed(headers: &mut HeaderMap) {
    headers.remove(ETAG);
    for name in OF_THE_BYTES {
        headers.remove(name);
    }
}

/// As it comes from the other side.
pub(crate) fn as_it_comes(body: Incoming) -> Passing {
    body.map_err(|_| Broken).boxed_unsync()
}

/// All of it.
pub(crate) fn whole(bytes: Bytes) -> Passing {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body that is written piece by piece, and its writer. It waits for each piece to be taken, so that a slow reader slows
/// its peer down as it would without the relay.
pub(crate) fn piped() -> (Writer, Passing) {
    let (writer, pieces) = mpsc::channel(1);
    (Writer(writer), Piped(pieces).boxed_unsync())
}

/// Writes a body. Dropped, it ends the body well.
pub(crate) struct Writer(mpsc::Sender<Result<Bytes, Broken>>);

impl Writer {
    /// Writes a piece; an error where there is no reader any more.
    pub(crate) async fn write(&self, piece: Bytes) -> Result<(), Broken> {
        self.0.send(Ok(piece)).await.map_err(|_| Broken)
    }

    /// Ends the body in the middle.
    pub(crate) async fn break_off(self) {
        // No reader is as good.
        let _ = self.0.send(Err(Broken)).await;
    }

    /// Returns when there is no reader any more.
    pub(crate) async fn unread(&self) {
        self.0.closed().await;
    }
}

struct Piped(mpsc::Receiver<Result<Bytes, Broken>>);

impl Body for Piped {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A body of which the beginning was read.
struct Resumed {
    read: Option<Bytes>,
    rest: Incoming,
}

impl Body for Resumed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(read) = self.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        let rest = Pin::new(&mut self.rest).poll_frame(context);
        rest.map(|frame| frame.map(|frame| frame.map_err(|_| Broken)))
    }
}

/// What was read of a body, and the rest as it comes.
pub(crate) fn resumed(read: Bytes, rest: Incoming) -> Passing {
    let read = Some(read);
    Resumed { read, rest }.boxed_unsync()
}

/// A body that was read to its end, or as far as it may be.
pub(crate) enum Read {
    /// All of it, and what came behind it.
    Whole(Bytes, Option<HeaderMap>),
    /// It is longer: as it would have come.
    TooLong(Passing),
}

/// Reads a body to its end, or passes it on where it is longer than this.
pub(crate) async fn read(mut body: Incoming, at_most: usize) -> Result<Read, Broken> {
    let mut read = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Broken)?;
        match frame.into_data() {
            Ok(data) => read.extend_from_slice(&data),
            Err(other) => trailers = other.into_trailers().ok(),
        }
        if read.len() > at_most {
            return Ok(Read::TooLong(resumed(read.freeze(), body)));
        }
    }
    Ok(Read::Whole(read.freeze(), trailers))
}

/// All of it, and what comes behind it.
pub(crate) fn whole_with(bytes: Bytes, trailers: Option<HeaderMap>) -> Passing {
    match trailers {
        None => whole(bytes),
        Some(trailers) => {
            let behind = async move { Some(Ok(trailers)) };
            whole(bytes).with_trailers(behind).boxed_unsync()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_what_the_bytes_were_goes() {
        let mut headers = HeaderMap::new();
        for name in ["etag", "content-md5", "digest", "repr-digest", "x-kept"] {
            headers.insert(name, http::HeaderValue::from_static("1"));
        }
        is_changed(&mut headers);
        assert_eq!((headers.len(), headers.contains_key("x-kept")), (1, true));
    }
}
