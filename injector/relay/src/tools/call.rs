//! What a request calls.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::{
    HeaderMap, Method,
    header::{ACCEPT, CONTENT_TYPE},
    request::Parts,
};
use serde_json::Value;

use crate::{
    reactions::Task,
    repeat::{Content, Repeat},
    rules::Origin,
};

/// The method by which MCP calls a tool.
pub(crate) const TOOLS_CALL: &str = "tools/call";

/// The method by which a session begins.
const INITIALIZE: &str = "initialize";

/// Headers by which a server tells its clients apart.
const OF_THE_CLIENT: [&str; 2] = ["authorization", "mcp-session-id"];

/// From this revision on a result says what kind it is. Revisions are dates, and so in the order of their texts.
const TYPED_FROM: &str = "2026-07-28";

/// A request that may call a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    /// Between whom it is: a hash of the target, of the far end, and of the headers that say who asks.
    pub(crate) between: u64,
    /// The method of HTTP.
    pub(crate) verb: Method,
    /// The path, without what is behind a question mark.
    pub(crate) path: String,
    /// What it says in JSON-RPC, where that is one request.
    pub(crate) message: Option<Message>,
    /// Why it says something else there, where it is about tools nevertheless.
    pub(crate) unmet: Option<Unmet>,
    /// What its answer may be.
    pub(crate) accepts: Accepts,
    /// What results look like.
    pub(crate) results: Results,
    /// What tells it from other calls.
    pub(crate) task: Task,
    /// What it is to its server when it comes again.
    pub(crate) repeat: Repeat,
}

/// A request of JSON-RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: Id,
    pub(crate) method: String,
    /// What its parameters name: a tool, or a prompt.
    pub(crate) name: Option<String>,
}

/// The id of a request, a text or a whole number, to be said again as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id(Value);

/// Requests to tools that no fault takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// Several messages in one request.
    Batch,
    /// One whose answer comes on another connection.
    Elsewhere,
}

/// What a client says that an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// One document of JSON, and perhaps a stream.
    Json,
    /// A stream alone.
    Events,
}

/// What results look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Results {
    /// As before 2026-07-28.
    Untyped,
    /// They have a `resultType`.
    Typed,
}

/// The longest message that is read, in bytes: what is read of one may take some 75 times its length.
pub(crate) const LONGEST: usize = 1 << 20;

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    /// One request, with a hash of the parameters that are the same in the next try.
    Message(Message, u64),
    Batch,
    Other,
}

impl Id {
    /// As MCP allows it; `None` is a notification's, or one that could not be said again digit by digit.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let is_one = match value {
            Value::String(_) => true,
            Value::Number(number) => number.is_i64() || number.is_u64(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
        };
        is_one.then(|| Self(value.clone()))
    }

    /// As it stands in a message.
    pub(crate) const fn value(&self) -> &Value {
        &self.0
    }
}

/// Whether the head of a request is one that may bear a message of JSON-RPC.
pub(crate) fn may_bear_a_message(head: &Parts) -> bool {
    head.method == Method::POST
        && text(&head.headers, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains("json"))
}

impl Called {
    /// What a request says.
    pub(crate) fn of(head: &Parts, origin: Origin, body: &Bytes) -> Self {
        let between = between(&head.headers, origin);
        let path = head.uri.path().to_owned();
        let (read, content) = if may_bear_a_message(head) {
            read(body)
        } else {
            (Body::Other, Content::of(body))
        };
        let accept = text(&head.headers, ACCEPT.as_str()).unwrap_or("*/*");
        let accepts_events = accept.contains("text/event-stream");
        let accepts_json = accept.contains("json") || accept.contains("*/*");
        let mut task = DefaultHasher::new();
        (between, &path).hash(&mut task);
        let (message, unmet) = match read {
            Body::Message(message, params) => {
                (&message.method, &message.name, params).hash(&mut task);
                if !accepts_events && names_a_session(head.uri.query()) {
                    (None, Some(Unmet::Elsewhere))
                } else {
                    (Some(message), None)
                }
            }
            read @ (Body::Batch | Body::Other) => {
                (head.method.as_str(), head.uri.query(), content.rest).hash(&mut task);
                (None, (read == Body::Batch).then_some(Unmet::Batch))
            }
        };
        let reads = message
            .as_ref()
            .is_some_and(|message| message.method != TOOLS_CALL);
        let repeat = if reads {
            Repeat::Idempotent
        } else {
            Repeat::of(&head.method, &head.headers, content.key)
        };
        let revision = text(&head.headers, "mcp-protocol-version");
        Self {
            between,
            verb: head.method.clone(),
            path,
            message,
            unmet,
            accepts: if accepts_events && !accepts_json {
                Accepts::Events
            } else {
                Accepts::Json
            },
            results: if revision.is_some_and(|revision| revision >= TYPED_FROM) {
                Results::Typed
            } else {
                Results::Untyped
            },
            task: task.finish(),
            repeat,
        }
    }

    /// Whether it asks for a session.
    pub(crate) fn begins_a_session(&self) -> bool {
        let message = self.message.as_ref();
        message.is_some_and(|message| message.method == INITIALIZE)
    }

    /// The name of a tool that has a path of its own: the last part of it.
    pub(crate) fn last_of_path(&self) -> Option<&str> {
        let parts = self.path.rsplit('/');
        parts.into_iter().find(|part| !part.is_empty())
    }

    /// What is told of it: the tool, or the method where it calls none.
    pub(crate) fn told(&self) -> Option<&str> {
        match &self.message {
            Some(message) => message.name.as_deref().or(Some(&message.method)),
            None => self.last_of_path(),
        }
    }
}

fn between(headers: &HeaderMap, origin: Origin) -> u64 {
    let mut between = DefaultHasher::new();
    (origin.scope, origin.far).hash(&mut between);
    for name in OF_THE_CLIENT {
        let values: Vec<&[u8]> = headers
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
            .collect();
        values.hash(&mut between);
    }
    between.finish()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The transport of 2024-11-05 has clients send to an address that its server has told them, with their session in it.
fn names_a_session(query: Option<&str>) -> bool {
    let mut pairs = query.unwrap_or_default().split('&');
    pairs.any(|pair| pair.starts_with("session_id=") || pair.starts_with("sessionId="))
}

/// What a body says, and how it is told from others.
fn read(body: &[u8]) -> (Body, Content) {
    let value = (body.len() <= LONGEST).then(|| serde_json::from_slice::<Value>(body).ok());
    let Some(value) = value.flatten() else {
        return (Body::Other, Content::of(body));
    };
    let content = Content::of_value(&value);
    (said(value), content)
}

fn said(value: Value) -> Body {
    match value {
        Value::Array(all) if !all.is_empty() && all.iter().all(is_of_rpc) => Body::Batch,
        mut value @ Value::Object(_) if is_of_rpc(&value) => {
            let (Some(id), Some(method)) = (Id::of(&value["id"]), value["method"].as_str()) else {
                return Body::Other;
            };
            let method = method.to_owned();
            let mut params = value["params"].take();
            // What stands there is each request's own.
            if let Value::Object(all) = &mut params {
                all.remove("_meta");
            }
            let message = Message {
                id,
                method,
                name: params["name"].as_str().map(str::to_owned),
            };
            Body::Message(message, Content::of_value(&params).rest)
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => Body::Other,
    }
}

fn is_of_rpc(value: &Value) -> bool {
    value["jsonrpc"] == "2.0"
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(crate) fn called(path: &str, headers: &[(&str, &str)], body: &Value) -> Called {
        called_from(0, 8000, path, headers, body)
    }

    /// By this target, at this port.
    pub(crate) fn called_from(
        scope: u32,
        port: u16,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Called {
        let origin = Origin {
            scope,
            slots: u32::MAX,
            far: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        };
        let mut request = http::Request::post(path).header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        Called::of(&head, origin, &Bytes::from(body.to_string()))
    }

    fn call(id: &Value, arguments: &Value) -> Value {
        let params = json!({"name": "add", "arguments": arguments, "_meta": {"progressToken": id}});
        json!({"jsonrpc": "2.0", "id": id, "method": TOOLS_CALL, "params": params})
    }

    #[test]
    fn requests_notifications_answers_and_batches_are_told_apart() {
        let read = |body: Value| called("/mcp", &[], &body);
        let one = read(call(&json!("a"), &json!({})));
        let message = one.message.as_ref().unwrap();
        assert_eq!(message.name.as_deref(), Some("add"));
        assert_eq!((one.told(), one.unmet), (Some("add"), None));
        for no_request in [
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
            json!({"jsonrpc": "2.0", "id": null, "method": "x"}),
            json!({"jsonrpc": "2.0", "id": 1.5, "method": "x"}),
            json!({"id": 1, "method": "x"}),
            json!([]),
            json!(["a"]),
            json!("2.0"),
        ] {
            let read = read(no_request.clone());
            assert_eq!((read.message, read.unmet), (None, None), "{no_request}");
        }
        let batch = read(json!([
            call(&json!(1), &json!({})),
            call(&json!(2), &json!({}))
        ]));
        assert_eq!((batch.message, batch.unmet), (None, Some(Unmet::Batch)));
    }

    #[test]
    fn the_next_try_of_a_call_has_another_id_and_is_the_same_task() {
        let task = |id: Value, arguments: Value| called("/mcp", &[], &call(&id, &arguments)).task;
        let first = task(json!(1), json!({"a": 1, "b": 2}));
        assert_eq!(first, task(json!("x"), json!({"b": 2, "a": 1})));
        assert_ne!(first, task(json!(1), json!({"a": 1, "b": 3})));
        // A key is each try's own, or the task's: it is the same task.
        for key in ["k", "l"] {
            let arguments = json!({"a": 1, "b": 2, "idempotency_key": key});
            assert_eq!(first, task(json!(2), arguments));
        }
    }

    #[test]
    fn the_same_words_to_another_server_or_by_another_client_are_another_task() {
        let body = call(&json!(1), &json!({}));
        let tasks = [
            called_from(0, 8000, "/mcp", &[], &body),
            called_from(0, 9000, "/mcp", &[], &body),
            called_from(1, 8000, "/mcp", &[], &body),
            called("/mcp", &[("mcp-session-id", "a")], &body),
            called("/mcp", &[("mcp-session-id", "b")], &body),
            called("/mcp", &[("authorization", "a")], &body),
        ]
        .map(|called| called.task);
        for (at, task) in tasks.iter().enumerate() {
            assert!(!tasks[..at].contains(task), "{tasks:?}");
        }
    }

    #[test]
    fn headers_say_what_an_answer_may_be() {
        let body = call(&json!(1), &json!({}));
        let both = called(
            "/mcp",
            &[("accept", "application/json, text/event-stream")],
            &body,
        );
        assert_eq!(
            (both.accepts, both.results),
            (Accepts::Json, Results::Untyped)
        );
        let events = called("/mcp", &[("accept", "text/event-stream")], &body);
        assert_eq!(events.accepts, Accepts::Events);
        let new = called("/mcp", &[("mcp-protocol-version", "2026-07-28")], &body);
        assert_eq!(new.results, Results::Typed);
        let old = called("/messages/?session_id=1", &[("accept", "*/*")], &body);
        assert_eq!((old.message, old.unmet), (None, Some(Unmet::Elsewhere)));
        assert_eq!(new.last_of_path(), Some("mcp"));
    }

    proptest! {
        /// Ids of every kind that MCP allows are read as they are; and no body makes anything panic.
        #[test]
        fn ids_stay_what_they_are(
            id in prop_oneof![
                any::<i64>().prop_map(|id| json!(id)),
                any::<u64>().prop_map(|id| json!(id)),
                ".*".prop_map(|id| json!(id)),
            ],
            noise in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let one = called("/mcp", &[], &call(&id, &json!({})));
            let message = one.message.unwrap();
            prop_assert_eq!(message.id.value().to_string(), id.to_string());
            read(&noise);
        }
    }
}
