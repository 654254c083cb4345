//! The stage of its file that an experiment is: a sandbox first, production last, each unlocked by the one before.
//!
//! A stage is known by what it asks: a digest of its name and of the experiment that the file makes of it. So a run of an
//! earlier stage counts for the file as it is now, with the values as they are now, and a change of either locks what comes
//! behind it; a change of its halt conditions, its blast radius and its rollback, too. The digest is that of the file alone; limits that a host adds are no part of it.
//!
//! Stages guard against haste, not against a person who means harm: a user who may run an experiment may also run one
//! that has no stages. What a host allows is its configuration's.
//!
//! Rejected: a digest of the file's bytes. A comment would lock everything, and a value of `--set` nothing.

use serde::{Deserialize, Serialize};

use super::{Experiment, Fingerprint, LONGEST_NAME, head::is_line};
use crate::printable;

/// The most stages of a file.
pub const MOST_STAGES: usize = 16;

/// A stage, as it was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The digest of what it asks.
    pub asks: Fingerprint,
    /// The stage whose last run must have held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Earlier>,
    /// Who answers for the run, in a person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Where its targets have to be.
    #[serde(default, skip_serializing_if = "Ground::is_anywhere")]
    pub ground: Ground,
}

/// A stage that comes before another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// Its name.
    pub stage: String,
    /// The digest of what it asks now.
    pub asks: Fingerprint,
}

/// Where a stage's targets have to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// Where they are.
    #[default]
    Anywhere,
    /// Each in a cgroup of its own and in a network namespace that is not injector's own, which the run verifies.
    Sandbox,
}

impl Ground {
    /// Both, with the words that files have for them.
    pub(super) const WORDS: [(&'static str, Self); 2] =
        [("anywhere", Self::Anywhere), ("sandbox", Self::Sandbox)];

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_anywhere(&self) -> bool {
        *self == Self::Anywhere
    }
}

/// Why a stage cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum StageError {
    #[error("the name of a stage has 1 to {LONGEST_NAME} characters; correct it")]
    Name,
    #[error(
        "who approves has 1 to {LONGEST_NAME} characters, as in `--approved-by \"Ada Ames\"`; correct it"
    )]
    Approver,
}

impl Stage {
    /// The digest of what a stage of this name asks with this experiment, as its file says it. What keeps a run in bounds is a
    /// part of it, which no [fingerprint](Experiment::fingerprint) has: a stage whose halt conditions, blast radius or
    /// rollback were taken out of the file has not been passed.
    pub fn asks(name: &str, experiment: &Experiment) -> Fingerprint {
        let asks = experiment.fingerprint().named(&experiment.name).named(name);
        let halt = experiment.halt.iter().map(ToString::to_string);
        // These always serialise.
        let radius = experiment.blast_radius.iter();
        let radius = radius.map(|one| serde_json::to_string(one).unwrap_or_default());
        let rollback = experiment.rollback.iter();
        let rollback = rollback.map(|one| serde_json::to_string(one).unwrap_or_default());
        let bounds = halt.chain(radius).chain(rollback);
        bounds.fold(asks, |asks, line| asks.named(&line))
    }

    /// It in one line, with names escaped.
    pub fn in_words(&self) -> String {
        let mut words = self.name.clone();
        if let Some(earlier) = &self.after {
            words = format!("{words}, after {}", earlier.stage);
        }
        if let Some(name) = &self.approved_by {
            words = format!("{words}, approved by {name}");
        }
        match self.ground {
            Ground::Anywhere => {}
            Ground::Sandbox => words.push_str(", in a sandbox"),
        }
        printable::line(&words).into_owned()
    }

    /// Checks what this file is about.
    pub(super) fn check(&self) -> Result<(), StageError> {
        check_name(&self.name)?;
        if let Some(earlier) = &self.after {
            check_name(&earlier.stage)?;
        }
        self.approved_by.as_deref().map_or(Ok(()), check_approver)
    }
}

pub(super) fn check_name(name: &str) -> Result<(), StageError> {
    is_line(name).then_some(()).ok_or(StageError::Name)
}

pub(super) fn check_approver(name: &str) -> Result<(), StageError> {
    is_line(name).then_some(()).ok_or(StageError::Approver)
}
