//! How a run that does not happen is told: an exit code and one sentence.
//!
//! Errors are enums of `thiserror` where a caller acts on the difference. When the program ends, no caller
//! is left: a person reads a sentence and a script reads a number. That is a [`Refusal`].

use std::process::{ExitCode, Termination};

use serde::{Deserialize, Serialize};

/// The exit codes, which scripts may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum Exit {
    /// Done; where there was a hypothesis, it held.
    Done = 0,
    /// The experiment failed or was halted, or its hypothesis did not hold.
    Failed = 1,
    /// The request or this machine does not allow it: usage and set-up.
    Usage = 2,
    /// It would be unsafe.
    Unsafe = 3,
    /// The hypothesis could not be judged.
    Inconclusive = 4,
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        exit as Self
    }
}

/// A number that is not one of ours.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not an exit code of injector: they are 0 to 4")]
pub struct UnknownExit(u8);

impl TryFrom<u8> for Exit {
    type Error = UnknownExit;

    fn try_from(code: u8) -> Result<Self, Self::Error> {
        match code {
            0 => Ok(Self::Done),
            1 => Ok(Self::Failed),
            2 => Ok(Self::Usage),
            3 => Ok(Self::Unsafe),
            4 => Ok(Self::Inconclusive),
            other => Err(UnknownExit(other)),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

/// What stands behind a refusal, where a program asks for more than the sentences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ground {
    /// What was asked, or this host.
    #[default]
    Request,
    /// Another run, or what became of the one that is meant: later, or without that run, it may go well.
    Clash,
}

/// Why something is not done: what, why, and what to do about it, in full sentences.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Refusal {
    /// The exit code of a command that meets this refusal.
    pub exit: Exit,
    /// The sentences.
    #[serde(rename = "error")]
    pub message: String,
    /// What stands behind it; stays in this process.
    #[serde(skip)]
    pub ground: Ground,
}

impl Refusal {
    /// The request or the machine does not allow it.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
            ground: Ground::Request,
        }
    }

    /// Another run, or its state, does not allow it.
    pub fn clash(message: impl Into<String>) -> Self {
        Self {
            ground: Ground::Clash,
            ..Self::usage(message)
        }
    }

    /// It would be unsafe. (`unsafe` is a keyword.)
    pub fn endangers(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Unsafe,
            message: message.into(),
            ground: Ground::Request,
        }
    }

    /// It was tried and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            message: message.into(),
            ground: Ground::Request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_the_same_on_both_ends() {
        let refusal = Refusal::endangers("PID 1 is never a target. Choose another process.");
        let text = serde_json::to_string(&refusal).unwrap();
        assert_eq!(
            text,
            r#"{"exit":3,"error":"PID 1 is never a target. Choose another process."}"#
        );
        assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), refusal);
        assert!(serde_json::from_str::<Refusal>(r#"{"exit":9,"error":""}"#).is_err());
    }
}
