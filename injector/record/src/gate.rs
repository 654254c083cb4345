//! How the gates of a run were opened, and what the commands of its steps came to, for the record.

use std::{fmt, time::Duration};

use injector_spec::{printable, quantity::duration};
use serde::{Deserialize, Serialize};

use crate::rollback::CommandEnd;

/// That a person lets a run go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// User id.
    pub by_uid: u32,
    /// Process id.
    pub by_pid: u32,
    /// The user who logged in and became `by_uid`, as by sudo; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// When, on the boot clock, in nanoseconds: the wall clock may be set while a run waits.
    pub boot_ns: u64,
    /// The step that they have seen waiting.
    pub step: String,
}

/// What became of a gate at which the run has waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// Its step.
    pub step: String,
    /// How long the run waited, in milliseconds.
    pub waited_ms: u64,
    /// How the wait ended.
    #[serde(flatten)]
    pub end: GateEnd,
}

/// How the wait at a gate ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gate", rename_all = "kebab-case")]
pub enum GateEnd {
    /// The question had a right answer.
    Answered,
    /// A person let the run go on.
    Approved {
        /// Who, and when.
        approval: Approval,
    },
    /// The command of the step has ended; it opens the gate by exit code 0.
    Ran {
        /// How.
        #[serde(flatten)]
        end: CommandEnd,
        /// The last line that it has printed; absent where it has printed none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<String>,
    },
    /// Nothing opened it within its time.
    TimedOut {
        /// What was wrong with the last answer; absent where a person was waited for, or no answer came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<String>,
    },
    /// The run ended while it waited.
    RunEnded,
}

impl GateReport {
    /// Whether the run went on.
    pub const fn is_open(&self) -> bool {
        match &self.end {
            GateEnd::Answered | GateEnd::Approved { .. } => true,
            GateEnd::Ran { end, .. } => end.is_done(),
            GateEnd::TimedOut { .. } | GateEnd::RunEnded => false,
        }
    }
}

impl fmt::Display for Approval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "user {}", self.by_uid)?;
        if let Some(login) = self.login_uid.filter(|login| *login != self.by_uid) {
            write!(out, " (logged in as {login})")?;
        }
        write!(out, ", process {}", self.by_pid)
    }
}

/// `gate deploy: approved by user 0, process 77, after 3.2s`, on one line, with names escaped.
impl fmt::Display for GateReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = duration::measured(Duration::from_millis(self.waited_ms));
        write!(out, "gate {}: ", printable::line(&self.step))?;
        match &self.end {
            GateEnd::Answered => write!(out, "answered right after {waited}"),
            GateEnd::Approved { approval } => write!(out, "approved by {approval}, after {waited}"),
            GateEnd::Ran { end, said } => {
                write!(out, "its command {}", end.after(self.waited_ms))?;
                match said {
                    Some(said) => write!(out, "; its last line: {}", printable::line(said)),
                    None => Ok(()),
                }
            }
            GateEnd::TimedOut { last: None } => write!(out, "shut for {waited}, all its time"),
            GateEnd::TimedOut { last: Some(last) } => {
                let last = printable::line(last);
                write!(
                    out,
                    "shut for {waited}, all its time; the last answer: {last}"
                )
            }
            GateEnd::RunEnded => write!(out, "the run ended while it waited, after {waited}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_opens_its_gate_by_ending_with_0() {
        let of = |end| GateReport {
            step: "go".into(),
            waited_ms: 5,
            end: GateEnd::Ran { end, said: None },
        };
        assert!(of(CommandEnd::Exited { code: 0 }).is_open());
        for shut in [
            CommandEnd::Exited { code: 1 },
            CommandEnd::Killed { signal: 9 },
            CommandEnd::TimedOut { within_ms: 5 },
            CommandEnd::NotStarted { why: "gone".into() },
            CommandEnd::CutShort,
        ] {
            assert!(!of(shut).is_open());
        }
    }

    #[test]
    fn each_end_is_told_on_one_line_and_read_back() {
        let approval = Approval {
            by_uid: 0,
            by_pid: 77,
            login_uid: Some(1000),
            boot_ns: 5,
            step: "go".into(),
        };
        let last = Some("refused\nhere".to_owned());
        for (end, part) in [
            (GateEnd::Answered, "answered right after 3.2s"),
            (
                GateEnd::Approved { approval },
                "approved by user 0 (logged in as 1000), process 77, after 3.2s",
            ),
            (
                GateEnd::TimedOut { last },
                "the last answer: refused\\nhere",
            ),
            (
                GateEnd::TimedOut { last: None },
                "shut for 3.2s, all its time",
            ),
            (GateEnd::RunEnded, "the run ended"),
            (
                GateEnd::Ran {
                    end: CommandEnd::Exited { code: 3 },
                    said: Some("no\tsuch unit".into()),
                },
                "its command ended with 3 after 3.2s; its last line: no\\tsuch unit",
            ),
            (
                GateEnd::Ran {
                    end: CommandEnd::TimedOut { within_ms: 3_000 },
                    said: None,
                },
                "its command took longer than 3s and was ended",
            ),
        ] {
            let gate = GateReport {
                step: "go\u{1b}".into(),
                waited_ms: 3_200,
                end,
            };
            let said = gate.to_string();
            assert!(said.contains(part) && !said.contains('\u{1b}'), "{said}");
            let json = serde_json::to_string(&gate).unwrap();
            assert_eq!(serde_json::from_str::<GateReport>(&json).unwrap(), gate);
        }
    }
}
