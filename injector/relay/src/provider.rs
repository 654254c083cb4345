//! Answers that are made up, in the words of each provider: what its own servers send, as its documentation and the source of
//! its clients have it, so that a client takes them for the real thing.
//!
//! A provider's file says how its errors look ([`Words`]); [`empty`] has answers without text. Which status has which word is
//! theirs too: clients choose by it what they raise and whether they try again.

mod anthropic;
mod empty;
mod gemini;
mod ollama;
mod openai;

use std::time::Duration;

use bytes::Bytes;
use injector_spec::experiment::{Limit, Provider};
use serde_json::Value;

pub(crate) use self::empty::empty;
use crate::asked::Asked;

/// An answer that is made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// How long it tells the client to wait.
    pub(crate) wait: Option<Duration>,
}

/// Why a provider refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A limit is reached; how long to wait, where that is told.
    Limited(Limit, Option<Duration>),
    /// An error with this status.
    Status(u16),
    /// There is too much to do.
    Overloaded,
}

/// How a provider says that a request has failed.
trait Words {
    /// Before the answer has begun.
    fn refusal(&self, failure: Failure, asked: &Asked, id: &str) -> Made;

    /// In the middle of a stream, under status 200: the last piece of it.
    fn broken_off(&self) -> Bytes;
}

/// The answer to a request that fails before it is begun to be answered, in the words of this provider.
pub(crate) fn refusal(failure: Failure, asked: &Asked, whose: Provider, number: u64) -> Made {
    let id = format!("req_{number:024x}");
    words(whose).refusal(failure, asked, &id)
}

/// The last piece of a stream that a provider breaks off.
pub(crate) fn broken_off(whose: Provider) -> Bytes {
    words(whose).broken_off()
}

impl Failure {
    /// How long to wait, where that is told.
    fn wait(self) -> Option<Duration> {
        match self {
            Self::Limited(Limit::Rate | Limit::SlowDown, wait) => wait,
            Self::Limited(Limit::Quota, _) | Self::Status(_) | Self::Overloaded => None,
        }
    }
}

fn words(provider: Provider) -> &'static dyn Words {
    match provider {
        Provider::OpenAi => &openai::OpenAi,
        Provider::Vllm => &openai::Vllm,
        Provider::LiteLlm => &openai::LiteLlm,
        Provider::Anthropic => &anthropic::Anthropic,
        Provider::Gemini => &gemini::Gemini,
        Provider::Ollama => &ollama::Ollama,
    }
}

/// Whether a piece of a stream carries text: what a person would call a token of the answer.
pub(crate) fn is_token(dialect: Provider, value: &Value) -> bool {
    match dialect {
        Provider::OpenAi | Provider::Vllm | Provider::LiteLlm => openai::is_token(value),
        Provider::Anthropic => value["type"] == "content_block_delta",
        Provider::Gemini => value["candidates"][0]["content"]["parts"]
            .as_array()
            .is_some_and(|parts| !parts.is_empty()),
        Provider::Ollama => value["done"] == false,
    }
}

/// The text that a piece of a stream carries; nothing where it carries none, or something else, as arguments of a tool.
pub(crate) fn text(dialect: Provider, value: &Value) -> Option<&str> {
    let places: &[&str] = match dialect {
        Provider::OpenAi | Provider::Vllm | Provider::LiteLlm => {
            &["/choices/0/delta/content", "/choices/0/text", "/delta"]
        }
        Provider::Anthropic => &["/delta/text"],
        Provider::Gemini => &["/candidates/0/content/parts/0/text"],
        Provider::Ollama => &["/message/content", "/response"],
    };
    places
        .iter()
        .find_map(|place| value.pointer(place)?.as_str())
}

/// Puts another model's name where an answer, or a piece of one, names its own; whether it does.
pub(crate) fn rename(value: &mut Value, model: &str) -> bool {
    let places = [
        "/model",
        "/modelVersion",
        "/message/model",
        "/response/model",
    ];
    let mut is_named = false;
    for place in places {
        if let Some(named) = value.pointer_mut(place).filter(|named| named.is_string()) {
            *named = Value::from(model);
            is_named = true;
        }
    }
    is_named
}

/// Seconds, as headers have them: more than were asked for rather than fewer.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn json(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

#[cfg(test)]
mod tests;
