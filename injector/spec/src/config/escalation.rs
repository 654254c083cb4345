//! Who is told of a run that was halted or broke.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::notifier::HostStep;
use crate::condition::HttpUrl;

/// `[escalation]`.
///
/// In the configuration alone: a program that an experiment named would run as root for every user who may
/// start one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Escalation {
    /// A program with its arguments, its path absolute; none where it is empty.
    #[serde(deserialize_with = "command")]
    pub command: Vec<String>,
    /// Who gets the report by POST.
    pub webhook: Option<HttpUrl>,
    /// Whether the journal of systemd, or syslog, gets a line.
    pub journald: bool,
    /// Whom decisions are asked of, in order, where an experiment names no person.
    pub escalate: Vec<HostStep>,
}

/// A notifier: the way by which a recipient is told, named as its key under `[escalation]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A program.
    Command,
    /// HTTP.
    Webhook,
    /// The journal of systemd, or syslog.
    Journald,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Command, Self::Webhook, Self::Journald];

    /// Its key under `[escalation]`, by which an experiment names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Webhook => "webhook",
            Self::Journald => "journald",
        }
    }
}

impl Escalation {
    /// Those that are configured.
    pub fn channels(&self) -> Vec<Channel> {
        let is_there = |channel: &Channel| match channel {
            Channel::Command => !self.command.is_empty(),
            Channel::Webhook => self.webhook.is_some(),
            Channel::Journald => self.journald,
        };
        Channel::ALL.into_iter().filter(is_there).collect()
    }

    /// Those of them that an experiment names; all where it names none.
    #[must_use]
    pub fn only(&self, named: &[Channel]) -> Self {
        if named.is_empty() {
            return self.clone();
        }
        let is_named = |channel| named.contains(&channel);
        Self {
            command: if is_named(Channel::Command) {
                self.command.clone()
            } else {
                Vec::new()
            },
            webhook: self.webhook.clone().filter(|_| is_named(Channel::Webhook)),
            journald: self.journald && is_named(Channel::Journald),
            escalate: self.escalate.clone(),
        }
    }
}

pub(super) fn command<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    let is_command = |words: &[String]| {
        words.first().is_none_or(|program| program.starts_with('/'))
            && !words.iter().any(|word| word.contains('\0'))
    };
    if is_command(&words) {
        return Ok(words);
    }
    Err(D::Error::custom(
        "a command is a program with its whole path and its arguments, as in [\"/usr/local/bin/page\", \"--team\", \"a\"]; write it so",
    ))
}
