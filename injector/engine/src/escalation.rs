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

use std::time::Duration;

use injector_spec::{
    config::{Config, NotifierWay},
    error::Refusal,
    escalation::{EscalationStep, NotifierName},
};

use crate::halt_monitor::WhoAsks;

pub use at_gate::AtGate;
pub use follow_up::{COMMAND, follow_up, is_wanted, start};

/// One who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The notifier's name.
    pub to: NotifierName,
    /// How it is told.
    pub way: NotifierWay,
    /// How long an answer is waited for.
    pub within: Duration,
}

/// Those who are asked, in order; none where nothing is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// Whether no person is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Refuses an experiment that names a notifier which this host does not have, and one whose caller would leave out those
/// whom the host's owner has named.
pub fn check(config: &Config, named: &[EscalationStep], by: WhoAsks) -> Result<(), Refusal> {
    for (index, step) in named.iter().enumerate() {
        if config.notifier(&step.to).is_none() {
            let known: Vec<&str> = config.notifiers().map(NotifierName::as_str).collect();
            let has = match known[..] {
                [] => "none".to_owned(),
                _ => known.join(", "),
            };
            return Err(Refusal::usage(format!(
                "`escalate[{index}].to` names `{}`, and `[[notifier]]` of this host's configuration has {has}; \
                 configure it, or name another.",
                step.to
            )));
        }
    }
    let owners = config.escalate();
    let left_out = owners
        .iter()
        .find(|step| !named.iter().any(|other| other.to == step.to));
    match (by, left_out) {
        (WhoAsks::Guest, Some(left_out)) if !named.is_empty() => Err(Refusal::endangers(format!(
            "`escalate` leaves out `{}`, whom this host's owner has named, and you are not root; name it too, or leave \
             `escalate` out.",
            left_out.to
        ))),
        (WhoAsks::Guest | WhoAsks::Owner, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
