//! An answer that streams, changed piece by piece while it passes.

use std::time::Instant;

use bytes::Bytes;
use http::{Version, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::{Response, body::Incoming};
use injector_spec::experiment::{Cut, Ending, OnRequests, Overload, Stall};

use super::{Claim, Deed, on_requests};
use crate::{
    pieces::{Framing, Piece, Pieces},
    provider,
    stream::{Broken, Passing, Writer, piped},
};

/// Whether a stream goes on.
enum Next {
    /// With this piece.
    Piece(Piece),
    /// It ends here, well formed, behind what is to be written still.
    Ends(Option<Bytes>),
    /// It breaks off here.
    BreaksOff,
}

/// A stream as it passes.
struct Flow {
    deed: Deed,
    claim: Option<Claim>,
    /// Pieces with text that have passed.
    tokens: u32,
}

/// Has the body of an answer changed while it passes.
pub(super) fn changed(
    deed: Deed,
    claim: Option<Claim>,
    framing: Framing,
    answer: Response<Incoming>,
) -> Response<Passing> {
    let (mut head, body) = answer.into_parts();
    // What comes out may be another number of bytes.
    head.headers.remove(CONTENT_LENGTH);
    // In chunks, whose end can be told from a connection's, whatever the peer speaks.
    head.version = Version::HTTP_11;
    let (writer, passing) = piped();
    let flow = Flow {
        deed,
        claim,
        tokens: 0,
    };
    tokio::task::spawn_local(async move {
        let reader = async {
            if flow.run(framing, body, &writer).await == Err(Broken) {
                writer.break_off().await;
            }
        };
        reader.await;
    });
    Response::from_parts(head, passing)
}

impl Flow {
    /// Writes the changed body; an error is a transfer that breaks off, by the fault, the peer or the target.
    async fn run(
        mut self,
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
                match self.meet(piece, writer).await? {
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
        match pieces.rest() {
            Some(Piece(rest)) => writer.write(rest).await,
            None => Ok(()),
        }
    }

    /// What becomes of a piece.
    async fn meet(&mut self, piece: Piece, writer: &Writer) -> Result<Next, Broken> {
        let dialect = self.deed.asked.dialect;
        let json = piece.json();
        let is_token = json
            .as_ref()
            .is_some_and(|(value, _)| provider::is_token(dialect, value));
        if is_token && self.tokens > 0 {
            self.pause(writer).await?;
        }
        let next = self.act(piece, json, is_token, writer).await?;
        self.tokens += u32::from(is_token);
        Ok(next)
    }

    /// Waits between two pieces with text, where that is asked.
    async fn pause(&mut self, writer: &Writer) -> Result<(), Broken> {
        let Some((_, gap, claim)) = &mut self.deed.slow else {
            return Ok(());
        };
        if gap.is_zero() || !claim.may_act() {
            return Ok(());
        }
        claim.hit();
        tokio::select! {
            () = claim.hold(Some(Instant::now() + *gap)) => Ok(()),
            () = writer.unread() => Err(Broken),
        }
    }

    async fn act(
        &mut self,
        piece: Piece,
        json: Option<(serde_json::Value, std::ops::Range<usize>)>,
        is_token: bool,
        writer: &Writer,
    ) -> Result<Next, Broken> {
        let passed = self.tokens;
        let Some(claim) = self.claim.as_mut().filter(|claim| claim.may_act()) else {
            return Ok(Next::Piece(piece));
        };
        let kind = claim.taken.kind.clone();
        match on_requests(&kind) {
            Some(OnRequests::Stall(Stall { after_tokens, .. })) if passed >= *after_tokens => {
                if claim.outcome.is_none() {
                    tokio::select! {
                        () = claim.withhold() => {}
                        () = writer.unread() => return Err(Broken),
                    }
                }
            }
            Some(OnRequests::Cut(Cut {
                after_tokens,
                ending,
                ..
            })) if passed >= *after_tokens => {
                claim.fail(None);
                return Ok(match ending {
                    Ending::Clean => Next::Ends(None),
                    Ending::Dirty => Next::BreaksOff,
                });
            }
            Some(OnRequests::Overload(Overload {
                after_tokens: Some(after),
                ..
            })) if passed >= *after => {
                claim.fail(None);
                let last = provider::broken_off(&self.deed.asked, claim.provider());
                return Ok(Next::Ends(Some(last)));
            }
            Some(OnRequests::Malformed(_)) if is_token && claim.outcome.is_none() => {
                if let Some((_, range)) = json {
                    claim.fail(None);
                    let half = piece.0.slice(range.start..range.start + range.len() / 2);
                    return Ok(Next::Piece(piece.with_data(range, &half)));
                }
            }
            Some(OnRequests::WrongModel(wrong)) => {
                if let Some((mut value, range)) = json
                    && provider::rename(&mut value, &wrong.answers)
                {
                    claim.hit();
                    let data = value.to_string();
                    return Ok(Next::Piece(piece.with_data(range, data.as_bytes())));
                }
            }
            Some(
                OnRequests::Stall(_)
                | OnRequests::Cut(_)
                | OnRequests::Overload(_)
                | OnRequests::Malformed(_)
                | OnRequests::RateLimit(_)
                | OnRequests::ModelError(_)
                | OnRequests::Timeout(_)
                | OnRequests::Slow(_)
                | OnRequests::Empty(_),
            )
            | None => {}
        }
        Ok(Next::Piece(piece))
    }
}
