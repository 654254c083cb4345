//! One call of a tool: which faults take it, and what they do to it. What is done to its answer is in [`reply`].

mod held;
mod reply;

use std::{fmt::Display, rc::Rc};

use http::{HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts};
use hyper::{Request, Response, body::Incoming};
use injector_spec::{
    experiment::{Fulfilment, RpcCode},
    quantity::HttpStatus,
};

use self::reply::Reply;
use super::{Claim, Try, invited, made, pass_well, unmet, wait, withhold};
use crate::{
    act::{Act, Answer, Slow, ToolAct},
    asked::MOST,
    passage::Upstream,
    process::Shared,
    reactions::Next,
    rules::{Met, Origin},
    stream::{self, Broken, Passing, Read, whole, whole_with},
    tools::{
        call::{Called, Message, Unmet},
        memory::Remembered,
        words,
    },
};

/// A call on its way.
struct Call {
    shared: Rc<Shared>,
    scope: u32,
    called: Called,
    tried: Try,
    /// What slows the answer down.
    slow: Option<(Slow, Claim)>,
    memory: Keeping,
}

/// Whether a rule may give the answer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    /// What the tool answers is kept.
    Kept,
    /// It is not.
    Forgotten,
}

/// Passes a request on that may call a tool and its answer back, or answers it in the tool's place.
pub(super) async fn answer(
    shared: &Rc<Shared>,
    origin: Origin,
    head: Parts,
    body: Incoming,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    // Read before the rules are asked: it takes as long as the target takes to send it.
    let (called, body) = match stream::read(body, MOST).await? {
        Read::Whole(body, trailers) => {
            let called = Called::of(&head, origin, &body);
            (called, whole_with(body, trailers))
        }
        Read::TooLong(body) => {
            let request = Request::from_parts(head, body);
            return unmet(shared, origin, request, upstream).await;
        }
    };
    let tried = Try::comes(shared, called.task, called.repeat);
    let mut taken = Vec::new();
    if shared.is_met(origin) {
        taken = shared.rules.borrow_mut().ask(origin, Met::Tool(&called));
        if taken.is_empty() {
            count(shared, called.unmet);
        }
    }
    let request = Request::from_parts(head, body);
    let remembers = shared.rules.borrow().remembers(origin, &called);
    if taken.is_empty() && !remembers && !shared.reactions.borrow().is_open(called.task) {
        return pass_well(shared, &tried, request, upstream).await;
    }
    let mut call = Call {
        shared: Rc::clone(shared),
        scope: origin.scope,
        called,
        tried,
        slow: None,
        memory: if remembers {
            Keeping::Kept
        } else {
            Keeping::Forgotten
        },
    };
    let mut other = None;
    for (act, taken) in taken {
        let claim = Claim::of(shared, taken, (call.called.task, call.called.repeat));
        match act {
            Act::Slow(slow) => call.slow = Some((slow, claim)),
            Act::Tool(act) => other = Some((act, claim)),
            // Its rule takes no call of a tool.
            Act::Final(_) => {}
        }
    }
    call.carry_out(other, request, upstream).await
}

/// Counts requests that faults would have met, were they not what they are.
fn count(shared: &Shared, unmet: Option<Unmet>) {
    let mut passed = shared.passed.borrow_mut();
    match unmet {
        Some(Unmet::Batch) => passed.batches += 1,
        Some(Unmet::Elsewhere) => passed.elsewhere += 1,
        None => {}
    }
}

impl Call {
    /// Does what is asked beside what slows the answer down.
    async fn carry_out(
        mut self,
        other: Option<(ToolAct, Claim)>,
        request: Request<Passing>,
        upstream: &Upstream,
    ) -> Result<Response<Passing>, Broken> {
        let Some((act, mut claim)) = other else {
            return Reply::of(self, None).fetch(request, upstream).await;
        };
        match act {
            ToolAct::Withhold(Fulfilment::Delivered) => {
                held::withhold(self, claim, request, upstream).await
            }
            ToolAct::Withhold(lost @ Fulfilment::Lost) => {
                let both = (claim, &self.tried);
                withhold(&self.shared, lost, both, request, upstream).await
            }
            ToolAct::Alter(alter, interface) => {
                let alter = Some((alter, interface, claim));
                Reply::of(self, alter).fetch(request, upstream).await
            }
            ToolAct::Answer(answer) => {
                wait(&mut self.slow).await;
                let made = self.made_up(&answer).filter(|_| claim.may_act());
                let Some(made) = made else {
                    // Nothing to answer by, or no time left for it: the claim is given back. It has waited already.
                    drop(claim);
                    self.slow = None;
                    return Reply::of(self, None).fetch(request, upstream).await;
                };
                match answer {
                    // Neither of both says whether another try would help.
                    Answer::Error(..) | Answer::IsError(_) => claim.fail(Next::Open, None),
                    Answer::Status(status, _) => claim.fail(invited(status.code()), None),
                    Answer::Again => claim.answer_in_vain(),
                }
                Ok(made)
            }
        }
    }

    /// An answer in the tool's place; `None` where there is none to give.
    fn made_up(&self, answer: &Answer) -> Option<Response<Passing>> {
        let message = self.called.message.as_ref();
        match answer {
            Answer::Error(code, text) => Some(self.error(message?, *code, text.as_deref())),
            Answer::IsError(text) => {
                let id = &message?.id;
                Some(self.say(&words::failed(id, text, self.called.results)))
            }
            Answer::Status(status, text) => Some(plain_error(*status, text.as_deref())),
            Answer::Again => {
                let rules = self.shared.rules.borrow();
                match rules.answers.last(self.scope, &self.called)? {
                    Remembered::Result(result) => {
                        Some(self.say(&words::result(&message?.id, &result)))
                    }
                    Remembered::Document(content_type, body) => {
                        let mut answer = Response::new(whole(body));
                        if let Some(content_type) = content_type {
                            answer.headers_mut().insert(CONTENT_TYPE, content_type);
                        }
                        Some(answer)
                    }
                }
            }
        }
    }

    fn error(&self, message: &Message, code: RpcCode, text: Option<&str>) -> Response<Passing> {
        let text = text.unwrap_or(code.meaning());
        self.say(&words::error(&message.id, code.number(), text))
    }

    /// A message of JSON-RPC as an answer.
    fn say(&self, message: &impl Display) -> Response<Passing> {
        let words::Answer { content_type, body } = words::message(message, self.called.accepts);
        made(StatusCode::OK, content_type, whole(body))
    }
}

fn plain_error(status: HttpStatus, text: Option<&str>) -> Response<Passing> {
    let status = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = words::plain_error(status, text).to_string();
    made(status, "application/json", whole(body.into()))
}

/// The type that an answer says it has.
fn content_type<B>(answer: &Response<B>) -> Option<&HeaderValue> {
    answer.headers().get(CONTENT_TYPE)
}
