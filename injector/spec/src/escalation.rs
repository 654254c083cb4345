//! Whom a decision is asked of, one after the other, and how long each has to answer.
//!
//! A file has it as `escalate: [{to: on-call, within: 5m}, {to: team-lead, within: 10m}]`, a host's configuration as
//! `escalate` under `[escalation]`. The names are those of `[[notifier]]` in the configuration: an address in an experiment
//! would let each user who may start a run have programs started and servers called.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::quantity::duration;

/// The most steps of one escalation.
pub const MOST_STEPS: usize = 8;
/// The longest that one step may wait for an answer.
pub const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The longest name of a notifier, in characters.
const LONGEST_NAME: usize = 64;

/// The name of a notifier of a host's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NotifierName(String);

/// One who is asked, and how long they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationStep {
    /// The notifier that is told.
    pub to: NotifierName,
    /// How long an answer is waited for before the next one is told.
    #[serde(with = "crate::quantity::duration")]
    pub within: Duration,
}

/// Why decisions cannot be asked for so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum EscalationError {
    #[error(
        "a notifier's name has 1 to {LONGEST_NAME} small letters, digits, `-` and `_`, as in `on-call`; correct `{0}`"
    )]
    Name(String),
    #[error("a step of `escalate` waits between 1s and {}, and not {}; correct `within`",
        duration::format(LONGEST_WAIT), duration::format(*.0))]
    Within(Duration),
    #[error("`escalate` names `{0}` twice; leave one of them")]
    Twice(NotifierName),
    #[error("`escalate` has {0} steps; leave at most {MOST_STEPS}")]
    TooMany(usize),
}

/// Checks how long an answer is waited for.
pub fn check_wait(within: Duration) -> Result<(), EscalationError> {
    if (Duration::from_secs(1)..=LONGEST_WAIT).contains(&within) {
        Ok(())
    } else {
        Err(EscalationError::Within(within))
    }
}

impl NotifierName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NotifierName {
    type Err = EscalationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_fit = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character)
        };
        if (1..=LONGEST_NAME).contains(&text.chars().count()) && text.chars().all(is_fit) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(LONGEST_NAME).collect();
        Err(EscalationError::Name(
            crate::printable::line(&shown).into_owned(),
        ))
    }
}

impl TryFrom<String> for NotifierName {
    type Error = EscalationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NotifierName> for String {
    fn from(name: NotifierName) -> Self {
        name.0
    }
}

impl fmt::Display for NotifierName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// `on-call within 5m`.
impl fmt::Display for EscalationStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} within {}", self.to, duration::format(self.within))
    }
}

impl EscalationStep {
    /// Checks its time.
    pub fn check_within(&self) -> Result<(), EscalationError> {
        check_wait(self.within)
    }

    /// The first step that names whom an earlier one has named.
    pub fn twice(steps: &[Self]) -> Option<(usize, &NotifierName)> {
        let names = |index: usize| steps[..index].iter().map(|step| &step.to);
        let mut all = steps.iter().enumerate();
        all.find_map(|(index, step)| {
            names(index)
                .any(|name| *name == step.to)
                .then_some((index, &step.to))
        })
    }

    /// Checks all of them.
    pub fn check(steps: &[Self]) -> Result<(), EscalationError> {
        if steps.len() > MOST_STEPS {
            return Err(EscalationError::TooMany(steps.len()));
        }
        for step in steps {
            step.check_within()?;
        }
        match Self::twice(steps) {
            Some((_, name)) => Err(EscalationError::Twice(name.clone())),
            None => Ok(()),
        }
    }

    /// All of them on one line.
    pub fn in_words(steps: &[Self]) -> String {
        let words: Vec<String> = steps.iter().map(ToString::to_string).collect();
        words.join(", then ")
    }
}
