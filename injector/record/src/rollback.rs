//! What the commands of a rollback came to, for the record.

use std::{fmt, time::Duration};

use injector_spec::{
    experiment::RollbackCommand,
    printable,
    quantity::{count, duration},
};
use serde::{Deserialize, Serialize};

/// One command that was run after a breach, or should have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The program by its whole path, and its arguments.
    pub command: Vec<String>,
    /// How long it took, in milliseconds; zero where it was never started.
    pub took_ms: u64,
    /// How it ended.
    #[serde(flatten)]
    pub end: CommandEnd,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum CommandEnd {
    /// By itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// By a signal that was not the run's.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// It took longer than its deadline, and was ended with its process group.
    TimedOut {
        /// The deadline, in milliseconds.
        within_ms: u64,
    },
    /// It could not be started.
    NotStarted {
        /// Why.
        why: String,
    },
    /// The run was asked to end meanwhile, so it was ended, or not begun.
    CutShort,
}

impl RolledBack {
    /// Whether it ended with 0.
    pub const fn is_done(&self) -> bool {
        self.end.is_done()
    }
}

impl CommandEnd {
    /// Whether it ended with 0.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }

    /// The end of a command that took so many milliseconds, for a sentence about it; on one line.
    pub(crate) const fn after(&self, took_ms: u64) -> After<'_> {
        After { end: self, took_ms }
    }
}

/// How a command ended, and after how long.
pub(crate) struct After<'e> {
    end: &'e CommandEnd,
    took_ms: u64,
}

/// `ended with 0 after 12ms`
impl fmt::Display for After<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = duration::measured(Duration::from_millis(self.took_ms));
        match self.end {
            CommandEnd::Exited { code } => write!(out, "ended with {code} after {took}"),
            CommandEnd::Killed { signal } => write!(out, "signal {signal} ended it after {took}"),
            CommandEnd::TimedOut { within_ms } => {
                let within = duration::format(Duration::from_millis(*within_ms));
                write!(out, "took longer than {within} and was ended")
            }
            CommandEnd::NotStarted { why } => {
                write!(out, "could not be started: {}", printable::line(why))
            }
            CommandEnd::CutShort if self.took_ms == 0 => {
                out.write_str("not run, because the run was asked to end")
            }
            CommandEnd::CutShort => {
                write!(out, "ended after {took}, because the run was asked to end")
            }
        }
    }
}

/// `rollback ["/bin/x"]: ended with 0 after 12ms`, on one line, with names escaped.
impl fmt::Display for RolledBack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = RollbackCommand::words(&self.command);
        let after = self.end.after(self.took_ms);
        write!(out, "rollback {}: {after}", printable::line(&command))
    }
}

/// All of them in a sentence: how many did what they should, and each that did not. `None` where there is none.
pub fn summary(all: &[RolledBack]) -> Option<String> {
    if all.is_empty() {
        return None;
    }
    let done = all.iter().filter(|one| one.is_done()).count();
    let commands = count(all.len(), "command", "commands");
    let failed = all.iter().filter(|one| !one.is_done());
    let failed = failed.map(|one| format!("; {one}"));
    Some(format!(
        "rollback: {done} of {commands} ended with 0{}",
        failed.collect::<String>()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(end: CommandEnd, took_ms: u64) -> RolledBack {
        RolledBack {
            command: vec!["/bin/a b".into(), "\u{1b}[31m".into()],
            took_ms,
            end,
        }
    }

    #[test]
    fn each_end_is_told_on_one_line_and_read_back() {
        let why = "no such\nfile".to_owned();
        let ends = [
            (CommandEnd::Exited { code: 3 }, "ended with 3 after 12ms"),
            (CommandEnd::Killed { signal: 9 }, "signal 9 ended it"),
            (CommandEnd::TimedOut { within_ms: 1500 }, "longer than 1.5s"),
            (
                CommandEnd::NotStarted { why },
                "could not be started: no such\\nfile",
            ),
            (CommandEnd::CutShort, "ended after 12ms, because"),
        ];
        for (end, part) in ends {
            let one = one(end, 12);
            let said = one.to_string();
            assert!(said.contains(part), "{said}");
            assert!(
                said.contains("/bin/a b") && !said.contains('\u{1b}'),
                "{said}"
            );
            let json = serde_json::to_string(&one).unwrap();
            assert_eq!(serde_json::from_str::<RolledBack>(&json).unwrap(), one);
        }
    }

    #[test]
    fn a_summary_names_what_failed() {
        assert_eq!(summary(&[]), None);
        let done = one(CommandEnd::Exited { code: 0 }, 5);
        let late = one(CommandEnd::CutShort, 0);
        let said = summary(&[done, late]).unwrap();
        assert!(
            said.starts_with("rollback: 1 of 2 commands ended with 0; "),
            "{said}"
        );
        assert!(said.contains("not run, because"), "{said}");
    }
}
