//! Bodies on their way to a target.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
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
            let resumed = Resumed {
                read: Some(read.freeze()),
                rest: body,
            };
            return Ok(Read::TooLong(resumed.boxed_unsync()));
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
