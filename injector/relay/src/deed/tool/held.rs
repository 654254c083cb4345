//! A call whose answer is held back: what the tool has answered by then decides whether the call was carried out.
//!
//! The answer is read before it is held: by MCP a tool says with status 200 that it has failed. Of a stream as much is read as goes
//! up to the answer in it; one that does not come, or not in time, is no sign that the call was carried out.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{Request, Response, body::Incoming};
use serde_json::Value;

use super::{
    super::{ask_for_plain, is_carried_out, is_packed, judge},
    Call, Claim, content_type,
    reply::went_well,
};
use crate::{
    passage::Upstream,
    pieces::{Framing, Pieces},
    stream::{self, Broken, Passing, as_it_comes, resumed, whole},
    tools::call::{LONGEST, Message},
};

/// An answer as far as it was read.
struct Read {
    bytes: BytesMut,
    /// What comes behind that; nothing where it has ended.
    rest: Option<Incoming>,
    /// Whether the call went well; `None` where it does not say so.
    went_well: Option<bool>,
}

/// Passes the call on, and holds its answer back.
pub(super) async fn withhold(
    call: &Call,
    mut claim: Claim,
    mut request: Request<Passing>,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    ask_for_plain(request.headers_mut());
    let answer = upstream.ask(request).await?;
    let (answer, went_well) = if !answer.status().is_success() {
        (answer.map(as_it_comes), Some(false))
    } else if is_packed(answer.headers()) {
        (answer.map(as_it_comes), None)
    } else {
        read(call, &claim, answer).await?
    };
    if went_well == Some(true) {
        is_carried_out(&call.shared, claim.asked());
        claim.is_carried_out();
    }
    if claim.may_act() {
        claim.withhold().await;
    } else {
        judge(&call.shared, call.called.task, went_well != Some(false));
    }
    Ok(answer)
}

/// Reads an answer for as long as the fault is on.
async fn read(
    call: &Call,
    claim: &Claim,
    answer: Response<Incoming>,
) -> Result<(Response<Passing>, Option<bool>), Broken> {
    let kind = content_type(&answer).and_then(|value| value.to_str().ok());
    let framing = kind.and_then(Framing::of);
    let (mut head, body) = answer.into_parts();
    let mut read = Read {
        bytes: BytesMut::new(),
        rest: Some(body),
        went_well: None,
    };
    let message = call.called.message.as_ref();
    tokio::select! {
        ended = read.read(framing, message) => ended?,
        () = claim.hold(None) => {}
    }
    let Read {
        bytes,
        rest,
        went_well,
    } = read;
    let body = if let Some(rest) = rest {
        resumed(bytes.freeze(), rest)
    } else {
        stream::is_whole(&mut head.headers);
        whole(bytes.freeze())
    };
    Ok((Response::from_parts(head, body), went_well))
}

impl Read {
    /// Reads up to what says how the call went. What was read stays where this is dropped in the middle.
    async fn read(
        &mut self,
        framing: Option<Framing>,
        message: Option<&Message>,
    ) -> Result<(), Broken> {
        let mut pieces = framing.map(Pieces::new);
        while let Some(rest) = &mut self.rest {
            let Some(frame) = rest.frame().await else {
                self.rest = None;
                break;
            };
            let Ok(data) = frame.map_err(|_| Broken)?.into_data() else {
                continue;
            };
            self.bytes.extend_from_slice(&data);
            if self.bytes.len() > LONGEST {
                // As one that cannot be read: it has come.
                self.went_well = Some(true);
                return Ok(());
            }
            if let (Some(pieces), Some(message)) = (&mut pieces, message) {
                pieces.push(&data);
                while let Some(piece) = pieces.next() {
                    let said = piece.data().map(|range| piece.0.slice(range));
                    self.went_well = said.and_then(|said| of(&said, message));
                    if self.went_well.is_some() {
                        return Ok(());
                    }
                }
            }
        }
        // A stream that has ended without an answer says nothing.
        self.went_well = match (pieces, message) {
            (Some(_), Some(_)) => None,
            (None, Some(message)) => {
                Some(of(&self.bytes.clone().freeze(), message).unwrap_or(true))
            }
            (_, None) => Some(true),
        };
        Ok(())
    }
}

/// Whether a call went well, by what may be its answer.
fn of(said: &Bytes, message: &Message) -> Option<bool> {
    let value: Value = serde_json::from_slice(said).ok()?;
    went_well(message, &value)
}
