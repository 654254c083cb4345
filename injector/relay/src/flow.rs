//! An answer that streams and is changed piece by piece while it passes.
//!
//! It has a task of its own, and waits for its reader before each piece, so that a slow target slows its peer down as it would
//! without the relay.

use bytes::Bytes;
use http::{Version, header::CONTENT_LENGTH, response::Parts};
use http_body_util::BodyExt;
use hyper::{Response, body::Incoming};

use crate::{
    pieces::{Framing, Piece, Pieces},
    stream::{Broken, Passing, Writer, piped},
};

/// Whether a stream goes on.
pub(crate) enum Next {
    /// With this piece.
    Piece(Piece),
    /// It ends here, well formed, behind what is to be written still.
    Ends(Option<Bytes>),
    /// It breaks off here.
    BreaksOff,
}

/// What is done to the pieces of a stream.
pub(crate) trait Meet: 'static {
    /// What becomes of a piece; an error is a transfer that breaks off, by the target.
    async fn meet(&mut self, piece: Piece, writer: &Writer) -> Result<Next, Broken>;

    /// The peer has said all of it.
    fn ends(&mut self) {}
}

/// Has the body of an answer met piece by piece while it passes.
pub(crate) fn met(
    met: impl Meet,
    framing: Framing,
    mut head: Parts,
    body: Incoming,
) -> Response<Passing> {
    // What comes out may be another number of bytes.
    head.headers.remove(CONTENT_LENGTH);
    // In chunks, whose end can be told from a connection's, whatever the peer speaks.
    head.version = Version::HTTP_11;
    let (writer, passing) = piped();
    tokio::task::spawn_local(async move {
        if run(met, framing, body, &writer).await == Err(Broken) {
            writer.break_off().await;
        }
    });
    Response::from_parts(head, passing)
}

/// Writes what becomes of the pieces; an error is a transfer that breaks off, by the fault, the peer or the target.
async fn run(
    mut met: impl Meet,
    framing: Framing,
    mut body: Incoming,
    writer: &Writer,
) -> Result<(), Broken> {
    let mut pieces = Pieces::new(framing);
    loop {
        // A target that goes away is to be heard by the peer, however long that is silent.
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = writer.unread() => return Err(Broken),
        };
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|_| Broken)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        pieces.push(&data);
        while let Some(piece) = pieces.next() {
            match met.meet(piece, writer).await? {
                Next::Piece(Piece(bytes)) => writer.write(bytes).await?,
                Next::Ends(last) => {
                    if let Some(last) = last {
                        writer.write(last).await?;
                    }
                    return Ok(());
                }
                Next::BreaksOff => return Err(Broken),
            }
        }
    }
    met.ends();
    match pieces.rest() {
        Some(Piece(rest)) => writer.write(rest).await,
        None => Ok(()),
    }
}
