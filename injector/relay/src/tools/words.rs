//! Answers of tools that are made up.

use std::fmt::Display;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::{Accepts, Id, Results};

/// The body of an answer, and the type that it says it has.
pub(crate) struct Answer {
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

/// The call was not carried out.
pub(crate) fn error(id: &Id, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id.value(), "error": {"code": code, "message": message}})
}

/// It was; the result is one of JSON.
pub(crate) fn result(id: &Id, result: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#,
        id.value()
    )
}

/// It was, and the tool has failed.
pub(crate) fn failed(id: &Id, text: &str, results: Results) -> Value {
    let mut failed = json!({"content": [{"type": "text", "text": text}], "isError": true});
    match results {
        Results::Untyped => {}
        Results::Typed => failed["resultType"] = json!("complete"),
    }
    json!({"jsonrpc": "2.0", "id": id.value(), "result": failed})
}

/// A tool that is called as plain JSON has failed.
pub(crate) fn plain_error(status: StatusCode, message: Option<&str>) -> Value {
    let known = status.canonical_reason().unwrap_or("the tool has failed");
    json!({"error": {"status": status.as_u16(), "message": message.unwrap_or(known)}})
}

/// A message of one line as the client accepts it.
pub(crate) fn message(value: &impl Display, accepts: Accepts) -> Answer {
    match accepts {
        Accepts::Json => Answer {
            content_type: "application/json",
            body: Bytes::from(value.to_string()),
        },
        Accepts::Events => Answer {
            content_type: "text/event-stream",
            body: Bytes::from(format!("event: message\ndata: {value}\n\n")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::Piece;

    #[test]
    fn answers_have_the_id_of_their_request() {
        for id in [json!(7), json!("7"), json!(-1), json!("")] {
            let id = Id::of(&id).unwrap();
            let error = error(&id, -32603, "no");
            assert_eq!(
                (&error["id"], &error["error"]["code"]),
                (id.value(), &json!(-32603))
            );
            let old = failed(&id, "no", Results::Untyped);
            assert_eq!(
                (&old["id"], &old["result"]["isError"]),
                (id.value(), &json!(true))
            );
            assert!(old["result"]["resultType"].is_null());
            let new = failed(&id, "no", Results::Typed);
            assert_eq!(new["result"]["resultType"], "complete");
            let Answer { content_type, body } = message(&new, Accepts::Events);
            assert_eq!(content_type, "text/event-stream");
            assert_eq!(Piece(body).json().unwrap().0, new);
            let again = result(&id, &new["result"].to_string());
            assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), new);
        }
        let gone = plain_error(StatusCode::SERVICE_UNAVAILABLE, None);
        assert_eq!(gone["error"]["message"], "Service Unavailable");
    }
}
