//! What an experiment says of itself beside its name: labels, an owner, and the variables that were in force when its
//! file was read.
//!
//! None of it changes what a run does. It is kept so that a report can be found, asked about, and done again.
//!
//! Rejected: the file's text with its `${name}`s in the journal. The values are what acted; a text that has them filled
//! in reads the same on a host that has another file by that name.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Experiment, LONGEST_NAME};
use crate::printable;

/// The most labels.
pub const MOST_LABELS: usize = 32;
/// The most variables.
pub const MOST_VARIABLES: usize = 64;
/// The longest key of a label, and the longest name of a variable, in characters.
pub const LONGEST_KEY: usize = 63;
/// The longest value of a variable, in characters.
pub const LONGEST_VALUE: usize = 4096;

/// The variables of a file with the values that they had when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variables {
    /// The profile that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Each variable that has a value.
    pub values: BTreeMap<String, String>,
}

/// `name=value`, as `--set` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Its value, which may be empty.
    pub value: String,
}

/// Why an experiment's head cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum HeadError {
    #[error("the experiment has {0} labels; leave at most {MOST_LABELS}")]
    TooManyLabels(usize),
    #[error(
        "`{0}` is no key of a label: it has 1 to {LONGEST_KEY} letters, digits and `-_./` and begins with a letter or \
         digit; correct it"
    )]
    LabelKey(String),
    #[error("the value of the label `{0}` has 1 to {LONGEST_NAME} characters; correct it")]
    LabelValue(String),
    #[error(
        "the owner has 1 to {LONGEST_NAME} characters, as in `owner: payments team`; correct it"
    )]
    Owner,
    #[error("the experiment has {0} variables; leave at most {MOST_VARIABLES}")]
    TooManyVariables(usize),
    #[error(
        "`{0}` is no name of a variable: it has 1 to {LONGEST_KEY} letters, digits and `-_` and begins with a letter; \
         correct it"
    )]
    VariableName(String),
    #[error("the value of `{0}` has more than {LONGEST_VALUE} characters; write a shorter one")]
    LongValue(String),
    #[error("the name of a profile has 1 to {LONGEST_NAME} characters; correct it")]
    Profile,
    #[error("`{0}` sets nothing; write a variable and its value, as in `latency=1s`")]
    Assignment(String),
}

impl FromStr for Assignment {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(HeadError::Assignment(shown(text)));
        };
        check_variable(name, value)?;
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl Experiment {
    /// The head for people: terms, and what each of them says, on one line and with names escaped.
    pub fn head_in_words(&self) -> Vec<(&'static str, String)> {
        let pairs = |pairs: &BTreeMap<String, String>| {
            let pair = |(name, value)| format!("{name}={value}");
            pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
        };
        let mut words = Vec::new();
        words.extend(self.owner.clone().map(|owner| ("owner", owner)));
        if !self.labels.is_empty() {
            words.push(("labels", pairs(&self.labels)));
        }
        if let Some(variables) = &self.variables {
            words.extend(variables.profile.clone().map(|name| ("profile", name)));
            if !variables.values.is_empty() {
                words.push(("variables", pairs(&variables.values)));
            }
        }
        words.extend(self.stage.iter().map(|stage| ("stage", stage.in_words())));
        let shown = |(term, value): (_, String)| (term, printable::line(&value).into_owned());
        words.into_iter().map(shown).collect()
    }

    /// Checks what this file is about.
    pub(super) fn check_head(&self) -> Result<(), HeadError> {
        if self.labels.len() > MOST_LABELS {
            return Err(HeadError::TooManyLabels(self.labels.len()));
        }
        for (key, value) in &self.labels {
            check_label(key, value)?;
        }
        if let Some(owner) = &self.owner {
            check_owner(owner)?;
        }
        let Some(variables) = &self.variables else {
            return Ok(());
        };
        if variables.values.len() > MOST_VARIABLES {
            return Err(HeadError::TooManyVariables(variables.values.len()));
        }
        if let Some(profile) = &variables.profile {
            check_profile(profile)?;
        }
        let mut values = variables.values.iter();
        values.try_for_each(|(name, value)| check_variable(name, value))
    }
}

pub(super) fn check_label(key: &str, value: &str) -> Result<(), HeadError> {
    if !is_key(key, "-_./") || !key.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(HeadError::LabelKey(shown(key)));
    }
    if is_line(value) {
        Ok(())
    } else {
        Err(HeadError::LabelValue(shown(key)))
    }
}

pub(super) fn check_owner(owner: &str) -> Result<(), HeadError> {
    is_line(owner).then_some(()).ok_or(HeadError::Owner)
}

pub(super) fn check_profile(name: &str) -> Result<(), HeadError> {
    is_line(name).then_some(()).ok_or(HeadError::Profile)
}

pub(super) fn check_variable(name: &str, value: &str) -> Result<(), HeadError> {
    if !is_key(name, "-_") || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(HeadError::VariableName(shown(name)));
    }
    if value.chars().count() > LONGEST_VALUE {
        return Err(HeadError::LongValue(shown(name)));
    }
    Ok(())
}

/// Letters, digits and some signs; not too long.
fn is_key(text: &str, signs: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
    (1..=LONGEST_KEY).contains(&text.len()) && text.chars().all(is_part)
}

/// Something that can be seen, and not too long for a list: what each name of an experiment has to be.
pub(super) fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME
}

/// A name as it may stand in a sentence, whatever its length.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(LONGEST_NAME).collect();
    printable::line(&short).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_cut_at_its_first_sign() {
        let assignment = |name: &str, value: &str| Assignment {
            name: name.into(),
            value: value.into(),
        };
        assert_eq!("a=b=c".parse(), Ok(assignment("a", "b=c")));
        assert_eq!("a-1=".parse(), Ok(assignment("a-1", "")));
        for (text, part) in [
            ("latency", "`latency` sets nothing"),
            ("=1s", "no name of a variable"),
            ("1a=1s", "begins with a letter"),
            ("a b=1s", "no name of a variable"),
        ] {
            let said = text.parse::<Assignment>().unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        }
        let long = format!("a={}", "x".repeat(LONGEST_VALUE + 1));
        let said = long.parse::<Assignment>().unwrap_err().to_string();
        assert!(said.contains("a shorter one"), "{said}");
    }

    #[test]
    fn labels_are_short_and_plain() {
        assert_eq!(check_label("app.example.com/tier", "gold"), Ok(()));
        for key in ["", "-a", "a b", &"k".repeat(LONGEST_KEY + 1), "ä"] {
            assert!(check_label(key, "x").is_err(), "{key}");
        }
        assert!(check_label("a", "").is_err() && check_label("a", " ").is_err());
        assert!(check_owner(&"o".repeat(LONGEST_NAME + 1)).is_err());
    }
}
