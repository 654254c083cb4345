//! Answers that are complete and have no text.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use injector_spec::experiment::Provider;
use serde_json::{Value, json};

use super::json;
use crate::asked::{Asked, Call};

/// An answer without text.
pub(crate) struct Empty {
    /// The type that it says it has.
    pub(crate) content_type: &'static str,
    /// All of it.
    pub(crate) body: Bytes,
}

/// The empty answer to a request; `None` where an answer has no text in any case.
pub(crate) fn empty(asked: &Asked, number: u64) -> Option<Empty> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.as_ref().map_or(0, Duration::as_secs);
    let model = asked.model.clone().unwrap_or_default();
    let events = match (asked.dialect, asked.call) {
        (_, Call::Embeddings) => return None,
        (Provider::Anthropic, _) => anthropic(&model, number),
        (Provider::Gemini, _) => return Some(gemini(asked, &model)),
        (Provider::Ollama, call) => return Some(ollama(call, &model, asked.streams)),
        (Provider::OpenAi | Provider::Vllm | Provider::LiteLlm, Call::Chat | Call::Text) => {
            chat(asked, &model, now, number)
        }
        (Provider::OpenAi | Provider::Vllm | Provider::LiteLlm, Call::Responses) => {
            responses(&model, now, number)
        }
    };
    Some(events.answer(asked.streams))
}

/// An answer in both of its forms.
struct Forms {
    whole: Value,
    /// The events' names, where they have some, and data.
    events: Vec<(Option<&'static str>, Value)>,
    /// What ends a stream.
    end: &'static str,
}

impl Forms {
    fn answer(self, streams: bool) -> Empty {
        if !streams {
            return Empty {
                content_type: "application/json",
                body: json(&self.whole),
            };
        }
        let mut body = String::new();
        for (name, data) in self.events {
            if let Some(name) = name {
                let _ = writeln!(body, "event: {name}");
            }
            let _ = write!(body, "data: {data}\n\n");
        }
        body.push_str(self.end);
        Empty {
            content_type: "text/event-stream",
            body: Bytes::from(body),
        }
    }
}

fn chat(asked: &Asked, model: &str, now: u64, number: u64) -> Forms {
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1});
    let (whole, piece, first, choice) = match asked.call {
        Call::Text => (
            "text_completion",
            "text_completion",
            json!({"index": 0, "text": "", "finish_reason": null}),
            json!({"index": 0, "text": "", "finish_reason": "stop"}),
        ),
        Call::Chat | Call::Responses | Call::Embeddings => (
            "chat.completion",
            "chat.completion.chunk",
            json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}),
            json!({"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}),
        ),
    };
    let last = match asked.call {
        Call::Text => choice.clone(),
        Call::Chat | Call::Responses | Call::Embeddings => {
            json!({"index": 0, "delta": {}, "finish_reason": "stop"})
        }
    };
    let id = format!("chatcmpl-{number:024x}");
    let one = |object: &str, choice: Value| json!({"id": id, "object": object, "created": now, "model": model, "choices": [choice]});
    let mut complete = one(whole, choice);
    complete["usage"] = usage;
    Forms {
        whole: complete,
        events: vec![(None, one(piece, first)), (None, one(piece, last))],
        end: "data: [DONE]\n\n",
    }
}

fn responses(model: &str, now: u64, number: u64) -> Forms {
    let of = |status: &str| {
        json!({
            "id": format!("resp_{number:024x}"), "object": "response", "created_at": now, "status": status,
            "model": model, "output": [], "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
            "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
            "usage": {
                "input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1
            },
        })
    };
    let event = |number: u64, name: &'static str, response: Value| {
        let data = json!({"type": name, "sequence_number": number, "response": response});
        (Some(name), data)
    };
    Forms {
        whole: of("completed"),
        events: vec![
            event(0, "response.created", of("in_progress")),
            event(1, "response.completed", of("completed")),
        ],
        end: "",
    }
}

fn anthropic(model: &str, number: u64) -> Forms {
    let message = |reason: Value| {
        json!({
            "id": format!("msg_{number:024x}"), "type": "message", "role": "assistant", "model": model,
            "content": [], "stop_reason": reason, "stop_sequence": null,
            "usage": {"input_tokens": 1, "output_tokens": 0},
        })
    };
    Forms {
        whole: message(Value::from("end_turn")),
        events: vec![
            (
                Some("message_start"),
                json!({"type": "message_start", "message": message(Value::Null)}),
            ),
            (
                Some("message_delta"),
                json!({
                    "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                    "usage": {"output_tokens": 0},
                }),
            ),
            (Some("message_stop"), json!({"type": "message_stop"})),
        ],
        end: "",
    }
}

/// One piece is all of it. Without `alt=sse` a stream is a list in JSON, which no client of its own asks for.
fn gemini(asked: &Asked, model: &str) -> Empty {
    let body = json!({
        "candidates": [{"content": {"parts": [], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}, "modelVersion": model,
    });
    if asked.streams {
        Empty {
            content_type: "text/event-stream",
            body: Bytes::from(format!("data: {body}\r\n\r\n")),
        }
    } else {
        Empty {
            content_type: "application/json; charset=UTF-8",
            body: json(&body),
        }
    }
}

/// One line is all of it, in a stream as well.
fn ollama(call: Call, model: &str, streams: bool) -> Empty {
    let created = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    let mut body = json!({
        "model": model, "created_at": created, "done": true, "done_reason": "stop", "total_duration": 1,
        "load_duration": 1, "prompt_eval_count": 1, "prompt_eval_duration": 1, "eval_count": 0, "eval_duration": 1,
    });
    match call {
        Call::Chat | Call::Responses | Call::Embeddings => {
            body["message"] = json!({"role": "assistant", "content": ""});
        }
        Call::Text => body["response"] = Value::from(""),
    }
    Empty {
        content_type: if streams {
            "application/x-ndjson"
        } else {
            "application/json; charset=utf-8"
        },
        body: Bytes::from(format!("{body}\n")),
    }
}
