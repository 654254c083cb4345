//! An answer that is one document, changed as a whole.

use bytes::Bytes;
use http::{header::CONTENT_LENGTH, response::Parts};
use hyper::{Response, body::Incoming};
use injector_spec::experiment::Ending;
use serde_json::Value;

use super::{Claim, Deed};
use crate::{
    act::Change,
    asked::MOST,
    provider,
    reactions::Next,
    stream::{self, Broken, Passing, Read, as_it_comes, piped, whole},
};

/// Changes an answer as its fault says. One that is too long to be read as a whole goes on as it is.
pub(super) async fn changed(
    mut deed: Deed,
    change: Change,
    mut claim: Claim,
    answer: Response<Incoming>,
) -> Result<Response<Passing>, Broken> {
    // A document where a stream was asked for is another answer than was meant.
    if deed.asked.streams {
        deed.tried.goes_well();
        return Ok(answer.map(as_it_comes));
    }
    let (mut head, body) = answer.into_parts();
    let body = match stream::read(body, MOST).await? {
        Read::Whole(body, _) => body,
        Read::TooLong(body) => {
            deed.tried.goes_well();
            return Ok(Response::from_parts(head, body));
        }
    };
    stream::is_whole(&mut head.headers);
    if !claim.may_act() {
        deed.tried.goes_well();
        return Ok(Response::from_parts(head, whole(body)));
    }
    stream::is_changed(&mut head.headers);
    let next = next(&change);
    let half = body.slice(..body.len() / 2);
    let changed = match change {
        Change::Malform | Change::Cut(_, Ending::Clean) => {
            claim.fail(next, None);
            half
        }
        Change::Cut(_, Ending::Dirty) => {
            claim.fail(next, None);
            return Ok(with_length(head, body.len(), broken_off(half)));
        }
        Change::Stall(_) => {
            let length = body.len();
            return Ok(with_length(head, length, stalled(claim, body)));
        }
        Change::Rename(model) => match renamed(&body, &model) {
            Some(renamed) => {
                claim.hit();
                deed.tried.is_answered();
                renamed
            }
            None => body,
        },
        // An error in the middle of what does not stream is no such thing.
        Change::BreakOff(_) => body,
    };
    if claim.outcome.is_none() {
        deed.tried.goes_well();
    }
    Ok(Response::from_parts(head, whole(changed)))
}

/// Whether clients are to try again behind an answer that is changed so: what cannot be read may be a mistake of their own.
pub(super) const fn next(change: &Change) -> Next {
    match change {
        Change::Cut(..) | Change::Stall(_) | Change::BreakOff(_) => Next::Invited,
        Change::Malform | Change::Rename(_) => Next::Open,
    }
}

/// An answer that says a length, whatever comes of its body.
fn with_length(mut head: Parts, bytes: usize, body: Passing) -> Response<Passing> {
    head.headers.insert(CONTENT_LENGTH, bytes.into());
    Response::from_parts(head, body)
}

/// This, and no end.
fn broken_off(begin: Bytes) -> Passing {
    let (writer, passing) = piped();
    tokio::task::spawn_local(async move {
        if writer.write(begin).await.is_ok() {
            writer.break_off().await;
        }
    });
    passing
}

/// The first byte now, the rest when the fault ends.
fn stalled(mut claim: Claim, body: Bytes) -> Passing {
    let (writer, passing) = piped();
    tokio::task::spawn_local(async move {
        let rest = body.slice(body.len().min(1)..);
        let first = body.slice(..body.len().min(1));
        if writer.write(first).await.is_err() {
            return;
        }
        tokio::select! {
            () = claim.withhold() => {
                // No reader is as good.
                let _ = writer.write(rest).await;
            }
            () = writer.unread() => {}
        }
    });
    passing
}

fn renamed(body: &Bytes, model: &str) -> Option<Bytes> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    provider::rename(&mut value, model).then(|| Bytes::from(value.to_string()))
}
