//! What targets get wrong about faults, each by a name.
//!
//! The relay, the looks at plug-ins and declared signs show them; the report names them with their evidence, and a run may be
//! had to fail on some (`fail-on`).

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A name for what a target did wrong. The book's pages on models, tools, plug-ins and measures have each definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// It came again before the time that it was told to wait
    IgnoredRetryAfter,
    /// It has made so many tries for one task that they are a storm
    RetryStorm,
    /// It has made as many calls of one tool with the same arguments, each behind an answer that was of no use
    NoProgress,
    /// It has not let go of an answer that never came
    Hung,
    /// It has taken half an answer for the whole
    AcceptedTruncation,
    /// It has done nothing about the death of a plug-in
    DeathUnnoticed,
    /// It has ended, and plug-ins of it live on
    Orphans,
    /// It has left a task behind the first failure that clients are to try again
    GaveUp,
    /// It has had a request carried out again whose answer was lost, without a key by which the server could know it
    DuplicateEffect,
    /// It has failed and told no person, by the way that the experiment declares
    Silent,
    /// It has claimed success without the effects that the experiment declares
    FalseSuccess,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::IgnoredRetryAfter,
        Self::RetryStorm,
        Self::NoProgress,
        Self::Hung,
        Self::AcceptedTruncation,
        Self::DeathUnnoticed,
        Self::Orphans,
        Self::GaveUp,
        Self::DuplicateEffect,
        Self::Silent,
        Self::FalseSuccess,
    ];

    /// As reports, files and flags say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IgnoredRetryAfter => "ignored-retry-after",
            Self::RetryStorm => "retry-storm",
            Self::NoProgress => "no-progress",
            Self::Hung => "hung",
            Self::AcceptedTruncation => "accepted-truncation",
            Self::DeathUnnoticed => "death-unnoticed",
            Self::Orphans => "orphans",
            Self::GaveUp => "gave-up",
            Self::DuplicateEffect => "duplicate-effect",
            Self::Silent => "silent",
            Self::FalseSuccess => "false-success",
        }
    }
}

impl Flaw {
    /// The one that is called so.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flaw| flaw.name() == name)
    }

    /// Whether the relay sees it while the run goes on; others are judged at its end.
    pub const fn is_seen_live(self) -> bool {
        match self {
            Self::IgnoredRetryAfter
            | Self::RetryStorm
            | Self::NoProgress
            | Self::Hung
            | Self::AcceptedTruncation
            | Self::GaveUp
            | Self::DuplicateEffect => true,
            Self::DeathUnnoticed | Self::Orphans | Self::Silent | Self::FalseSuccess => false,
        }
    }

    /// The faults by which a target can show it, as the rest of a sentence.
    pub const fn shown_by(self) -> &'static str {
        match self {
            Self::IgnoredRetryAfter => "`llm.rate-limit` with `retry-after`",
            Self::RetryStorm => {
                "faults that make requests fail, as `llm.error`, `llm.timeout` or `tool.is-error`"
            }
            Self::NoProgress => "`tool.empty`, `tool.stale` and others whose answers are of no use",
            Self::Hung => "`llm.timeout`, `llm.stall` and `tool.timeout`",
            Self::AcceptedTruncation => "`llm.cut` with `ending: clean` and some `after-tokens`",
            Self::DeathUnnoticed => {
                "`plugin.kill`, `plugin.pipe-held-death` and `plugin.crash-loop`"
            }
            Self::Orphans => "`proc.kill` and all `plugin` faults",
            Self::GaveUp => {
                "faults whose answers clients are to try again, as `llm.overload`, `llm.timeout` or `tool.timeout`"
            }
            Self::DuplicateEffect => {
                "faults that lose the answer to a call that was carried out, `tool.timeout` and `tool.corrupt` with `damage: json`"
            }
            Self::Silent => "faults on its requests, where `handoff` says how it hands over",
            Self::FalseSuccess => "what `success` says that it leaves behind",
        }
    }
}

impl Flaw {
    /// What else shows it when the run is over, as the rest of [`Self::shown_by`].
    pub const fn shown_at_the_end_by(self) -> &'static str {
        match self {
            Self::DuplicateEffect => ", or by a ledger",
            Self::IgnoredRetryAfter
            | Self::RetryStorm
            | Self::NoProgress
            | Self::Hung
            | Self::AcceptedTruncation
            | Self::DeathUnnoticed
            | Self::Orphans
            | Self::GaveUp
            | Self::Silent
            | Self::FalseSuccess => "",
        }
    }
}

/// The names of these, one after the other.
pub fn names(flaws: &[Flaw]) -> String {
    let names: Vec<&str> = flaws.iter().map(|flaw| flaw.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_name_everywhere() {
        for flaw in Flaw::ALL {
            let name = flaw.name();
            assert_eq!(serde_json::to_value(flaw).unwrap(), name);
            assert_eq!(Flaw::from_str(name, false), Ok(flaw));
        }
        assert_eq!(Flaw::value_variants(), Flaw::ALL);
    }
}
