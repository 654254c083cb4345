//! One request: which faults take it, and what they do to it and to its answer.

mod claim;
mod document;
mod tokens;
mod tool;
mod tried;

use std::{rc::Rc, time::Instant};

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, UPGRADE},
};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use injector_spec::{
    experiment::{Fulfilment, Limit},
    quantity::invites_another_try,
};

use self::{claim::Claim, tried::Try};
use crate::{
    act::{Act, Change, Final, Slow},
    asked::{Asked, MOST},
    passage::Upstream,
    pieces::Framing,
    process::{Open, Shared},
    provider::{self, Failure, Made},
    reactions::Next,
    rules::{Met, Origin},
    stream::{self, Broken, Passing, Read, as_it_comes, whole, whole_with},
    tunnel,
};

/// A request that faults have taken, on its way.
struct Deed {
    shared: Rc<Shared>,
    /// The target.
    scope: u32,
    asked: Asked,
    tried: Try,
    /// What slows the answer down.
    slow: Option<(Slow, Claim)>,
}

/// Passes a request on and its answer back, or answers it in the peer's place.
pub(crate) async fn answer(
    shared: &Rc<Shared>,
    origin: Origin,
    request: Request<Incoming>,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    shared.passed.borrow_mut().requests += 1;
    let (head, body) = request.into_parts();
    let Some(asked) = Asked::of(&head) else {
        if shared.rules.borrow().reads(origin, &head) {
            return tool::answer(shared, origin, head, body, upstream).await;
        }
        let request = Request::from_parts(head, as_it_comes(body));
        return unmet(shared, origin, request, upstream).await;
    };
    // Read before the rules are asked: it takes as long as the target takes to send it.
    let (asked, body) = match stream::read(body, MOST).await? {
        Read::Whole(body, trailers) => {
            let asked = asked.with_body(origin.scope, &head.headers, &body);
            let mut reactions = shared.reactions.borrow_mut();
            reactions.says(origin.scope, asked.task, &body);
            (asked, whole_with(body, trailers))
        }
        Read::TooLong(body) => {
            let request = Request::from_parts(head, body);
            return unmet(shared, origin, request, upstream).await;
        }
    };
    let tried = Try::comes(shared, asked.task, asked.repeat);
    let taken = if shared.is_met(origin) {
        shared.rules.borrow_mut().ask(origin, Met::Model(&asked))
    } else {
        Vec::new()
    };
    let request = Request::from_parts(head, body);
    if taken.is_empty() {
        return pass_well(shared, &tried, request, upstream).await;
    }
    let mut deed = Deed {
        shared: Rc::clone(shared),
        scope: origin.scope,
        asked,
        tried,
        slow: None,
    };
    let mut other = None;
    for (act, taken) in taken {
        let claim = Claim::of(shared, taken, (deed.asked.task, deed.asked.repeat));
        match act {
            Act::Slow(slow) => deed.slow = Some((slow, claim)),
            Act::Final(act) => other = Some((act, claim)),
            // Its rule takes no request to a model.
            Act::Tool(_) => {}
        }
    }
    deed.carry_out(other, request, upstream).await
}

/// Lets an answer begin later, where that is asked.
async fn wait(slow: &mut Option<(Slow, Claim)>) {
    if let Some((slow, claim)) = slow
        && !slow.latency.is_zero()
        && claim.may_act()
    {
        claim.hit();
        claim.hold(Some(Instant::now() + slow.latency)).await;
    }
}

/// Has an answer come so that it can be read: not packed, for what is cannot be read piece by piece, and not going on in
/// another protocol.
fn ask_for_plain(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.remove(UPGRADE);
    headers.remove("http2-settings");
}

/// Passes a request on that no rule can take, and counts it for those that are on.
async fn unmet(
    shared: &Rc<Shared>,
    origin: Origin,
    request: Request<Passing>,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    if shared.is_met(origin) {
        shared.rules.borrow_mut().pass(origin);
    }
    pass(shared, request, upstream).await
}

/// Holds the answer to a request back, which the peer gets now or when the fault is over.
async fn withhold(
    shared: &Rc<Shared>,
    which: Fulfilment,
    (mut claim, tried): (Claim, &Try),
    request: Request<Passing>,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    match which {
        Fulfilment::Lost => {
            claim.withhold().await;
            pass(shared, request, upstream).await
        }
        Fulfilment::Delivered => {
            let answer = pass(shared, request, upstream).await?;
            let went_well = answer.status().is_success();
            if went_well {
                tried.is_carried_out();
                claim.is_carried_out();
            }
            if claim.may_act() {
                claim.withhold().await;
            } else if went_well {
                tried.goes_well();
            }
            Ok(answer)
        }
    }
}

/// Passes a request on that no fault has met, and sees whether it goes well.
async fn pass_well(
    shared: &Rc<Shared>,
    tried: &Try,
    request: Request<Passing>,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    let answer = pass(shared, request, upstream).await?;
    if answer.status().is_success() {
        tried.is_carried_out();
        tried.goes_well();
    }
    Ok(answer)
}

/// Passes a request on and its answer back, as they are.
async fn pass(
    shared: &Rc<Shared>,
    mut request: Request<Passing>,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    let upgrades = request.headers().contains_key(UPGRADE);
    let of_target = upgrades.then(|| hyper::upgrade::on(&mut request));
    let mut answer = upstream.ask(request).await?;
    if let Some(of_target) = of_target
        && answer.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        let of_peer = hyper::upgrade::on(&mut answer);
        // It is open for as long as its tunnel.
        let (open, shared) = (Open::of(shared), Rc::clone(shared));
        tokio::task::spawn_local(async move {
            if let (Ok(target), Ok(peer)) = (of_target.await, of_peer.await) {
                tunnel::pass(&shared, TokioIo::new(target), TokioIo::new(peer)).await;
            }
            drop(open);
        });
    }
    Ok(answer.map(as_it_comes))
}

impl Deed {
    /// Does what is asked beside what slows the answer down.
    async fn carry_out(
        mut self,
        other: Option<(Final, Claim)>,
        request: Request<Passing>,
        upstream: &Upstream,
    ) -> Result<Response<Passing>, Broken> {
        let Some((act, mut claim)) = other else {
            return self.change(None, request, upstream).await;
        };
        match act {
            Final::Refuse(failure) => self.refuse(failure, claim, request, upstream).await,
            Final::Withhold(which) => {
                let both = (claim, &self.tried);
                withhold(&self.shared, which, both, request, upstream).await
            }
            Final::Empty => {
                let empty = provider::empty(&self.asked, self.shared.number());
                wait(&mut self.slow).await;
                match empty.filter(|_| claim.may_act()) {
                    Some(empty) => {
                        claim.hit();
                        self.tried.is_answered();
                        Ok(made(StatusCode::OK, empty.content_type, whole(empty.body)))
                    }
                    None => self.pass_well(request, upstream).await,
                }
            }
            Final::Change(change) => self.change(Some((change, claim)), request, upstream).await,
        }
    }

    async fn pass_well(
        &self,
        request: Request<Passing>,
        upstream: &Upstream,
    ) -> Result<Response<Passing>, Broken> {
        pass_well(&self.shared, &self.tried, request, upstream).await
    }

    /// Answers in the peer's place, which never hears of the request.
    async fn refuse(
        mut self,
        failure: Failure,
        mut claim: Claim,
        request: Request<Passing>,
        upstream: &Upstream,
    ) -> Result<Response<Passing>, Broken> {
        wait(&mut self.slow).await;
        if !claim.may_act() {
            return self.pass_well(request, upstream).await;
        }
        let whose = claim.provider(&self.asked);
        let next = next(failure);
        let Made {
            status,
            headers,
            body,
            wait,
        } = provider::refusal(failure, &self.asked, whose, self.shared.number());
        claim.fail(next, wait);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = made(status, "application/json", whole(body));
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                answer.headers_mut().insert(name, value);
            }
        }
        Ok(answer)
    }

    /// Passes the request on, and changes what comes of it.
    async fn change(
        mut self,
        mut change: Option<(Change, Claim)>,
        mut request: Request<Passing>,
        upstream: &Upstream,
    ) -> Result<Response<Passing>, Broken> {
        ask_for_plain(request.headers_mut());
        let answer = upstream.ask(request).await?;
        if !answer.status().is_success() {
            self.tried.goes_wrong();
            wait(&mut self.slow).await;
            return Ok(answer.map(as_it_comes));
        }
        self.tried.is_carried_out();
        if let Some((_, claim)) = &mut change {
            claim.is_carried_out();
        }
        let is_left_alone = is_packed(answer.headers());
        if change.is_none() || is_left_alone {
            self.tried.goes_well();
        }
        wait(&mut self.slow).await;
        if is_left_alone {
            return Ok(answer.map(as_it_comes));
        }
        let content_type = answer.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        match content_type.and_then(Framing::of) {
            Some(framing) => Ok(tokens::changed(self, change, framing, answer)),
            None => match change {
                Some((change, claim)) => document::changed(self, change, claim, answer).await,
                None => Ok(answer.map(as_it_comes)),
            },
        }
    }
}

/// Whether clients are to try again behind such an answer.
const fn next(failure: Failure) -> Next {
    match failure {
        Failure::Limited(Limit::Quota, _) => Next::Open,
        Failure::Limited(Limit::Rate | Limit::SlowDown, _) | Failure::Overloaded => Next::Invited,
        Failure::Status(status) => invited(status),
    }
}

/// By what the status says.
const fn invited(status: u16) -> Next {
    if invites_another_try(status) {
        Next::Invited
    } else {
        Next::Open
    }
}

fn is_packed(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING);
    encoding.is_some_and(|encoding| encoding.as_bytes() != b"identity")
}

fn made(status: StatusCode, content_type: &'static str, body: Passing) -> Response<Passing> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
