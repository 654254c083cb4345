//! Signs: what tells from outside that a target has done something, without an SDK. A file that changes, a line in a log, a
//! connection to a host.
//!
//! Two verdicts rest on them. A target that fails and does not hand over to a person is `silent` (`handoff`), and one that claims
//! success without its effects is a `false-success` (`success`). Without a declared sign neither is said: where an agent writes to
//! people, and what its work leaves behind, no program can guess.
//!
//! Rejected: programs that were started, as a sign. The kernel side tells of no start of a program yet.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    condition::{ConditionError, Host, map},
    pattern::{Pattern, PatternError},
    printable,
    quantity::PortRange,
};

use super::Traffic;

/// The most effects that success may need: each file among them has a thread.
pub const MOST_EFFECTS: usize = 16;

/// The most hosts of a sign.
const MOST_HOSTS: usize = 16;

/// Something that is seen from outside. As a text it is `file "/var/log/alerts"`, `file "/var/log/agent" lines "needs a person"`
/// or `connect-to hooks.example.com:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A file is made, written or replaced.
    Changed(PathBuf),
    /// A line that matches is appended to a file.
    Appended {
        /// The file; absolute.
        file: PathBuf,
        /// What the line is held against.
        lines: Pattern,
    },
    /// A target begins a TCP connection to one of these.
    Connected(Vec<Host>),
}

/// What success is: how a target claims it, and what it leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Success {
    /// How it is claimed; absent where the experiment's own commands claim it, by ending with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Sign>,
    /// All that has to be seen for it to be true.
    pub effects: Vec<Sign>,
}

/// What is declared of the targets; one of both is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// What is seen where one hands over to a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Sign>,
    /// What success is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Success>,
}

/// Why a sign could not be seen.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum SignError {
    #[error(
        "a sign is `file`, with `lines` where one that matches counts alone, or `connect-to`, as in `{{file: \
         /var/log/agent/alerts}}`; write one of them"
    )]
    Neither,
    #[error("a sign names 1 to {MOST_HOSTS} hosts, and not {0}; correct `connect-to`")]
    Hosts(usize),
    #[error("`success` needs 1 to {MOST_EFFECTS} effects, and not {0}; correct `effects`")]
    Effects(usize),
    #[error(
        "`success` has no `claim`, and no step of the experiment runs a command that could claim it by ending with 0; add \
         one of both"
    )]
    NoClaim,
    #[error(
        "connections to the hosts of a sign would go through the relay of an `llm` or `tool` fault, where their far end is not seen; \
         give each such fault the `dest-port` of its own server, or have it spare the sign's by `exclude-port`"
    )]
    Hidden,
    #[error(transparent)]
    Condition(#[from] ConditionError),
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl Sign {
    /// That of a file, where a path is given, with the lines that count, or of hosts.
    pub fn of(
        file: Option<&str>,
        lines: Option<&str>,
        connect_to: Option<Vec<Host>>,
    ) -> Result<Self, SignError> {
        match (file, lines, connect_to) {
            (Some(file), None, None) => Ok(Self::Changed(map::path(file)?)),
            (Some(file), Some(lines), None) => Ok(Self::Appended {
                file: map::path(file)?,
                lines: lines.parse()?,
            }),
            (None, None, Some(hosts)) if (1..=MOST_HOSTS).contains(&hosts.len()) => {
                Ok(Self::Connected(hosts))
            }
            (None, None, Some(hosts)) => Err(SignError::Hosts(hosts.len())),
            (None, None | Some(_), None) | (_, Some(_), Some(_)) | (Some(_), _, Some(_)) => {
                Err(SignError::Neither)
            }
        }
    }

    /// The file that is looked at.
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Changed(file) | Self::Appended { file, .. } => Some(file),
            Self::Connected(_) => None,
        }
    }

    /// The hosts to which a connection counts.
    pub fn hosts(&self) -> &[Host] {
        match self {
            Self::Connected(hosts) => hosts,
            Self::Changed(_) | Self::Appended { .. } => &[],
        }
    }

    /// The host names among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let hosts = self.hosts().iter();
        hosts
            .filter(|host| host.address().is_none())
            .map(Host::name)
    }

    /// Whether a connection that counts may go through the relay of a fault with these filters: its far end is not seen there.
    pub(super) fn is_hidden_by(&self, traffic: &Traffic) -> bool {
        self.hosts().iter().any(|host| {
            let has = |ports: &[PortRange]| ports.iter().any(|range| range.contains(host.port()));
            let is_asked = traffic.dest_ports.is_empty() || has(&traffic.dest_ports);
            is_asked && !has(&traffic.exclude_ports)
        })
    }

    /// What is seen, as the rest of `there was`.
    pub fn in_words(&self) -> String {
        match self {
            Self::Changed(file) => format!("a change of {}", printable::path(file)),
            Self::Appended { file, lines } => {
                let lines = printable::line(lines.as_str());
                format!("a line in {} that matches `{lines}`", printable::path(file))
            }
            Self::Connected(hosts) => {
                let hosts: Vec<&str> = hosts.iter().map(Host::as_str).collect();
                // One from before the run is not seen.
                format!("a new connection to {}", hosts.join(" or "))
            }
        }
    }
}

impl Success {
    /// How it is claimed, and what it needs.
    pub fn in_words(&self) -> String {
        let claim = self.claim.as_ref();
        let claim = claim.map_or_else(|| "a command that ended with 0".to_owned(), Sign::in_words);
        let effects: Vec<String> = self.effects.iter().map(Sign::in_words).collect();
        format!(
            "claimed by {claim}, and true with {}",
            effects.join(", and ")
        )
    }

    /// Checks what the types alone do not say; `runs` is how many steps of the experiment run a command.
    pub(super) const fn check(&self, runs: usize) -> Result<(), SignError> {
        if self.effects.is_empty() || self.effects.len() > MOST_EFFECTS {
            return Err(SignError::Effects(self.effects.len()));
        }
        if self.claim.is_none() && runs == 0 {
            return Err(SignError::NoClaim);
        }
        Ok(())
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Changed(file) => write!(out, "file {}", quoted(&file.to_string_lossy())),
            Self::Appended { file, lines } => {
                let (file, lines) = (quoted(&file.to_string_lossy()), quoted(lines.as_str()));
                write!(out, "file {file} lines {lines}")
            }
            Self::Connected(hosts) => {
                out.write_str("connect-to")?;
                hosts.iter().try_for_each(|host| write!(out, " {host}"))
            }
        }
    }
}

impl FromStr for Sign {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        let (kind, rest) = text.trim().split_once(' ').ok_or(SignError::Neither)?;
        match kind {
            "file" => {
                let (file, rest) = quoted(rest)?;
                let lines = match rest.split_once(' ') {
                    None if rest.is_empty() => None,
                    Some(("lines", lines)) => match quoted(lines)? {
                        (lines, "") => Some(lines),
                        _ => return Err(SignError::Neither),
                    },
                    None | Some(_) => return Err(SignError::Neither),
                };
                Self::of(Some(&file), lines.as_deref(), None)
            }
            "connect-to" => {
                let hosts = rest.split_whitespace().map(str::parse);
                let hosts: Result<Vec<Host>, _> = hosts.collect();
                Self::of(None, None, Some(hosts.map_err(ConditionError::from)?))
            }
            _ => Err(SignError::Neither),
        }
    }
}

/// A text as JSON has it at the beginning, and what is behind it.
fn quoted(text: &str) -> Result<(String, &str), SignError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    match values.next() {
        Some(Ok(value)) => Ok((value, text[values.byte_offset()..].trim())),
        Some(Err(_)) | None => Err(SignError::Neither),
    }
}

crate::quantity::as_text!(Sign);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            r#"file "/var/log/alerts""#,
            r#"file "/var/log/a b" lines "needs a \"person\"|PAGE""#,
            "connect-to hooks.example.com:443",
            "connect-to 127.0.0.1:1 [::1]:2",
        ] {
            let sign: Sign = text.parse().unwrap();
            assert_eq!(sign.to_string(), text);
            let json = serde_json::to_string(&sign).unwrap();
            assert_eq!(serde_json::from_str::<Sign>(&json).unwrap(), sign);
        }
    }

    #[test]
    fn what_is_no_sign_is_told() {
        for (text, part) in [
            ("", "a sign is `file`"),
            ("file", "a sign is `file`"),
            (r#"file "alerts""#, "no path"),
            (r#"file "/a" lines "("#, "a sign is `file`"),
            (r#"file "/a" lines "(""#, "not a regular expression"),
            (r#"file "/a" lines """#, "empty regular expression"),
            (r#"file "/a" within "b""#, "a sign is `file`"),
            ("connect-to here", "here"),
            ("exec /bin/true", "a sign is `file`"),
        ] {
            let error = text.parse::<Sign>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn success_needs_effects_and_a_claim() {
        let sign: Sign = r#"file "/a""#.parse().unwrap();
        let success = |claim: Option<Sign>, effects: usize| Success {
            claim,
            effects: vec![sign.clone(); effects],
        };
        assert_eq!(success(Some(sign.clone()), 1).check(0), Ok(()));
        assert_eq!(success(None, 1).check(1), Ok(()));
        assert_eq!(success(None, 1).check(0), Err(SignError::NoClaim));
        for effects in [0, MOST_EFFECTS + 1] {
            let error = success(Some(sign.clone()), effects).check(0);
            assert_eq!(error, Err(SignError::Effects(effects)));
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(text in ".{0,60}") {
            if let Ok(sign) = text.parse::<Sign>() {
                prop_assert_eq!(sign.to_string().parse::<Sign>().unwrap(), sign);
            }
        }
    }
}
