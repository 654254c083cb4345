//! Notifiers under names of the host's own, and whom decisions are asked of where an experiment says nothing.
//!
//! ```toml
//! [[notifier]]
//! name = "on-call"
//! kind = "webhook"
//! url = "http://127.0.0.1:9093/on-call"
//!
//! [escalation]
//! escalate = [{ to = "on-call", within = "5m" }]
//! ```

use std::{collections::HashSet, ops::Range, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use toml::Spanned;

use super::{Channel, Config};
use crate::{
    condition::HttpUrl,
    escalation::{EscalationError, EscalationStep, MOST_STEPS, NotifierName, check_wait},
    nearest,
    quantity::duration,
};

/// `[[notifier]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notifier {
    /// What steps of `escalate` call it.
    pub(super) name: Spanned<NotifierName>,
    /// Which of the ways below it takes.
    pub(super) kind: Spanned<Channel>,
    /// Who gets a POST.
    pub(super) url: Option<HttpUrl>,
    /// A program with its arguments, its path absolute.
    #[serde(default, deserialize_with = "command")]
    pub(super) command: Option<Vec<String>>,
}

/// How a notifier tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifierWay {
    /// By a program with its arguments.
    Command(Vec<String>),
    /// By a POST.
    Webhook(HttpUrl),
    /// By a line of the system's log.
    Journald,
}

impl NotifierWay {
    /// Which of the ways it is.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Command(_) => Channel::Command,
            Self::Webhook(_) => Channel::Webhook,
            Self::Journald => Channel::Journald,
        }
    }
}

/// `to` and `within` of a step, with their places.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostStep {
    to: Spanned<NotifierName>,
    #[serde(deserialize_with = "within")]
    within: Duration,
}

impl Notifier {
    /// Its name.
    pub fn name(&self) -> &NotifierName {
        self.name.get_ref()
    }

    /// How it tells; a [checked](check) one always has a way.
    pub fn way(&self) -> Option<NotifierWay> {
        match self.kind.get_ref() {
            Channel::Command => self.command.clone().map(NotifierWay::Command),
            Channel::Webhook => self.url.clone().map(NotifierWay::Webhook),
            Channel::Journald => Some(NotifierWay::Journald),
        }
    }
}

impl Config {
    /// The notifier of this name.
    pub fn notifier(&self, name: &NotifierName) -> Option<&Notifier> {
        self.notifier.iter().find(|one| one.name() == name)
    }

    /// The names of all notifiers.
    pub fn notifiers(&self) -> impl Iterator<Item = &NotifierName> {
        self.notifier.iter().map(Notifier::name)
    }

    /// Whom decisions are asked of where an experiment says nothing.
    pub fn escalate(&self) -> Vec<EscalationStep> {
        let step = |step: &HostStep| EscalationStep {
            to: step.to.get_ref().clone(),
            within: step.within,
        };
        self.escalation.escalate.iter().map(step).collect()
    }
}

/// What no section alone can know: where it is wrong, in bytes, and what.
pub(super) fn check(config: &Config) -> Result<(), (Range<usize>, String)> {
    let mut names = HashSet::new();
    for one in &config.notifier {
        let name = one.name();
        if !names.insert(name) {
            let what = format!("two notifiers are called `{name}`; give each a name of its own");
            return Err((one.name.span(), what));
        }
        one.check()?;
    }
    let steps = &config.escalation.escalate;
    for step in steps {
        let name = step.to.get_ref();
        if names.contains(name) {
            continue;
        }
        let known = config.notifiers().map(NotifierName::as_str);
        let hint = match config.notifier.first() {
            Some(_) => nearest::hint(name.as_str(), known),
            None => "add it as a section `[[notifier]]`".to_owned(),
        };
        let what = format!("no notifier is called `{name}`; {hint}");
        return Err((step.to.span(), what));
    }
    let mistake = |step: &HostStep, error: EscalationError| (step.to.span(), error.to_string());
    if let Some(step) = steps.get(MOST_STEPS) {
        return Err(mistake(step, EscalationError::TooMany(steps.len())));
    }
    if let Some((index, name)) = EscalationStep::twice(&config.escalate()) {
        return Err(mistake(&steps[index], EscalationError::Twice(name.clone())));
    }
    Ok(())
}

impl Notifier {
    fn check(&self) -> Result<(), (Range<usize>, String)> {
        let kind = self.kind.get_ref();
        let (needed, is_there, has_more) = match kind {
            Channel::Command => ("command", self.command.is_some(), self.url.is_some()),
            Channel::Webhook => ("url", self.url.is_some(), self.command.is_some()),
            Channel::Journald => ("", true, self.url.is_some() || self.command.is_some()),
        };
        let kind = kind.name();
        if !is_there {
            let what = format!("a notifier of the kind `{kind}` needs `{needed}`; add it");
            return Err((self.kind.span(), what));
        }
        if has_more {
            let what = format!(
                "a notifier of the kind `{kind}` has a key of another kind; leave `url` to `webhook` and `command` to \
                 `command`"
            );
            return Err((self.kind.span(), what));
        }
        Ok(())
    }
}

fn command<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let words = super::escalation::command(from)?;
    if words.is_empty() {
        return Err(D::Error::custom(
            "a notifier without a program tells nothing; write one, as in [\"/usr/local/bin/page\"]",
        ));
    }
    Ok(Some(words))
}

fn within<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let within = duration::deserialize(from)?;
    check_wait(within).map_err(D::Error::custom)?;
    Ok(within)
}
