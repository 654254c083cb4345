//! The words of `OpenAI`, and of servers that have its paths: vLLM and `LiteLLM`.
//!
//! Sources: the error guide of its platform; `src/openai/_exceptions.py` and `_base_client.py` of its Python client, which
//! read `code`, `param` and `type` of the inner object and wait as `retry-after-ms`, then `retry-after` say; for vLLM
//! `vllm/entrypoints/openai/protocol.py` (the code is the status, the type an exception's name); for `LiteLLM`
//! `litellm/proxy/_types.py` (the code is the status as a text).

use std::time::Duration;

use bytes::Bytes;
use injector_spec::experiment::Limit;
use serde_json::{Value, json};

use super::{Failure, Made, Words, json, seconds};
use crate::asked::Asked;

pub(super) struct OpenAi;
pub(super) struct Vllm;
pub(super) struct LiteLlm;

/// Whether a piece of a stream has text. A chat has it under `choices`, the newer call in events of its own.
pub(super) fn is_token(value: &Value) -> bool {
    let choice = &value["choices"][0];
    let texts = [&choice["delta"]["content"], &choice["text"]];
    let has_text = |text: &&Value| text.as_str().is_some_and(|text| !text.is_empty());
    let calls = choice["delta"]["tool_calls"].is_array();
    let kind = value["type"].as_str().unwrap_or_default();
    let mut words = kind.split('.');
    let is_delta = words.next() == Some("response") && words.next_back() == Some("delta");
    texts.iter().any(has_text) || calls || is_delta
}

fn model(asked: &Asked) -> &str {
    asked.model.as_deref().unwrap_or("the model")
}

/// `retry-after` in both forms that its clients read.
fn waits(wait: Option<Duration>) -> Vec<(&'static str, String)> {
    let Some(wait) = wait else {
        return Vec::new();
    };
    vec![
        ("retry-after-ms", wait.as_millis().to_string()),
        ("retry-after", seconds(wait).to_string()),
    ]
}

impl Words for OpenAi {
    fn refusal(&self, failure: Failure, asked: &Asked, id: &str) -> Made {
        let mut headers = vec![("x-request-id", id.to_owned())];
        let (status, message, kind, code) = match failure {
            Failure::Limited(Limit::Rate, wait) => {
                let told = wait.unwrap_or(Duration::from_secs(20));
                headers.extend([
                    ("x-ratelimit-limit-requests", "500".to_owned()),
                    ("x-ratelimit-remaining-requests", "0".to_owned()),
                    ("x-ratelimit-reset-requests", format!("{}s", seconds(told))),
                ]);
                headers.extend(waits(wait));
                let message = format!(
                    "Rate limit reached for {} on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in {}s.",
                    model(asked),
                    seconds(told)
                );
                (429, message, "requests", Some("rate_limit_exceeded"))
            }
            Failure::Limited(Limit::SlowDown, wait) => {
                headers.extend(waits(wait));
                let message = "Your request rate has increased too quickly. Please slow down, and increase it gradually.";
                (
                    429,
                    message.to_owned(),
                    "rate_limit_error",
                    Some("slow_down"),
                )
            }
            Failure::Limited(Limit::Quota, _) => {
                let message =
                    "You exceeded your current quota, please check your plan and billing details.";
                (
                    429,
                    message.to_owned(),
                    "insufficient_quota",
                    Some("credit_balance_exhausted"),
                )
            }
            Failure::Overloaded | Failure::Status(503) => overloaded(),
            Failure::Status(status) => {
                let (message, kind, code) = of_status(status);
                (status, message.to_owned(), kind, code)
            }
        };
        Made {
            status,
            headers,
            body: json(&error(&message, kind, code)),
            wait: failure.wait(),
        }
    }

    fn broken_off(&self) -> Bytes {
        let (_, message, kind, code) = overloaded();
        Bytes::from(format!("data: {}\n\n", error(&message, kind, code)))
    }
}

fn error(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn overloaded() -> (u16, String, &'static str, Option<&'static str>) {
    let message = "The server is currently overloaded with other requests. Sorry about that! You can retry your request.";
    (
        503,
        message.to_owned(),
        "service_unavailable_error",
        Some("server_is_overloaded"),
    )
}

const fn of_status(status: u16) -> (&'static str, &'static str, Option<&'static str>) {
    match status {
        401 => (
            "Incorrect API key provided.",
            "invalid_request_error",
            Some("invalid_api_key"),
        ),
        403 => (
            "Country, region, or territory not supported",
            "request_forbidden",
            Some("unsupported_country_region_territory"),
        ),
        404 => (
            "The model does not exist or you do not have access to it.",
            "invalid_request_error",
            Some("model_not_found"),
        ),
        429 => (
            "Rate limit reached.",
            "requests",
            Some("rate_limit_exceeded"),
        ),
        400..=499 => ("The request is invalid.", "invalid_request_error", None),
        _ => (
            "The server had an error while processing your request. Sorry about that!",
            "server_error",
            None,
        ),
    }
}

impl Words for Vllm {
    fn refusal(&self, failure: Failure, _: &Asked, _: &str) -> Made {
        let (status, wait) = match failure {
            Failure::Limited(_, wait) => (429, wait),
            Failure::Overloaded => (503, None),
            Failure::Status(status) => (status, None),
        };
        let (message, kind) = match status {
            404 => ("The model does not exist.", "NotFoundError"),
            429 => ("Too many requests.", "RateLimitError"),
            400..=499 => ("The request is invalid.", "BadRequestError"),
            501 => ("This is not implemented.", "NotImplementedError"),
            503 => ("The server is overloaded.", "ServiceUnavailableError"),
            _ => ("Internal server error", "InternalServerError"),
        };
        let body =
            json!({"error": {"message": message, "type": kind, "param": null, "code": status}});
        Made {
            status,
            headers: waits(wait).into_iter().skip(1).collect(),
            body: json(&body),
            wait: failure.wait(),
        }
    }

    fn broken_off(&self) -> Bytes {
        let error = json!({"error": {
            "message": "EngineCore encountered an issue.", "type": "InternalServerError", "param": null, "code": 500
        }});
        Bytes::from(format!("data: {error}\n\ndata: [DONE]\n\n"))
    }
}

impl Words for LiteLlm {
    fn refusal(&self, failure: Failure, asked: &Asked, id: &str) -> Made {
        let (status, message, kind, wait) = match failure {
            Failure::Limited(_, wait) => (
                429,
                "litellm.RateLimitError: Rate limit reached.",
                "throttling_error",
                wait,
            ),
            Failure::Overloaded => (
                503,
                "litellm.ServiceUnavailableError: The server is overloaded.",
                "service_unavailable_error",
                None,
            ),
            Failure::Status(status) => {
                let (message, kind, _) = of_status(status);
                (status, message, kind, None)
            }
        };
        let code = status.to_string();
        let mut headers = vec![("x-litellm-call-id", id.to_owned())];
        if let Some(model) = &asked.model {
            headers.push(("x-litellm-model-group", model.clone()));
        }
        headers.extend(waits(wait).into_iter().skip(1));
        Made {
            status,
            headers,
            body: json(&error(message, kind, Some(&code))),
            wait: failure.wait(),
        }
    }

    fn broken_off(&self) -> Bytes {
        let message = "litellm.InternalServerError: the stream broke off.";
        Bytes::from(format!("data: {}\n\n", error(message, "None", Some("500"))))
    }
}
