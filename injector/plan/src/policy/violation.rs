//! What a limit says to a run: what, why, and what to do about it.

use std::{path::PathBuf, time::Duration};

use injector_common::threshold::Threshold;

use super::{Override, Share};
use injector_spec::{
    config::{Hours, Moment},
    quantity::{Percent, duration},
};

/// A limit of this host that a run exceeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Gate one.
    DaemonDisabled,
    /// Gate two.
    OutsideAllowed {
        /// The target.
        target: String,
        /// The cgroup that is on no list.
        cgroup: PathBuf,
    },
    /// An override by a user who is not root.
    OverrideByOthers {
        /// Who.
        uid: u32,
        /// One that they asked for.
        first: Override,
    },
    /// `max_processes`.
    ManyProcesses {
        /// So many.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// `max_share`.
    LargeShare {
        /// So much.
        share: Share,
        /// The limit.
        most: Threshold,
    },
    /// `max_experiments`.
    ManyExperiments {
        /// So many go on.
        running: usize,
        /// The limit.
        most: usize,
    },
    /// `[faults]`.
    FaultNotAllowed {
        /// Its name.
        fault: &'static str,
    },
    /// `max_hits`.
    ManyHits {
        /// The fault.
        fault: &'static str,
        /// Its budget.
        asked: u64,
        /// The limit.
        most: u64,
    },
    /// `max_duration`.
    Long {
        /// So long.
        asked: Duration,
        /// The limit.
        most: Duration,
    },
    /// The experiment's own `blast-radius`.
    BeyondRadius {
        /// What there is more of.
        found: String,
        /// What the file allows.
        most: String,
    },
    /// `[hours]`.
    OutsideHours {
        /// The time of day.
        now: Moment,
        /// The limit.
        hours: Hours,
    },
    /// `[protected]`.
    Protected {
        /// The target.
        target: String,
        /// The name as it stands in the file.
        name: String,
        /// What of the target has it.
        what: String,
    },
}

impl Violation {
    /// The one override that lifts it, if there is one.
    pub fn lifted_by(&self) -> Option<Override> {
        Some(match self {
            Self::DaemonDisabled
            | Self::OutsideAllowed { .. }
            | Self::OverrideByOthers { .. }
            | Self::BeyondRadius { .. } => {
                return None;
            }
            Self::ManyProcesses { .. } => Override::ManyProcesses,
            Self::LargeShare { .. } => Override::LargeShare,
            Self::ManyExperiments { .. } => Override::ManyExperiments,
            Self::FaultNotAllowed { fault } => Override::Fault((*fault).to_owned()),
            Self::ManyHits { .. } => Override::ManyHits,
            Self::Long { .. } => Override::Long,
            Self::OutsideHours { .. } => Override::OutsideHours,
            Self::Protected { name, .. } => Override::Protected(name.clone()),
        })
    }

    /// What is the case, without advice.
    pub fn fact(&self) -> String {
        match self {
            Self::DaemonDisabled => {
                "the daemon is not enabled on this host (`enabled` under [daemon])".to_owned()
            }
            Self::OutsideAllowed { target, cgroup } => format!(
                "{target} has processes in cgroup {}, which is not below any that the daemon may touch \
                 (`allow` under [daemon])",
                cgroup.display()
            ),
            Self::OverrideByOthers { uid, first } => {
                format!("user {uid} asks for {first}, and only root may lift a limit")
            }
            Self::ManyProcesses { found, most } => {
                format!("the targets have {found} processes, and `max_processes` is {most}")
            }
            Self::LargeShare { share, most } => {
                format!(
                    "the run reaches {share}, and `max_share` is {}",
                    Percent(*most)
                )
            }
            Self::ManyExperiments { running, most } => {
                format!("{running} runs go on already, and `max_experiments` is {most}")
            }
            Self::FaultNotAllowed { fault } => {
                format!(
                    "{fault} is not among the faults that this host allows (`allow` under [faults])"
                )
            }
            Self::ManyHits { fault, asked, most } => {
                format!("{fault} may hit {asked} times, and `max_hits` is {most}")
            }
            Self::Long { asked, most } => format!(
                "the run takes {}, and `max_duration` is {}",
                duration::format(*asked),
                duration::format(*most)
            ),
            Self::BeyondRadius { found, most } => {
                format!("{found}, and the `blast-radius` of the experiment allows {most}")
            }
            Self::OutsideHours { now, hours } => format!(
                "it is {} on {} here, and runs may start {hours} (local time, [hours])",
                now.time,
                now.day.name()
            ),
            Self::Protected { target, name, what } => {
                format!("`{name}` is protected on this host, and {what} of {target} is that")
            }
        }
    }

    /// What to do about it.
    fn remedy(&self) -> String {
        match self {
            Self::DaemonDisabled => {
                "set it in the configuration, or run the command where no daemon answers".to_owned()
            }
            Self::OutsideAllowed { .. } => {
                "add its root there, or choose another target".to_owned()
            }
            Self::OverrideByOthers { .. } => "leave the override out, or ask root".to_owned(),
            Self::ManyExperiments { .. } => self.or_override("wait for one to end"),
            Self::ManyProcesses { .. } | Self::LargeShare { .. } => {
                self.or_override("choose a smaller target")
            }
            Self::FaultNotAllowed { .. } => self.or_override("use another"),
            Self::ManyHits { .. } => self.or_override("give it a smaller --max-hits"),
            Self::Long { .. } => self.or_override("make it shorter"),
            Self::BeyondRadius { .. } => {
                "see what has grown, and choose a smaller target or write a larger one".to_owned()
            }
            Self::OutsideHours { .. } => self.or_override("come back then"),
            Self::Protected { .. } => self.or_override("choose another target"),
        }
    }

    fn or_override(&self, better: &str) -> String {
        match self.lifted_by() {
            Some(by) => format!("{better}, or lift this one limit on record with `{by}`"),
            None => better.to_owned(),
        }
    }
}

/// The whole sentence.
impl std::fmt::Display for Violation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}; {}.", self.fact(), self.remedy())
    }
}
