//! The words of Ollama's own API: one text. Sources: `server/routes.go` (`handleScheduleError`) and `server/sched.go`. It has
//! no header for how long to wait, and an error in the middle of a stream is a line of it.

use bytes::Bytes;
use serde_json::json;

use super::{Failure, Made, Words, json};
use crate::asked::Asked;

pub(super) struct Ollama;

const BUSY: &str = "server busy, please try again.  maximum pending requests exceeded";

impl Words for Ollama {
    fn refusal(&self, failure: Failure, asked: &Asked, _: &str) -> Made {
        let (status, message) = match failure {
            Failure::Limited(..) => (429, "too many requests".to_owned()),
            Failure::Overloaded | Failure::Status(503) => (503, BUSY.to_owned()),
            Failure::Status(404) => {
                let model = asked.model.as_deref().unwrap_or_default();
                (404, format!("model '{model}' not found"))
            }
            Failure::Status(status @ 400..=499) => (status, "invalid request".to_owned()),
            Failure::Status(status) => (
                status,
                "llama runner process has terminated: exit status 2".to_owned(),
            ),
        };
        Made {
            status,
            headers: Vec::new(),
            body: json(&json!({"error": message})),
            // It has no words for that.
            wait: None,
        }
    }

    fn broken_off(&self) -> Bytes {
        let error = "an error was encountered while running the model: unexpected EOF";
        Bytes::from(format!("{}\n", json!({"error": error})))
    }
}
