//! What faults do to requests over HTTP.

use super::{
    llm_cut::Cut, llm_empty::Empty, llm_error::ModelError, llm_malformed::Malformed,
    llm_overload::Overload, llm_rate_limit::RateLimit, llm_slow::Slow, llm_stall::Stall,
    llm_timeout::Timeout, llm_wrong_model::WrongModel, model_requests::ModelRequests,
    tool_calls::ToolCalls, tool_corrupt::ToolCorrupt, tool_empty::ToolEmpty, tool_error::ToolError,
    tool_inject::ToolInject, tool_is_error::ToolIsError, tool_schema_mismatch::ToolSchemaMismatch,
    tool_slow::ToolSlow, tool_stale::ToolStale, tool_timeout::ToolTimeout,
};
use crate::{
    experiment::{Damage, Ending, Flaw, Fulfilment, Interface, Limit, Provider, Settings},
    quantity::HttpStatus,
};

/// What happens to requests over HTTP.
#[derive(Clone, Copy, Debug)]
pub enum OnRequests<'f> {
    /// To those that ask a language model.
    Models(OnModels<'f>),
    /// To those that call a tool.
    Tools(OnTools<'f>),
}

/// What happens to requests to language models.
#[derive(Clone, Copy, Debug)]
pub enum OnModels<'f> {
    /// They are answered that a limit is reached.
    RateLimit(&'f RateLimit),
    /// They are answered by an error.
    ModelError(&'f ModelError),
    /// They are answered that there is too much to do.
    Overload(&'f Overload),
    /// They are not answered.
    Timeout(&'f Timeout),
    /// They are answered slowly.
    Slow(&'f Slow),
    /// Their answer stops.
    Stall(&'f Stall),
    /// Their answer ends.
    Cut(&'f Cut),
    /// Their answer is broken.
    Malformed(&'f Malformed),
    /// Their answer is empty.
    Empty(&'f Empty),
    /// Their answer names another model.
    WrongModel(&'f WrongModel),
}

/// What happens to calls of tools.
#[derive(Clone, Copy, Debug)]
pub enum OnTools<'f> {
    /// They are answered by an error of the protocol.
    Error(&'f ToolError),
    /// They are answered that the tool has failed.
    IsError(&'f ToolIsError),
    /// They are not answered.
    Timeout(&'f ToolTimeout),
    /// They are answered slowly.
    Slow(&'f ToolSlow),
    /// Their answer is empty.
    Empty(&'f ToolEmpty),
    /// Their answer is damaged.
    Corrupt(&'f ToolCorrupt),
    /// Their answer has another shape than was promised.
    SchemaMismatch(&'f ToolSchemaMismatch),
    /// They get an answer that was given before.
    Stale(&'f ToolStale),
    /// A text is added to their answer.
    Inject(&'f ToolInject),
}

impl OnRequests<'_> {
    /// Says which requests, by the names of the flags.
    pub(super) fn describe(self, filters: &mut Settings) {
        match self {
            Self::Models(on) => on.requests().describe(filters),
            Self::Tools(on) => on.calls().describe(filters),
        }
    }

    /// The flaws that a target can show by what such a fault does to it.
    pub const fn shows(self) -> &'static [Flaw] {
        match self {
            Self::Models(on) => on.shows(),
            Self::Tools(on) => on.shows(),
        }
    }
}

/// By answers with this status.
const fn failing(status: HttpStatus) -> &'static [Flaw] {
    if status.invites_another_try() {
        &[Flaw::RetryStorm, Flaw::GaveUp]
    } else {
        &[Flaw::RetryStorm]
    }
}

/// By answers that are held back.
const HELD: &[Flaw] = &[Flaw::RetryStorm, Flaw::Hung, Flaw::GaveUp];

/// The same, of calls that the tool gets or does not.
const fn held(which: Fulfilment) -> &'static [Flaw] {
    match which {
        Fulfilment::Lost => HELD,
        Fulfilment::Delivered => &[
            Flaw::RetryStorm,
            Flaw::Hung,
            Flaw::GaveUp,
            Flaw::DuplicateEffect,
        ],
    }
}

impl<'f> OnModels<'f> {
    /// What a client may take for a good answer it has no reason to ask for again. An answer that is paid for twice is no effect:
    /// to ask again for a lost one is what the clients of providers do, and they send no key.
    const fn shows(self) -> &'static [Flaw] {
        match self {
            // Ollama has no words for how long to wait.
            Self::RateLimit(fault) => {
                match (fault.limit, fault.retry_after, fault.requests.provider) {
                    (Limit::Quota, ..) => &[Flaw::RetryStorm],
                    (Limit::Rate | Limit::SlowDown, None, _)
                    | (Limit::Rate | Limit::SlowDown, _, Some(Provider::Ollama)) => {
                        &[Flaw::RetryStorm, Flaw::GaveUp]
                    }
                    (
                        Limit::Rate | Limit::SlowDown,
                        Some(_),
                        None
                        | Some(
                            Provider::OpenAi
                            | Provider::Anthropic
                            | Provider::Gemini
                            | Provider::Vllm
                            | Provider::LiteLlm,
                        ),
                    ) => &[Flaw::IgnoredRetryAfter, Flaw::RetryStorm, Flaw::GaveUp],
                }
            }
            Self::ModelError(fault) => failing(fault.status),
            Self::Overload(_) => &[Flaw::RetryStorm, Flaw::GaveUp],
            Self::Malformed(_) => &[Flaw::RetryStorm],
            Self::Timeout(_) | Self::Stall(_) => HELD,
            Self::Cut(fault) => match fault.ending {
                Ending::Clean if fault.after_tokens > 0 => {
                    &[Flaw::RetryStorm, Flaw::AcceptedTruncation, Flaw::GaveUp]
                }
                Ending::Clean | Ending::Dirty => &[Flaw::RetryStorm, Flaw::GaveUp],
            },
            Self::Slow(_) | Self::Empty(_) | Self::WrongModel(_) => &[],
        }
    }

    /// Which requests.
    pub const fn requests(self) -> &'f ModelRequests {
        match self {
            Self::RateLimit(fault) => &fault.requests,
            Self::ModelError(fault) => &fault.requests,
            Self::Overload(fault) => &fault.requests,
            Self::Timeout(fault) => &fault.requests,
            Self::Slow(fault) => &fault.requests,
            Self::Stall(fault) => &fault.requests,
            Self::Cut(fault) => &fault.requests,
            Self::Malformed(fault) => &fault.requests,
            Self::Empty(fault) => &fault.requests,
            Self::WrongModel(fault) => &fault.requests,
        }
    }
}

impl<'f> OnTools<'f> {
    const fn shows(self) -> &'static [Flaw] {
        match self {
            Self::Error(fault) => match (fault.calls.interface, fault.status) {
                // A protocol's error says nothing of another try.
                (Interface::Mcp, _) => &[Flaw::RetryStorm],
                (Interface::Json, None) => &[Flaw::RetryStorm, Flaw::GaveUp],
                (Interface::Json, Some(status)) => failing(status),
            },
            Self::IsError(_) => &[Flaw::RetryStorm],
            Self::Timeout(fault) => held(fault.request),
            Self::Corrupt(fault) => match fault.damage {
                Damage::Json => &[Flaw::RetryStorm, Flaw::DuplicateEffect],
                Damage::Text => &[Flaw::NoProgress],
            },
            Self::Empty(_) | Self::SchemaMismatch(_) | Self::Stale(_) | Self::Inject(_) => {
                &[Flaw::NoProgress]
            }
            Self::Slow(_) => &[],
        }
    }

    /// Which calls.
    pub const fn calls(self) -> &'f ToolCalls {
        match self {
            Self::Error(fault) => &fault.calls,
            Self::IsError(fault) => &fault.calls,
            Self::Timeout(fault) => &fault.calls,
            Self::Slow(fault) => &fault.calls,
            Self::Empty(fault) => &fault.calls,
            Self::Corrupt(fault) => &fault.calls,
            Self::SchemaMismatch(fault) => &fault.calls,
            Self::Stale(fault) => &fault.calls,
            Self::Inject(fault) => &fault.calls,
        }
    }
}
