//! What a fault does to a request or its answer, sorted by where that is done. The faults come from `injector_spec`; nothing
//! behind this file knows them by name.

use std::time::Duration;

use injector_spec::{
    experiment::{Damage, Ending, Fulfilment, Interface, OnModels, OnRequests, OnTools, RpcCode},
    quantity::HttpStatus,
};

use crate::{provider::Failure, tools::alter::Alter};

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The answer is slow; what the rules behind say is done as well.
    Slow(Slow),
    /// This is done to a request to a model, and no rule behind is asked.
    Final(Final),
    /// This is done to a call of a tool, and no rule behind is asked.
    Tool(ToolAct),
}

/// What one rule alone can do to a call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolAct {
    /// It is answered in the tool's place.
    Answer(Answer),
    /// Its answer is held back.
    Withhold(Fulfilment),
    /// Its answer is changed, as one of this interface.
    Alter(Alter, Interface),
}

/// How a call is answered in the tool's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// By an error of JSON-RPC.
    Error(RpcCode, Option<String>),
    /// By a status.
    Status(HttpStatus, Option<String>),
    /// By a result that says that the tool has failed.
    IsError(String),
    /// As the last time.
    Again,
}

/// What one rule alone can do to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Final {
    /// It is answered in the peer's place.
    Refuse(Failure),
    /// Its answer is held back.
    Withhold(Fulfilment),
    /// It is answered without text, in the peer's place.
    Empty,
    /// Its answer is changed.
    Change(Change),
}

/// How an answer is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It stands still behind so many tokens.
    Stall(u32),
    /// It ends behind so many tokens.
    Cut(u32, Ending),
    /// The provider breaks it off behind so many tokens.
    BreakOff(u32),
    /// It cannot be read.
    Malform,
    /// It names this model.
    Rename(String),
}

/// How an answer is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slow {
    /// How much later it begins.
    pub(crate) latency: Duration,
    /// How long each token waits behind the one before.
    pub(crate) gap: Duration,
}

impl Act {
    /// What a fault asks for.
    pub(crate) fn of(on: OnRequests<'_>) -> Self {
        match on {
            OnRequests::Models(on) => Self::of_model(on),
            OnRequests::Tools(on) => Self::of_tool(on),
        }
    }

    /// Whether rules behind are asked as well.
    pub(crate) const fn goes_with_others(&self) -> bool {
        match self {
            Self::Slow(_) => true,
            Self::Final(_) | Self::Tool(_) => false,
        }
    }

    fn of_model(on: OnModels<'_>) -> Self {
        Self::Final(match on {
            OnModels::Slow(fault) => {
                return Self::Slow(Slow {
                    latency: fault.latency,
                    gap: fault.token_gap,
                });
            }
            OnModels::RateLimit(fault) => {
                Final::Refuse(Failure::Limited(fault.limit, fault.retry_after))
            }
            OnModels::ModelError(fault) => Final::Refuse(Failure::Status(fault.status.code())),
            OnModels::Overload(fault) => match fault.after_tokens {
                None => Final::Refuse(Failure::Overloaded),
                Some(after) => Final::Change(Change::BreakOff(after)),
            },
            OnModels::Timeout(fault) => Final::Withhold(fault.request),
            OnModels::Stall(fault) => Final::Change(Change::Stall(fault.after_tokens)),
            OnModels::Cut(fault) => Final::Change(Change::Cut(fault.after_tokens, fault.ending)),
            OnModels::Malformed(_) => Final::Change(Change::Malform),
            OnModels::Empty(_) => Final::Empty,
            OnModels::WrongModel(fault) => Final::Change(Change::Rename(fault.answers.clone())),
        })
    }

    fn of_tool(on: OnTools<'_>) -> Self {
        let alter = |alter, interface| ToolAct::Alter(alter, interface);
        Self::Tool(match on {
            OnTools::Slow(fault) => {
                return Self::Slow(Slow {
                    latency: fault.latency,
                    gap: Duration::ZERO,
                });
            }
            OnTools::Error(fault) => ToolAct::Answer(match fault.calls.interface {
                Interface::Mcp => {
                    Answer::Error(fault.code.unwrap_or_default(), fault.message.clone())
                }
                Interface::Json => {
                    Answer::Status(fault.status.unwrap_or_default(), fault.message.clone())
                }
            }),
            OnTools::IsError(fault) => ToolAct::Answer(Answer::IsError(fault.text.clone())),
            OnTools::Timeout(fault) => ToolAct::Withhold(fault.request),
            OnTools::Empty(fault) => alter(Alter::Empty, fault.calls.interface),
            OnTools::Corrupt(fault) => {
                let what = match fault.damage {
                    Damage::Text => Alter::Garble,
                    Damage::Json => Alter::BreakOff,
                };
                alter(what, fault.calls.interface)
            }
            OnTools::SchemaMismatch(fault) => {
                alter(Alter::Reshape(fault.change), fault.calls.interface)
            }
            OnTools::Stale(_) => ToolAct::Answer(Answer::Again),
            OnTools::Inject(fault) => {
                alter(Alter::Inject(fault.text.clone()), fault.calls.interface)
            }
        })
    }
}
