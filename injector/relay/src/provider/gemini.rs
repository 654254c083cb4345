//! The words of Gemini: `google.rpc.Status` as JSON. Sources: the page "Troubleshooting" of its API, `google/genai/errors.py`
//! of its Python client, `google/rpc/error_details.proto`. How long to wait is in the body; there is no header for it.

use bytes::Bytes;
use injector_spec::experiment::Limit;
use serde_json::{Value, json};

use super::{Failure, Made, Words, json, seconds};
use crate::asked::Asked;

pub(super) struct Gemini;

impl Words for Gemini {
    fn refusal(&self, failure: Failure, asked: &Asked, _: &str) -> Made {
        let (status, body) = match failure {
            Failure::Limited(limit, wait) => {
                let per = match limit {
                    Limit::Rate | Limit::SlowDown => "PerMinute",
                    Limit::Quota => "PerDay",
                };
                let mut details = vec![json!({
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{
                        "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                        "quotaId": format!("GenerateRequests{per}PerProjectPerModel"),
                        "quotaDimensions": {"model": asked.model, "location": "global"},
                    }],
                })];
                details.extend(wait.map(|wait| {
                    json!({
                        "@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": format!("{}s", seconds(wait)),
                    })
                }));
                let message =
                    "You exceeded your current quota, please check your plan and billing details.";
                (
                    429,
                    error(429, "RESOURCE_EXHAUSTED", message, Some(details)),
                )
            }
            Failure::Overloaded => (503, overloaded()),
            Failure::Status(status) => {
                let (name, message) = of_status(status);
                (status, error(status, name, message, None))
            }
        };
        Made {
            status,
            headers: Vec::new(),
            body: json(&body),
            wait: failure.wait(),
        }
    }

    fn broken_off(&self) -> Bytes {
        Bytes::from(format!("data: {}\r\n\r\n", overloaded()))
    }
}

fn overloaded() -> Value {
    let message = "The model is overloaded. Please try again later.";
    error(503, "UNAVAILABLE", message, None)
}

fn error(code: u16, status: &str, message: &str, details: Option<Vec<Value>>) -> Value {
    let mut body = json!({"error": {"code": code, "message": message, "status": status}});
    if let Some(details) = details {
        body["error"]["details"] = Value::from(details);
    }
    body
}

const fn of_status(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => (
            "UNAUTHENTICATED",
            "API key not valid. Please pass a valid API key.",
        ),
        403 => ("PERMISSION_DENIED", "The caller does not have permission"),
        404 => ("NOT_FOUND", "The model is not found for this API version."),
        429 => (
            "RESOURCE_EXHAUSTED",
            "Resource has been exhausted (e.g. check quota).",
        ),
        503 => (
            "UNAVAILABLE",
            "The model is overloaded. Please try again later.",
        ),
        504 => ("DEADLINE_EXCEEDED", "The request timed out."),
        400..=499 => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
        _ => ("INTERNAL", "An internal error has occurred."),
    }
}
