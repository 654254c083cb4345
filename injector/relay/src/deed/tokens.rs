//! The stream of a model's answer, in tokens: slowed down, and changed where its fault says.

use std::{ops::Range, time::Instant};

use hyper::{Response, body::Incoming};
use injector_spec::experiment::Ending;
use serde_json::Value;

use super::{Claim, Deed, document};
use crate::{
    act::Change,
    flow::{self, Meet, Next},
    pieces::{Framing, Piece},
    provider,
    stream::{self, Broken, Passing, Writer},
};

/// A stream of tokens as it passes.
struct Stream {
    deed: Deed,
    change: Option<(Change, Claim)>,
    /// Pieces with text that have passed.
    tokens: u32,
    /// Their text, where the stream may end in good order behind it: it tells whether the target takes that for the whole. Nothing where it is longer
    /// than is kept.
    text: Option<String>,
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
    if change.is_some() {
        stream::is_changed(&mut head.headers);
    }
    let tokens = Stream {
        deed,
        change,
        tokens: 0,
        text: Some(String::new()),
    };
    flow::met(tokens, framing, head, body)
}

impl Meet for Stream {
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
            // Half an answer that ends otherwise is known for one.
            (Some((Change::Cut(_, Ending::Clean), _)), Some((value, _))) if is_token => {
                provider::text(dialect, value).map(str::to_owned)
            }
            _ => None,
        };
        let next = self.act(piece, json, is_token, writer).await?;
        if let Some(text) = text {
            let kept = self.text.take();
            let kept = kept.filter(|kept| kept.len() + text.len() <= MOST_TEXT);
            self.text = kept.map(|kept| kept + &text);
        }
        self.tokens += u32::from(is_token);
        Ok(next)
    }

    fn ends(&mut self) {
        match &self.change {
            Some((_, claim)) if claim.outcome.is_some() => self.deed.tried.is_answered(),
            // The place where it would have been changed was not reached, or not in time.
            Some(_) => self.deed.tried.goes_well(),
            // That was said when it began.
            None => {}
        }
    }
}

impl Stream {
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
        let next = document::next(change);
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
                    claim.fail(next, None);
                    return Ok(match ending {
                        Ending::Clean => {
                            if let Some(text) = &self.text {
                                claim.truncated(self.deed.scope, text);
                            }
                            Next::Ends(None)
                        }
                        Ending::Dirty => Next::BreaksOff,
                    });
                }
            }
            Change::BreakOff(after) => {
                if passed >= *after {
                    claim.fail(next, None);
                    let last = provider::broken_off(claim.provider(&self.deed.asked));
                    return Ok(Next::Ends(Some(last)));
                }
            }
            Change::Malform => {
                if let (true, None, Some((_, range))) = (is_token, claim.outcome, json) {
                    claim.fail(next, None);
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
