//! What a tool answers: read while it passes, kept where it may be given again, and changed where a fault says so.
//!
//! An answer by MCP is one document, or an event of a stream, beside which others pass as they are.

use bytes::Bytes;
use http::StatusCode;
use hyper::{Request, Response, body::Incoming};
use injector_spec::experiment::Interface;
use serde_json::Value;

use super::{
    super::{Claim, ask_for_plain, is_packed, wait},
    Call, Keeping, content_type,
};
use crate::{
    flow::{self, Meet, Next},
    passage::Upstream,
    pieces::{Framing, Piece},
    reactions::Next as NextTry,
    stream::{self, Broken, Passing, Read, Writer, as_it_comes, whole},
    tools::{
        alter::{Alter, Answers, altered},
        call::{LONGEST, Message},
        memory::Remembered,
    },
};

/// An answer that is to come.
pub(super) struct Reply {
    call: Call,
    /// How it is changed, as one of this interface.
    alter: Option<(Alter, Interface, Claim)>,
    judgement: Judgement,
    unread: Unread,
}

/// Whether something of the answer could not be read, which may have been it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    None,
    Some,
}

/// Whether it is known how the call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// Not yet.
    Open,
    /// It is.
    Given,
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// As one document.
    Whole,
    /// As an event of a stream.
    InAStream,
}

impl Reply {
    pub(super) const fn of(call: Call, alter: Option<(Alter, Interface, Claim)>) -> Self {
        Self {
            call,
            alter,
            judgement: Judgement::Open,
            unread: Unread::None,
        }
    }

    /// Passes the request on, and sees to what comes of it.
    pub(super) async fn fetch(
        mut self,
        mut request: Request<Passing>,
        upstream: &Upstream,
    ) -> Result<Response<Passing>, Broken> {
        ask_for_plain(request.headers_mut());
        let answer = upstream.ask(request).await?;
        wait(&mut self.call.slow).await;
        self.answered(answer).await
    }

    /// Sees to the answer that has come.
    pub(super) async fn answered(
        mut self,
        answer: Response<Incoming>,
    ) -> Result<Response<Passing>, Broken> {
        // Without an answer, or with one that says nothing, it has not gone well: to drop the try says so.
        if !answer.status().is_success() {
            return Ok(answer.map(as_it_comes));
        }
        if is_packed(answer.headers()) {
            self.came_unread();
            return Ok(answer.map(as_it_comes));
        }
        let kind = content_type(&answer).and_then(|value| value.to_str().ok());
        match kind.and_then(Framing::of) {
            Some(framing) => Ok(self.stream(framing, answer)),
            None => self.document(answer).await,
        }
    }

    async fn document(mut self, answer: Response<Incoming>) -> Result<Response<Passing>, Broken> {
        let kind = content_type(&answer).cloned();
        let (mut head, body) = answer.into_parts();
        let body = match stream::read(body, LONGEST).await? {
            Read::Whole(body, _) => body,
            Read::TooLong(body) => {
                self.came_unread();
                return Ok(Response::from_parts(head, body));
            }
        };
        stream::is_whole(&mut head.headers);
        let is_one = head.status == StatusCode::OK && !body.is_empty();
        if is_one && self.call.memory == Keeping::Kept && self.call.called.message.is_none() {
            self.learn(Remembered::document(kind.as_ref(), &body));
        }
        let met = self.see(&body, Comes::Whole).map(Bytes::from);
        self.has_ended();
        if met.is_some() {
            stream::is_changed(&mut head.headers);
        }
        Ok(Response::from_parts(head, whole(met.unwrap_or(body))))
    }

    fn stream(self, framing: Framing, answer: Response<Incoming>) -> Response<Passing> {
        let (mut head, body) = answer.into_parts();
        if self.alter.is_some() {
            stream::is_changed(&mut head.headers);
        }
        flow::met(self, framing, head, body)
    }

    /// Sees to what may be the answer; what stands in its place, where it is another.
    fn see(&mut self, text: &[u8], comes: Comes) -> Option<Vec<u8>> {
        if text.len() > LONGEST {
            self.unread = Unread::Some;
            return None;
        }
        let Ok(value) = serde_json::from_slice::<Value>(text) else {
            self.unread = Unread::Some;
            return None;
        };
        let went_well = match &self.call.called.message {
            // Others in its stream are notifications, and requests of the tool's.
            Some(message) => went_well(message, &value)?,
            // It has come, in pieces that no fault is about.
            None if comes == Comes::InAStream => {
                self.is_carried_out();
                self.judge(true);
                return None;
            }
            None => true,
        };
        let by_rpc = self.call.called.message.is_some();
        let is_final = !by_rpc || is_final(&value["result"]);
        if is_final && went_well && self.call.memory == Keeping::Kept && by_rpc {
            self.learn(Remembered::Result(value["result"].to_string().into()));
        }
        if went_well {
            self.is_carried_out();
        }
        let other = if is_final {
            self.alter(text, value, comes)
        } else {
            None
        };
        if other.is_none() {
            self.judge(went_well);
        }
        // What a fault has made of it is told by its claim.
        self.judgement = Judgement::Given;
        other
    }

    fn alter(&mut self, text: &[u8], value: Value, comes: Comes) -> Option<Vec<u8>> {
        let (alter, interface, claim) = self.alter.as_mut()?;
        if !claim.may_act() || (*interface == Interface::Json && comes == Comes::InAStream) {
            return None;
        }
        let answers = Answers::of(*interface, self.call.called.message.as_ref());
        let other = altered(text, value, alter, answers)?;
        // A server that answers one request twice was not asked twice.
        if claim.outcome.is_none() {
            match alter {
                Alter::BreakOff => claim.fail(NextTry::Open, None),
                Alter::Empty | Alter::Garble | Alter::Reshape(_) | Alter::Inject(_) => {
                    claim.answer_in_vain();
                }
            }
        }
        Some(other)
    }

    /// Takes in, once, that the tool has carried the call out.
    fn is_carried_out(&mut self) {
        if self.judgement == Judgement::Given {
            return;
        }
        self.call.tried.is_carried_out();
        if let Some((_, _, claim)) = &mut self.alter {
            claim.is_carried_out();
        }
    }

    fn learn(&self, answer: Remembered) {
        let Call {
            shared,
            scope,
            called,
            ..
        } = &self.call;
        shared
            .rules
            .borrow_mut()
            .answers
            .learn(*scope, called, answer);
    }

    /// All of it has come. What could not be read is what it is, as where nothing is.
    fn has_ended(&mut self) {
        if self.unread == Unread::Some {
            self.came_unread();
        }
    }

    /// An answer with success has come that could not be read. By MCP that is no sign that the call was carried out, for a tool says
    /// with such a status that it has failed; and none that it was not.
    fn came_unread(&mut self) {
        if self.call.called.message.is_none() {
            self.is_carried_out();
        }
        self.judge(true);
    }

    fn judge(&mut self, went_well: bool) {
        if self.judgement == Judgement::Open {
            self.judgement = Judgement::Given;
            if went_well {
                self.call.tried.goes_well();
            } else {
                self.call.tried.goes_wrong();
            }
        }
    }
}

impl Meet for Reply {
    async fn meet(&mut self, piece: Piece, _: &Writer) -> Result<Next, Broken> {
        let Some(range) = piece.data() else {
            return Ok(Next::Piece(piece));
        };
        let other = self.see(&piece.0[range.clone()], Comes::InAStream);
        Ok(Next::Piece(match other {
            Some(other) => piece.with_data(range, &other),
            None => piece,
        }))
    }

    fn ends(&mut self) {
        self.has_ended();
    }
}

/// Whether a call went well, by this message; `None` where it is not the answer to it.
pub(super) fn went_well(message: &Message, value: &Value) -> Option<bool> {
    if value["id"] != *message.id.value() || value.get("method").is_some() {
        return None;
    }
    Some(value.get("result").is_some() && value["result"]["isError"] != true)
}

/// Whether a result is the tool's answer: no task that goes on (MCP 2025-11-25), and no question to the client (2026-07-28).
fn is_final(result: &Value) -> bool {
    result.get("task").is_none()
        && result
            .get("resultType")
            .is_none_or(|kind| kind == "complete")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_and_a_question_are_no_answers() {
        for (result, expected) in [
            (json!({"content": []}), true),
            (json!({"content": [], "resultType": "complete"}), true),
            (json!({"resultType": "input_required"}), false),
            (json!({"task": {"taskId": "1"}}), false),
            (Value::Null, true),
        ] {
            assert_eq!(is_final(&result), expected, "{result}");
        }
    }
}
