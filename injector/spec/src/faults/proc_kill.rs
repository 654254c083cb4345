//! `proc.kill`: processes get a signal.

use std::{fmt, time::Duration};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnProcesses, ProcessFaultError,
    proc_kill_at_call::KillAtCall,
    processes::{DENIED, Respawn, long_enough, whole_cgroup},
};
use crate::{
    experiment::{
        Calls, CheckError, Direction, Fault, Follow, Selector, Settings, Target, TimingError,
        decided::{Decided, Why, stays},
        settings::name,
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request},
    quantity::{Signal, duration},
    syscall::Syscall,
};

/// Processes get a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// Which.
    pub signal: Signal,
    /// How long after the fault has begun the first ones are sent.
    #[serde(with = "duration")]
    pub after: Duration,
    /// How often; once where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// What becomes of processes that appear in the target afterwards; nothing where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respawn: Option<Respawn>,
}

/// A time between two rounds of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interval(#[serde(with = "duration")] pub Duration);

#[derive(Args, Debug)]
pub struct Flags {
    /// Which signal
    #[arg(long, value_name = "SIGNAL", default_value = "KILL")]
    signal: Signal,
    /// How long after the fault has begun
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    after: Duration,
    /// Again every so often, to every process that is there; once where not given
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    interval: Option<Duration>,
    /// To the thread that makes this system call, before the call does anything; `--when` says at which of them; repeatable
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with_all = ["after", "interval"]
    )]
    at_call: Vec<Syscall>,
    /// Only at calls of threads with such a name, as in `tokio-*`
    #[arg(long, value_name = "GLOB", requires = "at_call")]
    thread: Option<String>,
    /// What becomes of processes that appear in the target afterwards
    #[arg(long, value_enum, value_name = "WHAT")]
    respawn: Option<Respawn>,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let chance = self.chance.chance();
        if self.at_call.is_empty() {
            let kill = Kill {
                signal: self.signal,
                after: self.after,
                interval: self.interval.map(Interval),
                respawn: self.respawn,
            };
            return Fault::without_traffic(kill, chance);
        }
        let kill = KillAtCall {
            signal: self.signal,
            calls: Calls::of(self.at_call, self.thread),
            respawn: self.respawn,
        };
        Fault::without_traffic(kill, chance)
    }
}

impl Definition for Kill {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Processes(OnProcesses::Kill(self))
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn check_on(&self, target: &Target) -> Result<(), CheckError> {
        Ok(self.check_for(&target.name, &target.selector)?)
    }

    fn timing(&self, span: Span) -> Timing {
        let refused = (self.after >= span.on).then_some(TimingError::NeverSent {
            after: self.after,
            on: span.on,
        });
        let is_second_late = self
            .interval
            .is_some_and(|Interval(every)| self.after.saturating_add(every) >= span.on);
        let remarks = is_second_late.then(|| {
            format!(
                "the step is over after {}, before a second round of signals; they are sent once",
                duration::format(span.on)
            )
        });
        Timing {
            refused,
            ..Timing::remarks(remarks)
        }
    }

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        parameters.one("signal", self.signal);
        parameters.one("after", duration::format(self.after));
        let every = self.interval.map(|Interval(every)| duration::format(every));
        parameters.some("interval", every);
        parameters.some("respawn", self.respawn.map(name));
    }

    fn details(&self, _: Direction) -> Vec<String> {
        vec![self.to_string()]
    }
}

impl Numbers for Kill {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            signal: _,
            after: _,
            interval: _,
            respawn: _,
        } = self;
        stays(&["after", "interval"], Why::Schedule)
    }
}

impl Kill {
    fn check_for(&self, name: &str, selector: &Selector) -> Result<(), ProcessFaultError> {
        if let Some(Interval(asked)) = self.interval {
            long_enough("proc.kill", asked)?;
        }
        let is_fixed = matches!(
            selector,
            Selector::Pids {
                follow: Follow::Process,
                ..
            }
        );
        // One that comes back under another id is none of those that were picked.
        let is_picked = selector.pick().is_some() && !selector.follows();
        match self.respawn {
            Some(Respawn::KillAgain) if is_fixed || is_picked => {
                Err(ProcessFaultError::NobodyRespawns(name.to_owned()))
            }
            Some(Respawn::DenyExec) => whole_cgroup(name, selector),
            Some(Respawn::KillAgain) | None => Ok(()),
        }
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "SIG{} after {}",
            self.signal,
            duration::format(self.after)
        )?;
        match self.interval {
            None => write!(out, ", once")?,
            Some(Interval(every)) => write!(out, ", then every {}", duration::format(every))?,
        }
        match self.respawn {
            None => Ok(()),
            Some(Respawn::KillAgain) => {
                write!(
                    out,
                    "; a process that appears then gets it as soon as it is seen"
                )
            }
            Some(Respawn::DenyExec) => write!(out, "{DENIED}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kill(respawn: Respawn) -> Kill {
        Kill {
            signal: Signal::KILL,
            after: Duration::ZERO,
            interval: None,
            respawn: Some(respawn),
        }
    }

    fn pids(follow: Follow) -> Selector {
        let pids = vec![7];
        Selector::Pids {
            pids,
            follow,
            pick: None,
        }
    }

    #[test]
    fn nobody_comes_back_under_a_fixed_pid() {
        let kill = kill(Respawn::KillAgain);
        let cgroup = Selector::Cgroup("a/b".into());
        assert_eq!(kill.check_for("agent", &cgroup), Ok(()));
        assert_eq!(kill.check_for("agent", &pids(Follow::Tree)), Ok(()));
        assert_eq!(
            kill.check_for("agent", &pids(Follow::Process)),
            Err(ProcessFaultError::NobodyRespawns("agent".into()))
        );
        let pick = crate::experiment::Pick {
            portion: "1".parse().unwrap(),
            seed: None,
        };
        let matching = |pick, follow| Selector::Process {
            pattern: "agent".into(),
            many: crate::experiment::Many::All,
            follow,
            pick,
        };
        let respawns = |selector| kill.check_for("agent", &selector).is_ok();
        assert!(respawns(matching(None, Follow::Process)));
        assert!(respawns(matching(Some(pick), Follow::Tree)));
        assert!(!respawns(matching(Some(pick), Follow::Process)));
    }

    #[test]
    fn programs_are_denied_in_whole_cgroups_only() {
        let kill = kill(Respawn::DenyExec);
        let cgroup = Selector::Cgroup("a/b".into());
        assert_eq!(kill.check_for("agent", &cgroup), Ok(()));
        let of_process = Err(ProcessFaultError::NoWholeCgroup("agent".into()));
        assert_eq!(kill.check_for("agent", &pids(Follow::Process)), of_process);
    }
}
