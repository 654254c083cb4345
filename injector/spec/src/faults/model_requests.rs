//! What faults on requests to language models share: the `llm` family.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::FaultKind;
use crate::{
    experiment::{
        Chance, Fault, Settings,
        decided::{Decided, Why, stays},
        settings::name,
    },
    grammar::{ChanceFlags, TrafficFlags, values},
};

/// Which requests to the API of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRequests {
    /// In whose words an answer is made up, and whose requests are meant; where there is none, any known API's in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Globs of the models that are asked; empty is every model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Globs of the paths that are asked, without what is behind a question mark; empty is every path of a known API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// By which mechanism; the relay where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<RequestsBy>,
}

/// How requests are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RequestsBy {
    /// By a process of the injector's, which connections go through.
    Relay,
    /// Inside TLS, by an answer that is put into the target's own memory.
    TlsRewrite,
}

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// `/chat/completions`, `/responses`, `/completions` and `/embeddings`.
    #[value(name = "openai")]
    OpenAi,
    /// `/v1/messages`.
    Anthropic,
    /// `...:generateContent` and `...:streamGenerateContent`.
    Gemini,
    /// `/api/chat`, `/api/generate` and `/api/embed`.
    Ollama,
    /// The paths of `OpenAI`, and errors in words of its own.
    Vllm,
    /// The same.
    #[value(name = "litellm")]
    LiteLlm,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Ollama,
        Self::Vllm,
        Self::LiteLlm,
    ];

    /// The provider whose paths these are.
    #[must_use]
    pub const fn dialect(self) -> Self {
        match self {
            Self::OpenAi | Self::Vllm | Self::LiteLlm => Self::OpenAi,
            Self::Anthropic => Self::Anthropic,
            Self::Gemini => Self::Gemini,
            Self::Ollama => Self::Ollama,
        }
    }
}

/// Which requests, by flags.
#[derive(Args, Debug)]
pub(super) struct RequestFlags {
    /// Only requests to this provider's API; answers that are made up are in its words
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Requests")]
    provider: Option<Provider>,
    /// Only requests for such a model, as in `gpt-*`; repeatable
    #[arg(
        long,
        value_name = "GLOB",
        value_parser = values::name_pattern,
        value_delimiter = ',',
        help_heading = "Requests"
    )]
    model: Vec<String>,
    /// Only requests for such a path, as in `*/responses`; repeatable
    #[arg(
        long,
        value_name = "GLOB",
        value_parser = values::name_pattern,
        value_delimiter = ',',
        help_heading = "Requests"
    )]
    request_path: Vec<String>,
    /// By a relay, as where it is left out, or by answers in the target's own memory inside TLS
    #[arg(long, value_enum, value_name = "MECHANISM", help_heading = "Requests")]
    by: Option<RequestsBy>,
    #[command(flatten)]
    traffic: TrafficFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl RequestFlags {
    /// A fault of a kind that is made of these requests.
    pub(super) fn fault<K: Into<FaultKind>>(self, kind: impl FnOnce(ModelRequests) -> K) -> Fault {
        let requests = ModelRequests {
            provider: self.provider,
            models: self.model,
            paths: self.request_path,
            by: self.by,
        };
        let chance: Chance = self.chance.chance();
        self.traffic.fault(kind(requests), chance)
    }
}

impl ModelRequests {
    /// Says them, by the names of the flags.
    pub(super) fn describe(&self, filters: &mut Settings) {
        filters.some("provider", self.provider.map(name));
        filters.list("model", &self.models);
        filters.list("request-path", &self.paths);
        filters.some("by", self.by.map(name));
    }

    /// None of it is a number.
    pub(super) fn numbers(&self) -> Vec<Decided<'static>> {
        let Self {
            provider: _,
            models: _,
            paths: _,
            by: _,
        } = self;
        Vec::new()
    }
}

/// After how many pieces of a stream something happens: it says where, and that cannot move.
pub(super) fn place_in_stream() -> Vec<Decided<'static>> {
    stays(&["after-tokens"], Why::Size)
}
