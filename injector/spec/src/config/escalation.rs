//! Who is told of a run that was halted or broke.

use serde::{Deserialize, Deserializer, de::Error};

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
}

fn command<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
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
