//! What is told of the runs of a directory.

use std::{fmt, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{HostChange, Process, RunId};
use crate::report::{Outcome, RunReport};
use injector_spec::{config::ConfigFile, experiment::Placed, printable};

/// A run, as its journal tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRun {
    /// Its name.
    pub run: RunId,
    /// The experiment's name; empty where that record is damaged.
    pub name: String,
    /// Whether it lives, and if not, how it ended.
    #[serde(flatten)]
    pub state: RunState,
    /// When it started, in milliseconds since 1970; absent where the journal does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_unix_ms: Option<u64>,
    /// Who can be signalled to stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<Process>,
    /// Who asked for it, and under which limits; absent where that record is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Host settings that may still have the run's value, in the order in which to restore them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_restore: Vec<HostChange>,
    /// Its faults, with all that is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Placed>,
    /// Lines of the journal that could not be read.
    #[serde(default)]
    pub damaged_lines: usize,
    /// What it did, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<RunReport>,
}

/// Who asked for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// User id.
    pub by_uid: u32,
    /// Process id.
    pub by_pid: u32,
    /// The user who logged in and became `by_uid`, as by sudo; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// The file that set the limits; absent for the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigFile>,
}

/// Whether a run lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum RunState {
    /// A process holds its journal.
    Running,
    /// It ended in good order.
    Ended {
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// It broke off.
    Aborted {
        /// What the process that cleaned up wrote; `None` when no process did.
        why: Option<String>,
    },
}

impl fmt::Display for RunState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => out.write_str("running"),
            Self::Ended { outcome } => outcome.fmt(out),
            Self::Aborted { why: Some(why) } => write!(out, "aborted: {why}"),
            Self::Aborted { why: None } => out.write_str("aborted; no process was left to say why"),
        }
    }
}

/// Whether a list needs the reports of runs that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// It does.
    With,
    /// It has none of those that the index knows, which saves most of the reading.
    Without,
}

/// What there is in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The runs, oldest first.
    pub runs: Vec<ListedRun>,
    /// What has the name of a journal and cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// A journal that cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the journal {} cannot be read: {}",
            printable::path(&self.file),
            self.why
        )
    }
}

/// The newest runs of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// They, oldest first, and what in the directory cannot be read.
    pub listing: Listing,
    /// How many older ones there are.
    pub older: usize,
}

impl Listing {
    /// Puts them in order.
    pub(super) fn sort(&mut self) {
        let started = |listed: &ListedRun| listed.started_unix_ms.unwrap_or(0);
        self.runs
            .sort_by(|a, b| (started(a), &a.run).cmp(&(started(b), &b.run)));
    }

    /// Takes in what came of reading a journal.
    pub(super) fn take(&mut self, file: PathBuf, read: io::Result<ListedRun>) {
        match read {
            Ok(listed) => self.runs.push(listed),
            Err(error) => self.unreadable.extend(Unreadable::of(file, &error)),
        }
    }

    /// The runs, where all could be read.
    pub fn whole(self) -> io::Result<Vec<ListedRun>> {
        match self.unreadable.first() {
            None => Ok(self.runs),
            Some(first) => Err(io::Error::other(first.to_string())),
        }
    }
}

impl Unreadable {
    /// Why a journal cannot be read; `None` where another process tidied it up while we looked.
    pub(super) fn of(file: PathBuf, error: &io::Error) -> Option<Self> {
        (error.kind() != io::ErrorKind::NotFound).then(|| Self {
            file,
            why: error.to_string(),
        })
    }
}
