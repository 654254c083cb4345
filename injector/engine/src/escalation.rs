//! Asks people for a decision, one after the other, until one answers.
//!
//! A run that waits at a gate for a person asks while it waits, from a thread that its end waits for no moment
//! ([`AtGate`]). What was halted, broke, was unsafe or was inconclusive twice is asked about when the run is over and on
//! record, by a process of its own that holds nothing of it ([`follow_up`]): deadlines of minutes must keep no end, no
//! report and no next run waiting.
//!
//! Invariants:
//! - Each notifier is told by a thread of its own, so that one that hangs delays neither the next nor an end.
//! - Deadlines are on the boot clock.
//! - Nothing of an address or of a program's arguments gets into a record.
//! - The first answer ends it: an approval, an acknowledgement, the kill switch, or the end of the run that waited.
//!
//! Rejected: letting the command of a run stay until people have answered. Its exit code is what a pipeline waits for.

mod asking;
mod at_gate;
mod follow_up;
mod slots;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use injector_spec::{
    config::{Config, NotifierWay},
    error::Refusal,
    escalation::{EscalationStep, NotifierName},
};

use crate::{halt_monitor::WhoAsks, notifier::Naming};

pub use at_gate::AtGate;
pub use follow_up::{COMMAND, follow_up, is_wanted, start};

/// One who is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The notifier's name.
    pub to: NotifierName,
    /// How it is told.
    pub way: NotifierWay,
    /// How long an answer is waited for.
    #[serde(with = "injector_spec::quantity::duration")]
    pub within: Duration,
}

/// Those who are asked, in order; none where nothing is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain(pub Vec<Link>);

impl Chain {
    /// Those whom an experiment names, or the configuration where it names none. Names that the configuration does not
    /// have are left out: [`check`] has refused them where a run begins.
    pub fn of(config: &Config, named: &[EscalationStep]) -> Self {
        let own = config.escalate();
        let steps = if named.is_empty() { &own } else { named };
        let link = |step: &EscalationStep| {
            Some(Link {
                to: step.to.clone(),
                way: config.notifier(&step.to)?.way()?,
                within: step.within,
            })
        };
        Self(steps.iter().filter_map(link).collect())
    }

    /// Their names.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|link| link.to.as_str()).collect();
        names.join(", ")
    }

    /// Whether no person is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Refuses an experiment that names a notifier which this host does not have, and one whose caller would leave out those
/// whom the host's owner has named.
pub fn check(config: &Config, named: &[EscalationStep], by: WhoAsks) -> Result<(), Refusal> {
    let owners = config.escalate();
    let steps = named.iter().enumerate();
    let steps = steps.map(|(index, step)| (format!("`escalate[{index}].to`"), step.to.as_str()));
    Naming {
        key: "escalate",
        section: "`[[notifier]]`",
        has: config.notifiers().map(NotifierName::as_str).collect(),
        owners: owners.iter().map(|step| step.to.as_str()).collect(),
        named: steps.collect(),
    }
    .check(by)
}

#[cfg(test)]
mod tests;
