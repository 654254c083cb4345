//! An answer that is one document, changed as a whole.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::{Response, body::Incoming};
use injector_spec::experiment::{Cut, Ending, OnRequests};
use serde_json::Value;

use super::{Claim, on_requests};
use crate::{
    asked::{Asked, MOST},
    provider,
    stream::{self, Broken, Passing, Read, as_it_comes, piped, whole},
};

/// Changes an answer as its fault says. One that is too long to be read as a whole goes on as it is.
pub(super) async fn changed(
    asked: &Asked,
    mut claim: Claim,
    answer: Response<Incoming>,
) -> Result<Response<Passing>, Broken> {
    let kind = claim.taken.kind.clone();
    let on = on_requests(&kind);
    let is_changed = match on {
        Some(
            OnRequests::Stall(_)
            | OnRequests::Cut(_)
            | OnRequests::Malformed(_)
            | OnRequests::WrongModel(_),
        ) => true,
        // An error in the middle of what does not stream is no such thing; the others have acted before.
        Some(
            OnRequests::Overload(_)
            | OnRequests::RateLimit(_)
            | OnRequests::ModelError(_)
            | OnRequests::Timeout(_)
            | OnRequests::Slow(_)
            | OnRequests::Empty(_),
        )
        | None => false,
    };
    if !is_changed || asked.streams {
        return Ok(answer.map(as_it_comes));
    }
    let (mut head, body) = answer.into_parts();
    let body = match stream::read(body, MOST).await? {
        Read::Whole(body, _) => body,
        Read::TooLong(body) => return Ok(Response::from_parts(head, body)),
    };
    // It has a length now, however it came.
    head.headers.remove(TRANSFER_ENCODING);
    if !claim.may_act() {
        return Ok(Response::from_parts(head, whole(body)));
    }
    let half = body.slice(..body.len() / 2);
    let changed = match on {
        Some(
            OnRequests::Malformed(_)
            | OnRequests::Cut(Cut {
                ending: Ending::Clean,
                ..
            }),
        ) => half,
        Some(OnRequests::Cut(_)) => {
            claim.fail(None);
            head.headers.insert(CONTENT_LENGTH, body.len().into());
            let (writer, passing) = piped();
            tokio::task::spawn_local(async move {
                if writer.write(half).await.is_ok() {
                    writer.break_off().await;
                }
            });
            return Ok(Response::from_parts(head, passing));
        }
        Some(OnRequests::WrongModel(wrong)) => match renamed(&body, &wrong.answers) {
            Some(changed) => changed,
            None => return Ok(Response::from_parts(head, whole(body))),
        },
        _ => {
            head.headers.insert(CONTENT_LENGTH, body.len().into());
            return Ok(Response::from_parts(head, stalled(claim, body)));
        }
    };
    match on {
        Some(OnRequests::WrongModel(_)) => claim.hit(),
        _ => claim.fail(None),
    }
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(head, whole(changed)))
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
