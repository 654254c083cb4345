//! An answer that streams, changed piece by piece while it passes.

use std::{ops::Range, time::Instant};

use bytes::Bytes;
use http::{Version, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::{Response, body::Incoming};
use injector_spec::experiment::Ending;
use serde_json::Value;

use super::{Claim, Deed};
use crate::{
    act::Change,
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
    change: Option<(Change, Claim)>,
    /// Pieces with text that have passed.
    tokens: u32,
    /// Their text, where the stream may be cut: it tells whether the target takes that for the whole.
    text: String,
}

/// The most text that is kept of a stream, in bytes.
const MOST_TEXT: usize = 16 << 10;

/// Has the body of an answer changed while it passes.
pub(super) fn changed(
    deed: Deed,
    change: Option<(Change, Claim)>,
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
        change,
        tokens: 0,
        text: String::new(),
    };
    tokio::task::spawn_local(async move {
        if flow.run(framing, body, &writer).await == Err(Broken) {
            writer.break_off().await;
        }
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
        let text = match (&self.change, &json) {
            (Some((Change::Cut(..), _)), Some((value, _))) if is_token => {
                provider::text(dialect, value).map(str::to_owned)
            }
            _ => None,
        };
        let next = self.act(piece, json, is_token, writer).await?;
        if let Some(text) = text
            && self.text.len() + text.len() <= MOST_TEXT
        {
            self.text.push_str(&text);
        }
        self.tokens += u32::from(is_token);
        Ok(next)
    }

    /// Waits between two pieces with text, where that is asked.
    async fn pause(&mut self, writer: &Writer) -> Result<(), Broken> {
        let Some((slow, claim)) = &mut self.deed.slow else {
            return Ok(());
        };
        if slow.gap.is_zero() || !claim.may_act() {
            return Ok(());
        }
        claim.hit();
        tokio::select! {
            () = claim.hold(Some(Instant::now() + slow.gap)) => Ok(()),
            () = writer.unread() => Err(Broken),
        }
    }

    /// Does what is asked where this piece is reached.
    async fn act(
        &mut self,
        piece: Piece,
        json: Option<(Value, Range<usize>)>,
        is_token: bool,
        writer: &Writer,
    ) -> Result<Next, Broken> {
        let passed = self.tokens;
        let goes_on = |piece| Ok(Next::Piece(piece));
        let Some((change, claim)) = &mut self.change else {
            return goes_on(piece);
        };
        if !claim.may_act() {
            return goes_on(piece);
        }
        match change {
            Change::Stall(after) => {
                if passed >= *after && claim.outcome.is_none() {
                    tokio::select! {
                        () = claim.withhold() => {}
                        () = writer.unread() => return Err(Broken),
                    }
                }
            }
            Change::Cut(after, ending) => {
                if passed >= *after {
                    claim.fail(None);
                    return Ok(match ending {
                        Ending::Clean => {
                            claim.truncated(self.deed.scope, &self.text);
                            Next::Ends(None)
                        }
                        Ending::Dirty => Next::BreaksOff,
                    });
                }
            }
            Change::BreakOff(after) => {
                if passed >= *after {
                    claim.fail(None);
                    let last = provider::broken_off(claim.provider(&self.deed.asked));
                    return Ok(Next::Ends(Some(last)));
                }
            }
            Change::Malform => {
                if let (true, None, Some((_, range))) = (is_token, claim.outcome, json) {
                    claim.fail(None);
                    let half = piece.0.slice(range.start..range.start + range.len() / 2);
                    return goes_on(piece.with_data(range, &half));
                }
            }
            Change::Rename(model) => {
                if let Some((mut value, range)) = json
                    && provider::rename(&mut value, model)
                {
                    claim.hit();
                    return goes_on(piece.with_data(range, value.to_string().as_bytes()));
                }
            }
        }
        goes_on(piece)
    }
}
