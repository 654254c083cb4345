//! Ledgers: what a service acknowledged, held against what it kept, when the recovery is over.
//!
//! A ledger has two lists of ids, one id a line. Both are read once, behind the last step: what `injector_record::measure`
//! makes of them is the recovery point actual (RPA), beside the objective (RPO).
//!
//! Rejected: one command that prints how many items were lost. The run would have to believe a number that it cannot
//! name an item for.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{LONGEST_NAME, head::is_line, rollback::RollbackCommand};
use crate::{
    condition::{ConditionError, HttpUrl, map},
    printable,
    quantity::duration,
};

/// The most ledgers: each is read by a thread of its own.
pub const MOST_LEDGERS: usize = 8;
/// The longest that reading a list may take.
pub const LONGEST_READING: Duration = Duration::from_mins(1);
/// How long reading a list may take where nothing is said.
pub const USUAL_READING: Duration = Duration::from_secs(10);
/// The most characters of a command with all its arguments.
const MOST_CHARACTERS: usize = 4096;

/// Two lists of ids under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// What reports call it.
    pub name: String,
    /// Where the ids stand that the service has acknowledged; behind each may stand the time.
    pub acknowledged: Source,
    /// Where the ids stand that are there afterwards.
    pub kept: Source,
    /// How long reading either list may take.
    #[serde(with = "crate::quantity::duration", default = "usual")]
    pub within: Duration,
    /// How much may be missing; absent where the ledger is told and held against nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Rpo>,
}

/// Where a list is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A file by its whole path; root's alone to name.
    File(PathBuf),
    /// What a program prints that ends with 0, by its whole path, with its arguments; no shell reads them, and it is
    /// root's alone to name.
    Command(Vec<String>),
    /// The body of an answer with the status 200.
    Http(HttpUrl),
}

/// The recovery point objective: how much of what was acknowledged may be missing, damaged, or there twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rpo {
    /// So many acknowledged items may be missing.
    #[serde(default)]
    pub lost: u64,
    /// So many kept lines may be parts of items.
    #[serde(default)]
    pub torn: u64,
    /// So many items may be kept more than once.
    #[serde(default)]
    pub double: u64,
    /// From the newest item that was acknowledged before the impact and kept, to the impact.
    #[serde(
        default,
        with = "duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub age: Option<Duration>,
}

const fn usual() -> Duration {
    USUAL_READING
}

/// Why a ledger cannot be read, or held against its objective.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum LedgerError {
    #[error("`ledgers` has {0} of them; leave at most {MOST_LEDGERS}")]
    TooMany(usize),
    #[error("a ledger's name has 1 to {LONGEST_NAME} characters; correct `{0}`")]
    Name(String),
    #[error("two ledgers are called `{0}`; give each a name of its own")]
    SameName(String),
    #[error("a list of a ledger is read within 1ms to {}, and not {}; correct `within`",
        duration::format(LONGEST_READING), duration::format(*.0))]
    Within(Duration),
    #[error("the `age` of `rpo` is a time between 1ms and {}, and not {}; correct it",
        duration::format(duration::LONGEST), duration::format(*.0))]
    Age(Duration),
    #[error(
        "a command of a ledger has at most {MOST_CHARACTERS} characters; put the rest into a file"
    )]
    Long,
    /// The program or the file is not named by its whole path.
    #[error(transparent)]
    Source(#[from] ConditionError),
}

impl Source {
    /// Checks what the type alone does not say.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        match self {
            Self::File(path) => {
                map::path(&path.to_string_lossy())?;
            }
            Self::Command(words) => {
                map::program(words)?;
                let characters = words.iter().map(|word| word.chars().count());
                if characters.sum::<usize>() > MOST_CHARACTERS {
                    return Err(LedgerError::Long);
                }
            }
            Self::Http(_) => {}
        }
        Ok(())
    }
}

/// `file /var/lib/a`, `command ["/bin/a"]`, `http http://127.0.0.1:80/a`, on one line.
impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "file {}", printable::path(path)),
            Self::Command(words) => {
                let words = RollbackCommand::words(words);
                write!(out, "command {}", printable::line(&words))
            }
            Self::Http(url) => write!(out, "http {}", printable::line(&url.to_string())),
        }
    }
}

impl Rpo {
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        match self.age {
            Some(age) if !(Duration::from_millis(1)..=duration::LONGEST).contains(&age) => {
                Err(LedgerError::Age(age))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// `0 lost, 0 torn, 0 double`, and the age where there is one.
impl fmt::Display for Rpo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lost, torn, double, ..
        } = self;
        write!(out, "{lost} lost, {torn} torn, {double} double")?;
        match self.age {
            Some(age) => write!(out, ", age {}", duration::format(age)),
            None => Ok(()),
        }
    }
}

impl Ledger {
    pub(super) fn check_within(&self) -> Result<(), LedgerError> {
        if (Duration::from_millis(1)..=LONGEST_READING).contains(&self.within) {
            Ok(())
        } else {
            Err(LedgerError::Within(self.within))
        }
    }
}

/// Checks all of them.
pub(super) fn check(ledgers: &[Ledger]) -> Result<(), LedgerError> {
    if ledgers.len() > MOST_LEDGERS {
        return Err(LedgerError::TooMany(ledgers.len()));
    }
    for (index, ledger) in ledgers.iter().enumerate() {
        let name = &ledger.name;
        if !is_line(name) {
            return Err(LedgerError::Name(name.clone()));
        }
        if ledgers[..index].iter().any(|other| other.name == *name) {
            return Err(LedgerError::SameName(name.clone()));
        }
        ledger.acknowledged.check()?;
        ledger.kept.check()?;
        ledger.check_within()?;
        if let Some(rpo) = &ledger.rpo {
            rpo.check()?;
        }
    }
    Ok(())
}
