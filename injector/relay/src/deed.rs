//! One request: which faults take it, and what they do to it and to its answer.

mod document;
mod flow;

use std::{rc::Rc, time::Duration};

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, UPGRADE},
};
use http_body_util::BodyExt;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
};
use hyper_util::rt::TokioIo;
use injector_spec::experiment::{
    ActsOn, FaultKind, Fulfilment, OnRequests, Provider, RateLimit, Timeout,
};

use crate::{
    asked::{Asked, MOST},
    passage::Upstream,
    pieces::Framing,
    process::Shared,
    provider::{self, Failure, Made},
    rules::{Outcome, Taken},
    stream::{Broken, Passing, as_it_comes, whole},
};

/// How often what holds an answer back asks whether it still may.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A request that a rule has taken, until it is known what came of it. Dropped before, nothing did.
pub(crate) struct Claim {
    shared: Rc<Shared>,
    taken: Taken,
    outcome: Option<Outcome>,
}

impl Claim {
    /// Counts that the rule has acted; once.
    fn hit(&mut self) {
        if self.outcome.is_none() {
            self.outcome = Some(Outcome::Hit);
            let mut rules = self.shared.rules.borrow_mut();
            rules.settle(&self.taken, Outcome::Hit);
        }
    }

    /// Whether the rule may act now.
    fn may_act(&self) -> bool {
        self.shared.memory.is_live() && self.shared.rules.borrow().is_on(self.taken.rule)
    }

    /// Returns when the rule may act no more, or after this time.
    async fn hold(&self, at_most: Option<Duration>) {
        let mut left = at_most.unwrap_or(Duration::MAX);
        while !left.is_zero() && self.may_act() {
            let pause = left.min(LOOK_EVERY);
            tokio::time::sleep(pause).await;
            left -= pause;
        }
    }

    /// Whose words an answer is made up in, where the fault says so.
    fn provider(&self) -> Option<Provider> {
        on_requests(&self.taken.kind)?.requests().provider
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            let mut rules = self.shared.rules.borrow_mut();
            rules.settle(&self.taken, Outcome::Missed);
        }
    }
}

fn on_requests(kind: &FaultKind) -> Option<OnRequests<'_>> {
    match kind.acts_on() {
        ActsOn::Requests(on) => Some(on),
        ActsOn::Packets(_)
        | ActsOn::LookUps(_)
        | ActsOn::Connects
        | ActsOn::Connections
        | ActsOn::Calls(..)
        | ActsOn::Processes(_) => None,
    }
}

/// A request that faults have taken, on its way.
struct Deed {
    asked: Asked,
    /// What slows the answer down: how much later it begins, and how long each piece waits behind the one before.
    slow: Option<(Duration, Duration, Claim)>,
    /// What else is done.
    claim: Option<Claim>,
}

/// Passes a request on and its answer back, or answers it in the peer's place.
pub(crate) async fn answer(
    shared: &Rc<Shared>,
    scope: u32,
    request: Request<Incoming>,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    shared.passed.borrow_mut().requests += 1;
    if !shared.memory.is_live() || !shared.rules.borrow().concern(scope) {
        return pass(request.map(as_it_comes), upstream).await;
    }
    let (head, body) = request.into_parts();
    let Some(asked) = Asked::of(&head) else {
        shared.rules.borrow_mut().pass(scope);
        let request = Request::from_parts(head, as_it_comes(body));
        return pass(request, upstream).await;
    };
    let (asked, body) = match body.size_hint().upper() {
        Some(bytes) if bytes > MOST => (asked, as_it_comes(body)),
        Some(_) | None => {
            let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
            (asked.with_body(&body), whole(body))
        }
    };
    let taken = shared.rules.borrow_mut().ask(scope, &asked);
    let request = Request::from_parts(head, body);
    let deed = Deed::of(shared, asked, taken);
    deed.carry_out(request, upstream).await
}

/// Passes a request on and its answer back, as they are.
async fn pass(
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
        tokio::task::spawn_local(async move {
            if let (Ok(target), Ok(peer)) = (of_target.await, of_peer.await) {
                let (mut target, mut peer) = (TokioIo::new(target), TokioIo::new(peer));
                // How it ended, both ends have seen.
                let _ = tokio::io::copy_bidirectional(&mut target, &mut peer).await;
            }
        });
    }
    Ok(answer.map(as_it_comes))
}

impl Deed {
    fn of(shared: &Rc<Shared>, asked: Asked, taken: Vec<Taken>) -> Self {
        let mut deed = Self {
            asked,
            slow: None,
            claim: None,
        };
        for taken in taken {
            let slow = match &taken.kind {
                FaultKind::Slow(slow) => Some((slow.latency, slow.token_gap)),
                _ => None,
            };
            let claim = Claim {
                shared: Rc::clone(shared),
                taken,
                outcome: None,
            };
            match slow {
                Some((latency, gap)) => deed.slow = Some((latency, gap, claim)),
                None => deed.claim = Some(claim),
            }
        }
        deed
    }

    async fn carry_out(
        mut self,
        request: Request<Passing>,
        upstream: &Upstream,
    ) -> Result<Response<Passing>, Broken> {
        let Some(mut claim) = self.claim.take() else {
            return match self.slow.is_some() {
                true => self.change(None, request, upstream).await,
                false => pass(request, upstream).await,
            };
        };
        let kind = claim.taken.kind.clone();
        let Some(on) = on_requests(&kind) else {
            return pass(request, upstream).await;
        };
        match on {
            OnRequests::RateLimit(RateLimit {
                limit, retry_after, ..
            }) => {
                let failure = Failure::Limited(*limit, *retry_after);
                Ok(self.refuse(failure, claim).await)
            }
            OnRequests::ModelError(error) => {
                let failure = Failure::Status(error.status.code());
                Ok(self.refuse(failure, claim).await)
            }
            OnRequests::Overload(overload) if overload.after_tokens.is_none() => {
                Ok(self.refuse(Failure::Overloaded, claim).await)
            }
            OnRequests::Timeout(Timeout {
                request: Fulfilment::Lost,
                ..
            }) => {
                claim.hit();
                claim.hold(None).await;
                pass(request, upstream).await
            }
            OnRequests::Timeout(Timeout {
                request: Fulfilment::Delivered,
                ..
            }) => {
                let answer = pass(request, upstream).await?;
                claim.hit();
                claim.hold(None).await;
                Ok(answer)
            }
            OnRequests::Empty(_) => match provider::empty(&self.asked, claim.shared.number()) {
                Some(empty) => {
                    self.wait().await;
                    claim.hit();
                    Ok(made(StatusCode::OK, empty.content_type, whole(empty.body)))
                }
                None => pass(request, upstream).await,
            },
            OnRequests::Overload(_)
            | OnRequests::Stall(_)
            | OnRequests::Cut(_)
            | OnRequests::Malformed(_)
            | OnRequests::WrongModel(_)
            | OnRequests::Slow(_) => self.change(Some(claim), request, upstream).await,
        }
    }

    /// Lets an answer begin later, where that is asked.
    async fn wait(&mut self) {
        if let Some((latency, _, claim)) = &mut self.slow
            && !latency.is_zero()
        {
            claim.hit();
            claim.hold(Some(*latency)).await;
        }
    }

    async fn refuse(mut self, failure: Failure, mut claim: Claim) -> Response<Passing> {
        self.wait().await;
        let number = claim.shared.number();
        let Made {
            status,
            headers,
            body,
        } = provider::refusal(failure, &self.asked, claim.provider(), number);
        claim.hit();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = made(status, "application/json", whole(body));
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                answer.headers_mut().insert(name, value);
            }
        }
        answer
    }

    /// Passes the request on, and changes what comes of it.
    async fn change(
        mut self,
        claim: Option<Claim>,
        mut request: Request<Passing>,
        upstream: &Upstream,
    ) -> Result<Response<Passing>, Broken> {
        // What is packed cannot be read piece by piece.
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let answer = upstream.ask(request).await?;
        self.wait().await;
        if !answer.status().is_success() || is_packed(answer.headers()) {
            return Ok(answer.map(as_it_comes));
        }
        let content_type = answer.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        match content_type.and_then(Framing::of) {
            Some(framing) => Ok(flow::changed(self, claim, framing, answer)),
            None => match claim {
                Some(claim) => document::changed(&self.asked, claim, answer).await,
                None => Ok(answer.map(as_it_comes)),
            },
        }
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
