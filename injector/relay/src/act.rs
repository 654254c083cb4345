//! What a fault does to a request or its answer, sorted by where that is done. The faults come from `injector_spec`; nothing
//! behind this file knows them by name.

use std::time::Duration;

use injector_spec::experiment::{Ending, Fulfilment, OnRequests};

use crate::provider::Failure;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The answer is slow; what the rules behind say is done as well.
    Slow(Slow),
    /// This, and no rule behind is asked.
    Final(Final),
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
        Self::Final(match on {
            OnRequests::Slow(fault) => {
                return Self::Slow(Slow {
                    latency: fault.latency,
                    gap: fault.token_gap,
                });
            }
            OnRequests::RateLimit(fault) => {
                Final::Refuse(Failure::Limited(fault.limit, fault.retry_after))
            }
            OnRequests::ModelError(fault) => Final::Refuse(Failure::Status(fault.status.code())),
            OnRequests::Overload(fault) => match fault.after_tokens {
                None => Final::Refuse(Failure::Overloaded),
                Some(after) => Final::Change(Change::BreakOff(after)),
            },
            OnRequests::Timeout(fault) => Final::Withhold(fault.request),
            OnRequests::Stall(fault) => Final::Change(Change::Stall(fault.after_tokens)),
            OnRequests::Cut(fault) => Final::Change(Change::Cut(fault.after_tokens, fault.ending)),
            OnRequests::Malformed(_) => Final::Change(Change::Malform),
            OnRequests::Empty(_) => Final::Empty,
            OnRequests::WrongModel(fault) => Final::Change(Change::Rename(fault.answers.clone())),
        })
    }
}
