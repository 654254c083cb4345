//! Faults by which system calls take longer: `sys.delay`, `io.latency`, `pipe.delay`, `pipe.stall`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    experiment::{
        CallFaultError, Calls, Parameter, Settings,
        decided::{Decided, Place},
        timing::{Span, Timing},
    },
    quantity::duration,
};

/// The longest sleep of one call. Sleepers hold up RCU Tasks Trace, which every process waits for that
/// attaches BPF programs elsewhere on the host.
pub const LONGEST_SLEEP: Duration = Duration::from_nanos(injector_common::call::LONGEST_SLEEP_NS);

/// The longest delay of one call in all: what a chain of sleeps may add up to. Each takes a copy of the
/// program, and there are 32.
pub const LONGEST_CHAIN: Duration = Duration::from_mins(1);

/// Calls take longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallDelay {
    /// Which.
    pub calls: Calls,
    /// When the calling thread sleeps.
    pub at: SleepAt,
    /// For how long.
    #[serde(with = "duration")]
    pub length: Duration,
    /// How far a sleep may stray from that to both sides.
    #[serde(with = "duration")]
    pub jitter: Duration,
    /// Whether one sleep may follow another, where one alone may not take so long.
    #[serde(default)]
    pub sleeps: Sleeps,
}

/// How many sleeps one call may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sleeps {
    /// One.
    #[default]
    Single,
    /// One after the other, each in a program of its own, so that who waits for sleepers gets his turn, and
    /// none of them begins when the lease has ended.
    Chained,
}

/// When a thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SleepAt {
    /// Before the call does its work.
    Enter,
    /// After it.
    Exit,
}

impl CallDelay {
    /// Checks what the types do not say.
    pub(crate) fn check(&self) -> Result<(), CallFaultError> {
        self.calls.check()?;
        let asked = self.length.saturating_add(self.jitter);
        if self.length.is_zero() {
            return Err(CallFaultError::NoDelay);
        }
        match self.sleeps {
            Sleeps::Single if asked > LONGEST_SLEEP => Err(CallFaultError::TooLong { asked }),
            Sleeps::Chained if asked > LONGEST_CHAIN => Err(CallFaultError::ChainTooLong { asked }),
            Sleeps::Single | Sleeps::Chained => Ok(()),
        }
    }

    /// What has no effect as asked in the time that it has.
    pub(super) fn timing(&self, span: Span) -> Timing {
        let (length, jitter) = (duration::format(self.length), duration::format(self.jitter));
        let late = (self.length > span.left).then(|| {
            format!(
                "a call would sleep for {length}, and the run is over after {}; who sleeps then is woken",
                duration::format(span.left)
            )
        });
        let cut = (self.jitter > self.length).then(|| {
            format!(
                "jitter {jitter} is more than {length}: sleeps below zero are none, so the mean is above {length}"
            )
        });
        Timing::remarks(late.into_iter().chain(cut))
    }

    /// Says how long they sleep, by the flag that the length has.
    pub(super) fn describe(&self, flag: &'static str, parameters: &mut Settings) {
        parameters.one(flag, duration::format(self.length));
        let is_set = !self.jitter.is_zero();
        parameters.some("jitter", is_set.then(|| duration::format(self.jitter)));
    }

    /// Its numbers, with the name that the length has.
    pub(super) fn numbers(&mut self, length_is: Parameter) -> Vec<Decided<'_>> {
        let Self {
            calls,
            at: _,
            length,
            jitter,
            sleeps: _,
        } = self;
        let mut decided = calls.numbers();
        decided.push(Decided::Ramps(length_is, Place::Time(length)));
        decided.push(Decided::Ramps(Parameter::Jitter, Place::Time(jitter)));
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_are_capped() {
        let of = |sleeps, length, jitter| CallDelay {
            calls: Calls {
                syscalls: vec!["read".parse().unwrap()],
                ..Calls::default()
            },
            at: SleepAt::Enter,
            length: Duration::from_secs(length),
            jitter: Duration::from_secs(jitter),
            sleeps,
        };
        let delay = |length, jitter| of(Sleeps::Single, length, jitter);
        assert_eq!(delay(9, 1).check(), Ok(()));
        assert!(delay(9, 2).check().is_err());
        assert!(delay(0, 0).check().is_err());
        assert_eq!(of(Sleeps::Chained, 55, 5).check(), Ok(()));
        assert!(of(Sleeps::Chained, 55, 6).check().is_err());
    }
}
