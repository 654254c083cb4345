//! A call whose answer is held back: what the tool has answered by then decides whether the call was carried out.
//!
//! The answer is held from when it begins: a target that lets go of it while it is still coming has let go of what the fault holds. It
//! is read meanwhile, for by MCP a tool says with status 200 that it has failed. Of a stream as much is read as goes up to the answer
//! in it. One that does not come, not in time, not within 1 MiB, or that cannot be read, is no sign that the call was carried out.

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http_body_util::BodyExt;
use hyper::{Request, Response, body::Body};
use serde_json::Value;

use super::{
    super::{ask_for_plain, is_packed},
    Call, Claim,
    reply::{Reply, went_well},
};
use crate::{
    passage::Upstream,
    pieces::{Framing, Pieces},
    stream::{self, Broken, Passing, resumed, whole},
    tools::call::{LONGEST, Message},
};

/// An answer as far as it was read.
struct Read<B> {
    bytes: BytesMut,
    /// What comes behind that; nothing where it has ended.
    rest: Option<B>,
}

/// What an answer says of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// The tool has carried it out.
    CarriedOut,
    /// It has not, or nothing that could be read.
    Nothing,
}

/// Passes the call on, and holds its answer back.
pub(super) async fn withhold(
    call: Call,
    mut claim: Claim,
    mut request: Request<Passing>,
    upstream: &Upstream,
) -> Result<Response<Passing>, Broken> {
    ask_for_plain(request.headers_mut());
    let answer = upstream.ask(request).await?;
    if !claim.may_act() {
        return Reply::of(call, None).answered(answer).await;
    }
    claim.begins_to_hold();
    let (mut head, body) = answer.into_parts();
    let mut read = Read::of(body);
    let message = call.called.message.as_ref();
    let says = tokio::select! {
        says = read.says(&head, message) => says,
        () = claim.hold(None) => Ok(Says::Nothing),
    };
    if says == Ok(Says::CarriedOut) {
        call.tried.is_carried_out();
        claim.is_carried_out();
    }
    // The tool need not wait for the target with the rest.
    let rest = tokio::select! {
        rest = read.all() => rest,
        () = claim.hold(None) => Ok(()),
    };
    claim.hold(None).await;
    claim.has_held();
    // What broke while it was held breaks off now.
    says.and(rest)?;
    let Read { bytes, rest } = read;
    let body = if let Some(rest) = rest {
        resumed(bytes.freeze(), rest)
    } else {
        stream::is_whole(&mut head.headers);
        whole(bytes.freeze())
    };
    Ok(Response::from_parts(head, body))
}

impl<B: Body<Data = Bytes> + Unpin> Read<B> {
    fn of(body: B) -> Self {
        Self {
            bytes: BytesMut::new(),
            rest: Some(body),
        }
    }

    /// What the answer with this head says of the call, which is this message where it is one by MCP. What was read stays where this is
    /// dropped in the middle.
    async fn says(&mut self, head: &Parts, message: Option<&Message>) -> Result<Says, Broken> {
        let Some(message) = message else {
            // Its status says it all.
            return Ok(if head.status.is_success() {
                Says::CarriedOut
            } else {
                Says::Nothing
            });
        };
        if !head.status.is_success() || is_packed(&head.headers) {
            return Ok(Says::Nothing);
        }
        let kind = head.headers.get(http::header::CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok());
        match kind.and_then(Framing::of) {
            Some(framing) => self.of_a_stream(framing, message).await,
            None => self.of_a_document(message).await,
        }
    }

    /// Reads up to what says how the call went.
    async fn of_a_stream(&mut self, framing: Framing, message: &Message) -> Result<Says, Broken> {
        let mut pieces = Pieces::new(framing);
        while let Some(data) = self.more().await? {
            pieces.push(&data);
            while let Some(piece) = pieces.next() {
                let said = piece.data().map(|range| piece.0.slice(range));
                if let Some(says) = said.and_then(|said| of(&said, message)) {
                    return Ok(says);
                }
            }
        }
        Ok(Says::Nothing)
    }

    /// Reads all of it.
    async fn of_a_document(&mut self, message: &Message) -> Result<Says, Broken> {
        self.all().await?;
        // Of one that is too long this is the beginning, which is no message.
        Ok(of(&self.bytes, message).unwrap_or(Says::Nothing))
    }

    /// Reads as much as may be read.
    async fn all(&mut self) -> Result<(), Broken> {
        while self.more().await?.is_some() {}
        Ok(())
    }

    /// The next of it; `None` behind its end, and behind what is too long to be read.
    async fn more(&mut self) -> Result<Option<Bytes>, Broken> {
        while let Some(rest) = &mut self.rest {
            if self.bytes.len() > LONGEST {
                return Ok(None);
            }
            let Some(frame) = rest.frame().await else {
                self.rest = None;
                break;
            };
            if let Ok(data) = frame.map_err(|_| Broken)?.into_data() {
                self.bytes.extend_from_slice(&data);
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// What may be the answer to this message says of the call; `None` where it is not, or is too long to be read.
fn of(said: &[u8], message: &Message) -> Option<Says> {
    if said.len() > LONGEST {
        return None;
    }
    let value: Value = serde_json::from_slice(said).ok()?;
    Some(if went_well(message, &value)? {
        Says::CarriedOut
    } else {
        Says::Nothing
    })
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, pin::pin, task::Poll};

    use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
    use hyper::body::Frame;
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::tools::call::Id;

    const DOCUMENT: &str = "application/json";
    const EVENTS: &str = "text/event-stream; charset=utf-8";

    /// A body that is written by hand, and has an end once its sender is gone.
    struct Written(mpsc::UnboundedReceiver<Frame<Bytes>>);

    impl Body for Written {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(context).map(|frame| frame.map(Ok))
        }
    }

    fn message() -> Message {
        Message {
            id: Id::of(&json!(7)).unwrap(),
            method: "tools/call".to_owned(),
            name: Some("pay".to_owned()),
        }
    }

    fn head(status: u16, kind: &str) -> Parts {
        let answer = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, kind);
        answer.body(()).unwrap().into_parts().0
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(work)
    }

    /// What these parts of a body say, and how much of them was left unread.
    fn says(head: &Parts, message: Option<&Message>, parts: &[&str]) -> (Says, bool) {
        let (writer, body) = mpsc::unbounded_channel();
        for part in parts {
            let data = Bytes::copy_from_slice(part.as_bytes());
            writer.send(Frame::data(data)).unwrap();
        }
        drop(writer);
        let mut read = Read::of(Written(body));
        let says = run(read.says(head, message)).unwrap();
        (says, read.rest.is_some())
    }

    #[test]
    fn a_result_says_that_the_call_was_carried_out_and_an_error_does_not() {
        let message = message();
        for (said, wanted) in [
            (
                json!({"id": 7, "result": {"content": []}}),
                Says::CarriedOut,
            ),
            (json!({"id": 7, "result": {"isError": true}}), Says::Nothing),
            (json!({"id": 7, "error": {"code": -1}}), Says::Nothing),
            // The tool could not read who asked.
            (
                json!({"id": null, "error": {"code": -32700}}),
                Says::Nothing,
            ),
            (json!({"error": {"code": -32700}}), Says::Nothing),
            (json!({"id": 8, "result": {}}), Says::Nothing),
            (json!("busy"), Says::Nothing),
        ] {
            let text = said.to_string();
            let (begin, end) = text.split_at(3);
            let event = format!("data: {text}\n\n");
            let as_document = says(&head(200, DOCUMENT), Some(&message), &[begin, end]);
            let as_event = says(&head(200, EVENTS), Some(&message), &[": hello\n\n", &event]);
            assert_eq!(as_document, (wanted, false), "{text}");
            assert_eq!(as_event.0, wanted, "{text}");
        }
        for text in ["", "{", "<html>"] {
            let read = says(&head(200, DOCUMENT), Some(&message), &[text]);
            assert_eq!(read, (Says::Nothing, false), "{text}");
        }
    }

    #[test]
    fn an_answer_that_is_too_long_says_nothing_and_stays_for_the_target() {
        let message = message();
        let long = "x".repeat(LONGEST);
        let answer = json!({"id": 7, "result": {"content": long}}).to_string();
        let event = format!("data: {}\n\n", json!({"id": 7, "result": {}}));
        for (kind, parts) in [
            (DOCUMENT, [answer.as_str(), ""]),
            (EVENTS, [&format!("data: {answer}\n\n"), ""]),
            (EVENTS, [&format!("data: {long}\n\n"), &event]),
        ] {
            let read = says(&head(200, kind), Some(&message), &parts);
            assert_eq!(read, (Says::Nothing, true), "{kind}");
        }
    }

    #[test]
    fn a_stream_is_read_no_further_than_its_answer() {
        let event = format!("data: {}\n\n", json!({"id": 7, "result": {}}));
        let read = says(
            &head(200, EVENTS),
            Some(&message()),
            &[&event, "data: 1\n\n"],
        );
        assert_eq!(read, (Says::CarriedOut, true));
        let none = says(&head(200, EVENTS), Some(&message()), &["data: 1\n\n"]);
        assert_eq!(none, (Says::Nothing, false));
    }

    #[test]
    fn what_is_no_message_is_told_by_its_status_and_what_is_packed_by_nothing() {
        let plain = |status| says(&head(status, DOCUMENT), None, &["{}"]);
        assert_eq!(plain(201), (Says::CarriedOut, true));
        assert_eq!(plain(503), (Says::Nothing, true));
        let result = json!({"id": 7, "result": {}}).to_string();
        let message = message();
        let failed = says(&head(500, DOCUMENT), Some(&message), &[&result]);
        assert_eq!(failed.0, Says::Nothing);
        let mut packed = head(200, DOCUMENT);
        let gzip = http::HeaderValue::from_static("gzip");
        packed.headers.insert(CONTENT_ENCODING, gzip);
        let packed = says(&packed, Some(&message), &[&result]);
        assert_eq!(packed.0, Says::Nothing);
    }

    /// A fault may end while the answer comes.
    #[test]
    fn what_was_read_stays_where_reading_ends_in_the_middle() {
        let (writer, body) = mpsc::unbounded_channel();
        let mut read = Read::of(Written(body));
        let head = head(200, DOCUMENT);
        let message = message();
        writer
            .send(Frame::data(Bytes::from_static(b"{\"id\": 7, ")))
            .unwrap();
        run(async {
            let mut reading = pin!(read.says(&head, Some(&message)));
            let polled = std::future::poll_fn(|context| {
                Poll::Ready(reading.as_mut().poll(context).is_pending())
            });
            assert!(polled.await, "it waits for the rest");
        });
        assert_eq!(&read.bytes[..], b"{\"id\": 7, ");
        assert!(read.rest.is_some());
    }
}
