//! Faults on processes as wholes: they end, stand still, or get too little of something.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Calls, Follow, Selector};
use crate::quantity::{CpuMax, IoMax, Signal, Size, duration};

/// How often the injector looks after processes; nothing that it does to them is quicker.
const SHORTEST: Duration = Duration::from_millis(50);

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

/// The caller of a system call gets a signal, before the call does anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillAtCall {
    /// Which.
    pub signal: Signal,
    /// At which calls; which of them is the fault's chance.
    pub calls: Calls,
    /// What becomes of processes that appear in the target afterwards; nothing where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respawn: Option<Respawn>,
}

/// A time between two rounds of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interval(#[serde(with = "duration")] pub Duration);

/// What becomes of processes that appear in the target after the first signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Respawn {
    /// They get the signal as soon as they are seen
    KillAgain,
    /// No program is started in the target any more, as long as the fault goes on
    DenyExec,
}

/// Processes stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// In turns; the whole time where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulse: Option<Pulse>,
}

/// On for a while, off for a while, from the fault's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulse {
    /// How long it is on.
    #[serde(with = "duration")]
    pub active: Duration,
    /// How long it is off then.
    #[serde(with = "duration")]
    pub dormant: Duration,
}

/// A cgroup gets less than it wants; at least one of the limits is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Starve {
    /// Of CPU time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_max: Option<CpuMax>,
    /// Of memory, before the kernel slows it down and reclaims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<Size>,
    /// Of block devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_max: Vec<IoMax>,
    /// Of processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<u64>,
}

/// Why a fault on processes makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessFaultError {
    /// A time that the injector cannot keep.
    #[error(
        "`{fault}`: {} is too short, because the injector looks after processes every {}; make it longer",
        duration::format(*.asked), duration::format(SHORTEST)
    )]
    TooShort {
        /// The fault.
        fault: &'static str,
        /// What was asked.
        asked: Duration,
    },
    /// No limit.
    #[error(
        "`proc.starve` has nothing to do; give it at least one of cpu, cpu-max, memory-high, io-max and \
         pids-max"
    )]
    NothingToStarve,
    /// One device twice.
    #[error("`proc.starve` limits the device {0} twice; put its limits into one io-max")]
    SameDevice(String),
    /// Part of a cgroup.
    #[error(
        "`proc.starve` limits a whole cgroup, and target `{0}` is chosen by process: its siblings in the \
         cgroup are bystanders; choose the target by cgroup, unit or container"
    )]
    Siblings(String),
    /// Nothing can appear.
    #[error(
        "`proc.kill` with `respawn: kill-again` needs a target in which processes can appear, and target \
         `{0}` is fixed PIDs; choose it by cgroup, unit, container or process pattern, or add tree"
    )]
    NobodyRespawns(String),
    /// It would meet bystanders, or processes whose refusals no person would notice.
    #[error(
        "`proc.kill` with `respawn: deny-exec` lets no process start a program in a whole cgroup, and target \
         `{0}` is chosen by process; choose it by cgroup, unit or container"
    )]
    NoWholeCgroup(String),
    /// Every call kills its caller.
    #[error(
        "`proc.kill` at a call meets each process that comes back by itself; leave out `respawn: kill-again`, and say \
         with `when` or `max-hits` which calls kill"
    )]
    AgainAtCall,
    /// Its calls.
    #[error(transparent)]
    Calls(#[from] super::CallFaultError),
}

impl std::fmt::Display for Kill {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// What `deny-exec` does, for people.
const DENIED: &str = "; from then on no program is started in the cgroup (EACCES)";

impl std::fmt::Display for KillAtCall {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SIG{} to each thread that calls ", self.signal)?;
        for (index, call) in self.calls.syscalls.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(out, "{comma}{call}")?;
        }
        match self.respawn {
            None => Ok(()),
            Some(_) => write!(out, "{DENIED}"),
        }
    }
}

impl std::fmt::Display for Pause {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pulse {
            None => write!(out, "stands still all the time"),
            Some(Pulse { active, dormant }) => write!(
                out,
                "stands still for {}, goes on for {}, in turns",
                duration::format(active),
                duration::format(dormant)
            ),
        }
    }
}

impl Kill {
    pub(super) fn check(&self, name: &str, selector: &Selector) -> Result<(), ProcessFaultError> {
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
        match self.respawn {
            Some(Respawn::KillAgain) if is_fixed => {
                Err(ProcessFaultError::NobodyRespawns(name.to_owned()))
            }
            Some(Respawn::DenyExec) => whole_cgroup(name, selector),
            _ => Ok(()),
        }
    }
}

impl KillAtCall {
    pub(super) fn check(&self, name: &str, selector: &Selector) -> Result<(), ProcessFaultError> {
        self.calls.check()?;
        match self.respawn {
            None => Ok(()),
            Some(Respawn::KillAgain) => Err(ProcessFaultError::AgainAtCall),
            Some(Respawn::DenyExec) => whole_cgroup(name, selector),
        }
    }
}

/// Who starts a program in a target that is chosen by process is none of its processes yet.
fn whole_cgroup(name: &str, selector: &Selector) -> Result<(), ProcessFaultError> {
    if selector.is_whole_cgroup() {
        Ok(())
    } else {
        Err(ProcessFaultError::NoWholeCgroup(name.to_owned()))
    }
}

impl Pause {
    pub(super) fn check(&self) -> Result<(), ProcessFaultError> {
        let Some(Pulse { active, dormant }) = self.pulse else {
            return Ok(());
        };
        long_enough("proc.pause", active)?;
        long_enough("proc.pause", dormant)
    }
}

impl Starve {
    pub(super) fn check(&self, name: &str, selector: &Selector) -> Result<(), ProcessFaultError> {
        if *self == Self::default() {
            return Err(ProcessFaultError::NothingToStarve);
        }
        for (index, limit) in self.io_max.iter().enumerate() {
            let device = limit.device();
            if self.io_max[..index]
                .iter()
                .any(|other| other.device() == device)
            {
                return Err(ProcessFaultError::SameDevice(device));
            }
        }
        if selector.is_whole_cgroup() {
            Ok(())
        } else {
            Err(ProcessFaultError::Siblings(name.to_owned()))
        }
    }
}

fn long_enough(fault: &'static str, asked: Duration) -> Result<(), ProcessFaultError> {
    if asked < SHORTEST {
        return Err(ProcessFaultError::TooShort { fault, asked });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid() -> Selector {
        Selector::Pids {
            pids: vec![7],
            follow: Follow::Process,
        }
    }

    fn cgroup() -> Selector {
        Selector::Cgroup("a/b".into())
    }

    #[test]
    fn only_a_whole_cgroup_is_starved() {
        let starve = Starve {
            pids_max: Some(3),
            ..Starve::default()
        };
        assert_eq!(starve.check("agent", &cgroup()), Ok(()));
        assert_eq!(
            starve.check("agent", &pid()),
            Err(ProcessFaultError::Siblings("agent".into()))
        );
        assert_eq!(
            Starve::default().check("agent", &cgroup()),
            Err(ProcessFaultError::NothingToStarve)
        );
        let limit = |text: &str| text.parse().unwrap();
        let twice = Starve {
            io_max: vec![limit("8:0 rbps=1k"), limit("8:0 wbps=1k")],
            ..Starve::default()
        };
        assert_eq!(
            twice.check("agent", &cgroup()),
            Err(ProcessFaultError::SameDevice("8:0".into()))
        );
    }

    #[test]
    fn nobody_comes_back_under_a_fixed_pid() {
        let kill = Kill {
            signal: Signal::KILL,
            after: Duration::ZERO,
            interval: None,
            respawn: Some(Respawn::KillAgain),
        };
        assert_eq!(kill.check("agent", &cgroup()), Ok(()));
        let tree = Selector::Pids {
            pids: vec![7],
            follow: Follow::Tree,
        };
        assert_eq!(kill.check("agent", &tree), Ok(()));
        assert_eq!(
            kill.check("agent", &pid()),
            Err(ProcessFaultError::NobodyRespawns("agent".into()))
        );
    }

    #[test]
    fn programs_are_denied_in_whole_cgroups_only() {
        let at_call = |respawn| KillAtCall {
            signal: Signal::KILL,
            calls: Calls {
                syscalls: vec!["write".parse().unwrap()],
                ..Calls::default()
            },
            respawn,
        };
        let deny = at_call(Some(Respawn::DenyExec));
        assert_eq!(deny.check("agent", &cgroup()), Ok(()));
        let of_process = Err(ProcessFaultError::NoWholeCgroup("agent".into()));
        assert_eq!(deny.check("agent", &pid()), of_process);
        let kill = Kill {
            signal: Signal::KILL,
            after: Duration::ZERO,
            interval: None,
            respawn: Some(Respawn::DenyExec),
        };
        assert_eq!(kill.check("agent", &cgroup()), Ok(()));
        assert_eq!(kill.check("agent", &pid()), of_process);
        assert_eq!(at_call(None).check("agent", &pid()), Ok(()));
        let again = at_call(Some(Respawn::KillAgain)).check("agent", &cgroup());
        assert_eq!(again, Err(ProcessFaultError::AgainAtCall));
    }

    #[test]
    fn times_that_cannot_be_kept_are_refused() {
        let short = Duration::from_millis(49);
        let pulse = |active, dormant| Pause {
            pulse: Some(Pulse { active, dormant }),
        };
        assert!(pulse(SHORTEST, SHORTEST).check().is_ok());
        assert!(pulse(short, SHORTEST).check().is_err());
        assert!(pulse(SHORTEST, short).check().is_err());
    }
}
