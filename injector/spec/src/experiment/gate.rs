//! A step that waits: until a question has a right answer, until a person lets the run go on, or until a command has done
//! what it was to do.
//!
//! The step has no faults, and its duration is how long is waited at most. A gate that stays shut ends the run, for what
//! was to be waited for never came; so there is none without an end.
//!
//! Rejected: commands beside the faults of a step. What a command does takes a time that no file knows, so that no
//! answer could be held against the faults that were on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rollback::{MOST_CHARACTERS, RollbackCommand};
use crate::condition::{ConditionError, Question, map};

/// What opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The first right answer to this question.
    Until(Box<Question>),
    /// A person, by `injector approve`.
    Approve,
    /// The end of this program with exit code 0: its whole path, and its arguments. It is started when the step begins.
    Run(Vec<String>),
}

/// Why a step cannot run a command.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum GateError {
    #[error(
        "the command of a step has at most {MOST_CHARACTERS} characters; put the rest into a file"
    )]
    Long,
    /// The program is not named by its whole path.
    #[error(transparent)]
    Command(#[from] ConditionError),
}

impl Gate {
    /// Checks the words of a command.
    pub(super) fn check(&self) -> Result<(), GateError> {
        match self {
            Self::Until(_) | Self::Approve => Ok(()),
            Self::Run(command) => {
                map::program(command)?;
                let characters = command.iter().map(|word| word.chars().count());
                if characters.sum::<usize>() > MOST_CHARACTERS {
                    return Err(GateError::Long);
                }
                Ok(())
            }
        }
    }
}

/// What it waits for.
impl fmt::Display for Gate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Until(question) => write!(out, "a right answer to `{question}`"),
            Self::Approve => out.write_str("a person (`injector approve`)"),
            Self::Run(command) => {
                write!(out, "{} to end with 0", RollbackCommand::words(command))
            }
        }
    }
}
