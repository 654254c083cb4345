//! What faults on processes as wholes share: `proc.kill`, `proc.pause`, `proc.starve`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    experiment::{CallFaultError, Selector},
    quantity::duration,
};

/// How often the injector looks after processes; nothing that it does to them is quicker.
const SHORTEST: Duration = Duration::from_millis(50);

/// What becomes of processes that appear in the target after the first signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Respawn {
    /// They get the signal as soon as they are seen
    KillAgain,
    /// No program is started in the target any more, as long as the fault goes on
    DenyExec,
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
         `{0}` is fixed PIDs, as those of a pick are; choose it by cgroup, unit, container or process pattern \
         without a pick, or add tree"
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
    Calls(#[from] CallFaultError),
}

/// What `deny-exec` does, for people.
pub(super) const DENIED: &str = "; from then on no program is started in the cgroup (EACCES)";

/// Who starts a program in a target that is chosen by process is none of its processes yet.
pub(super) fn whole_cgroup(name: &str, selector: &Selector) -> Result<(), ProcessFaultError> {
    if selector.is_whole_cgroup() {
        Ok(())
    } else {
        Err(ProcessFaultError::NoWholeCgroup(name.to_owned()))
    }
}

/// Refuses a time that is too short to be kept.
pub(super) fn long_enough(fault: &'static str, asked: Duration) -> Result<(), ProcessFaultError> {
    if asked < SHORTEST {
        return Err(ProcessFaultError::TooShort { fault, asked });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_be_kept_are_refused() {
        assert_eq!(long_enough("proc.pause", SHORTEST), Ok(()));
        let asked = Duration::from_millis(49);
        let fault = "proc.pause";
        assert_eq!(
            long_enough(fault, asked),
            Err(ProcessFaultError::TooShort { fault, asked })
        );
    }
}
