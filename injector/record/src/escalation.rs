//! That a decision was asked of people, one after the other, and who answered: for the record.

use std::{fmt, time::Duration};

use injector_spec::{config::Channel, escalation::NotifierName, printable, quantity::duration};
use serde::{Deserialize, Serialize};

use crate::{gate::Approval, halt::Halt};

/// What a person is to decide about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matter {
    /// The run waits at a gate for an approval.
    Gate,
    /// It was halted.
    Halted,
    /// It broke.
    Failed,
    /// It hurt a bystander, or something could not be put back.
    Unsafe,
    /// It was inconclusive, and so was the run of the same experiment before it.
    InconclusiveTwice,
}

impl Matter {
    /// The word that programs get.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gate => "gate-waits",
            Self::Halted => "halted",
            Self::Failed => "failed",
            Self::Unsafe => "unsafe",
            Self::InconclusiveTwice => "inconclusive-twice",
        }
    }
}

/// That a person has seen it and takes it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// User id.
    pub by_uid: u32,
    /// That user's name, where the host knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_name: Option<String>,
    /// Process id.
    pub by_pid: u32,
    /// The user who logged in and became `by_uid`, as by sudo; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// When, on the boot clock, in nanoseconds.
    pub boot_ns: u64,
}

/// What ended the asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// A person opened the gate.
    Approved {
        /// Who.
        approval: Approval,
    },
    /// A person has taken it over.
    Acknowledged {
        /// Who.
        acknowledgement: Acknowledgement,
    },
    /// A person has pulled the kill switch.
    Halted {
        /// Who.
        halt: Halt,
    },
    /// The run ended while it waited: it was stopped, or something else ended it.
    RunEnded,
}

/// One turn of an escalation. Times are from its begin, in milliseconds, on the boot clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "turn", rename_all = "kebab-case")]
pub enum Escalated {
    /// A notifier is told.
    Asked {
        /// Its name.
        to: NotifierName,
        /// By which way.
        channel: Channel,
        /// What about.
        matter: Matter,
        /// How long an answer is waited for.
        within_ms: u64,
        /// When.
        after_ms: u64,
    },
    /// It took the word.
    Reached {
        /// Its name.
        to: NotifierName,
        /// When.
        after_ms: u64,
    },
    /// It could not be told.
    NotReached {
        /// Its name.
        to: NotifierName,
        /// When.
        after_ms: u64,
        /// Why.
        why: String,
    },
    /// It was answered.
    Answered {
        /// By whom.
        #[serde(flatten)]
        by: Answer,
        /// When.
        after_ms: u64,
    },
    /// None of them is told.
    NotAsked {
        /// Why.
        why: String,
    },
    /// All were told, and no answer came.
    Unanswered {
        /// When the last of them had had their time.
        after_ms: u64,
    },
}

impl Escalated {
    /// Whether nothing comes after it.
    pub const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Answered { .. } | Self::NotAsked { .. } | Self::Unanswered { .. }
        )
    }
}

fn user(uid: u32, name: Option<&str>, login: Option<u32>) -> String {
    let name = name.map_or_else(
        || format!("user {uid}"),
        |name| format!("{} (user {uid})", printable::line(name)),
    );
    match login.filter(|login| *login != uid) {
        Some(login) => format!("{name}, logged in as user {login}"),
        None => name,
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approved { approval } => write!(
                out,
                "approved by {}",
                user(approval.by_uid, None, approval.login_uid)
            ),
            Self::Acknowledged { acknowledgement } => {
                let Acknowledgement {
                    by_uid,
                    by_name,
                    login_uid,
                    ..
                } = acknowledgement;
                let user = user(*by_uid, by_name.as_deref(), *login_uid);
                write!(out, "acknowledged by {user}")
            }
            Self::Halted { halt } => {
                write!(
                    out,
                    "injector was halted by {}",
                    user(halt.by_uid, None, halt.login_uid)
                )
            }
            Self::RunEnded => out.write_str("the run ended"),
        }
    }
}

/// `asked on-call (webhook) to answer within 5m`, on one line, with names escaped.
impl fmt::Display for Escalated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ms: u64| duration::measured(Duration::from_millis(ms));
        match self {
            Self::Asked {
                to,
                channel,
                matter,
                within_ms,
                after_ms,
            } => {
                let (channel, matter) = (channel.name(), matter.word());
                let within = duration::format(Duration::from_millis(*within_ms));
                let after = time(*after_ms);
                write!(
                    out,
                    "escalation: {to} ({channel}) is told of `{matter}` after {after}, and has {within} to answer"
                )
            }
            Self::Reached { to, after_ms } => {
                write!(out, "escalation: {to} was told after {}", time(*after_ms))
            }
            Self::NotReached { to, after_ms, why } => {
                let why = printable::line(why);
                write!(
                    out,
                    "escalation: {to} could not be told after {}: {why}",
                    time(*after_ms)
                )
            }
            Self::Answered { by, after_ms } => {
                write!(out, "escalation: {by}, after {}", time(*after_ms))
            }
            Self::NotAsked { why } => {
                let why = printable::line(why);
                write!(out, "escalation: no person is asked: {why}")
            }
            Self::Unanswered { after_ms } => write!(
                out,
                "escalation: no answer came from any of them within {}",
                time(*after_ms)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_is_told_on_one_line_and_read_back() {
        let to: NotifierName = "on-call".parse().unwrap();
        let acknowledgement = Acknowledgement {
            by_uid: 0,
            by_name: Some("ro\not".into()),
            by_pid: 7,
            login_uid: Some(1000),
            boot_ns: 9,
        };
        let turns = [
            (
                Escalated::Asked {
                    to: to.clone(),
                    channel: Channel::Webhook,
                    matter: Matter::InconclusiveTwice,
                    within_ms: 300_000,
                    after_ms: 0,
                },
                "on-call (webhook) is told of `inconclusive-twice`",
            ),
            (
                Escalated::NotReached {
                    to: to.clone(),
                    after_ms: 1_500,
                    why: "refused\u{1b}".into(),
                },
                "could not be told after 1.5s: refused",
            ),
            (Escalated::Reached { to, after_ms: 20 }, "on-call was told"),
            (
                Escalated::Answered {
                    by: Answer::Acknowledged { acknowledgement },
                    after_ms: 62_000,
                },
                "acknowledged by ro\\not (user 0), logged in as user 1000, after 1m 2s",
            ),
            (Escalated::Unanswered { after_ms: 5 }, "no answer came"),
            (
                Escalated::NotAsked { why: "a\nb".into() },
                "no person is asked: a\\nb",
            ),
        ];
        for (turn, part) in turns {
            let said = turn.to_string();
            assert!(said.contains(part), "{said}");
            assert!(!said.contains(['\n', '\u{1b}']), "{said}");
            let json = serde_json::to_string(&turn).unwrap();
            assert_eq!(serde_json::from_str::<Escalated>(&json).unwrap(), turn);
        }
    }
}
