//! `rollback`: programs that put a system right again after a run that ended by a breach.
//!
//! They are run one after the other when the faults are off, and only where the run was halted, broke, or was unsafe: what
//! ended as planned has nothing to put right. They are no faults: what they change is not undone, and they are no part of
//! the [fingerprint](super::Fingerprint).
//!
//! Rejected: a shell's line (what a blank in a name does would hang on the shell), and programs for runs that held.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    condition::{ConditionError, map, words},
    quantity::duration,
};

/// The most commands.
pub const MOST_COMMANDS: usize = 8;
/// The longest that a command may take.
pub const LONGEST_COMMAND: Duration = Duration::from_mins(1);
/// How long a command may take where nothing is said.
pub const USUAL_COMMAND: Duration = Duration::from_secs(10);
/// The most characters of a command with all its arguments.
pub const MOST_CHARACTERS: usize = 4096;

/// A program with its arguments, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackCommand {
    /// The program by its whole path, and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// It is ended with its process group when it takes longer.
    #[serde(with = "crate::quantity::duration", default = "usual")]
    pub within: Duration,
}

const fn usual() -> Duration {
    USUAL_COMMAND
}

/// Why a rollback cannot be done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum RollbackError {
    #[error(
        "`rollback` has {0} commands; leave at most {MOST_COMMANDS}, or put some of them into one program"
    )]
    TooMany(usize),
    #[error(
        "a command of `rollback` has at most {MOST_CHARACTERS} characters; put the rest into a file"
    )]
    Long,
    #[error("a command of `rollback` takes between 1ms and {}, and not {}; correct `within`",
        duration::format(LONGEST_COMMAND), duration::format(*.0))]
    Within(Duration),
    /// The program is not named by its whole path.
    #[error(transparent)]
    Command(#[from] ConditionError),
}

impl RollbackCommand {
    /// A program and its arguments in the form that a file has, on one line.
    pub fn words(command: &[String]) -> String {
        words::list(command)
    }

    /// Checks its words.
    pub(super) fn check_command(&self) -> Result<(), RollbackError> {
        map::program(&self.command)?;
        let characters = self.command.iter().map(|word| word.chars().count());
        if characters.sum::<usize>() > MOST_CHARACTERS {
            return Err(RollbackError::Long);
        }
        Ok(())
    }

    /// Checks its time.
    pub(super) fn check_within(&self) -> Result<(), RollbackError> {
        if (Duration::from_millis(1)..=LONGEST_COMMAND).contains(&self.within) {
            Ok(())
        } else {
            Err(RollbackError::Within(self.within))
        }
    }
}

/// Checks all of them.
pub(super) fn check(commands: &[RollbackCommand]) -> Result<(), RollbackError> {
    if commands.len() > MOST_COMMANDS {
        return Err(RollbackError::TooMany(commands.len()));
    }
    commands.iter().try_for_each(|command| {
        command.check_command()?;
        command.check_within()
    })
}

/// `["/usr/bin/systemctl", "restart", "my-agent"] within 10s`
impl fmt::Display for RollbackCommand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} within {}",
            Self::words(&self.command),
            duration::format(self.within)
        )
    }
}
