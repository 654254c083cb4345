//! A step that waits: until a question has a right answer, or until a person lets the run go on.
//!
//! The step has no faults, and its duration is how long is waited at most. A gate that stays shut ends the run, for what
//! was to be waited for never came; so there is none without an end.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::condition::Question;

/// What opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The first right answer to this question.
    Until(Box<Question>),
    /// A person, by `injector approve`.
    Approve,
}

/// What it waits for.
impl fmt::Display for Gate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Until(question) => write!(out, "a right answer to `{question}`"),
            Self::Approve => out.write_str("a person (`injector approve`)"),
        }
    }
}
