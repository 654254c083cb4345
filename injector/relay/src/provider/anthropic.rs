//! The words of Anthropic. Sources: the pages "Errors" and "Rate limits" of its API, `_exceptions.py` and `_client.py` of its
//! Python client. An error in the middle of a stream is an event of its own, under status 200.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use injector_spec::experiment::Limit;
use serde_json::{Value, json};

use super::{Failure, Made, Words, json, seconds};
use crate::asked::Asked;

pub(super) struct Anthropic;

impl Words for Anthropic {
    fn refusal(&self, failure: Failure, _: &Asked, id: &str) -> Made {
        let mut headers = vec![("request-id", id.to_owned())];
        let (status, mut body) = match failure {
            Failure::Limited(Limit::Rate | Limit::SlowDown, wait) => {
                let reset = SystemTime::now() + wait.unwrap_or(Duration::from_mins(1));
                let reset = humantime::format_rfc3339_seconds(reset).to_string();
                headers.extend([
                    ("anthropic-ratelimit-requests-limit", "50".to_owned()),
                    ("anthropic-ratelimit-requests-remaining", "0".to_owned()),
                    ("anthropic-ratelimit-requests-reset", reset),
                ]);
                headers.extend(wait.map(|wait| ("retry-after", seconds(wait).to_string())));
                let message = match failure {
                    Failure::Limited(Limit::SlowDown, _) => {
                        "This request would exceed your organization's maximum usage increase rate. Please scale up your input tokens usage more gradually."
                    }
                    _ => {
                        "This request would exceed your organization's rate limit of 50 requests per minute."
                    }
                };
                (429, error("rate_limit_error", message))
            }
            Failure::Limited(Limit::Quota, _) => {
                let mut body = error(
                    "rate_limit_error",
                    "You have reached your specified API usage limits.",
                );
                body["error"]["details"] = json!({"error_code": "enforced_spend_limit_reached"});
                (429, body)
            }
            Failure::Overloaded => (529, error("overloaded_error", "Overloaded")),
            Failure::Status(status) => {
                let (kind, message) = of_status(status);
                (status, error(kind, message))
            }
        };
        body["request_id"] = Value::from(id);
        Made {
            status,
            headers,
            body: json(&body),
            wait: failure.wait(),
        }
    }

    fn broken_off(&self) -> Bytes {
        let body = error("overloaded_error", "Overloaded");
        Bytes::from(format!("event: error\ndata: {body}\n\n"))
    }
}

fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

const fn of_status(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => (
            "billing_error",
            "There is an issue with your billing information.",
        ),
        403 => (
            "permission_error",
            "Your API key does not have permission to use the specified resource.",
        ),
        404 => (
            "not_found_error",
            "The requested resource could not be found.",
        ),
        408 | 504 => ("timeout_error", "Request timed out"),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => (
            "rate_limit_error",
            "This request would exceed your organization's rate limit.",
        ),
        529 => ("overloaded_error", "Overloaded"),
        400..=499 => ("invalid_request_error", "The request is invalid."),
        _ => ("api_error", "Internal server error"),
    }
}
