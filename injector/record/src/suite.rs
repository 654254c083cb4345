//! What a folder of experiments came to: each with its runs, and all of them together. Pure.
//!
//! A [`Suite`] is what `injector suite --json` prints and `--output` keeps. Read again, it is what a later one is
//! [`compare`]d with: what stands in it is judged anew from its reports, so that a file cannot claim what its runs do
//! not say.

pub mod compare;
pub mod junit;
pub mod markdown;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::{
    platform::Platform,
    trials::{self, Score, Trial, Trials},
};
use injector_spec::{error::Exit, experiment::Fingerprint};

/// What the format of a kept suite is called.
pub const FORMAT: &str = "injector-suite/v1";

/// A suite that was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// [`FORMAT`].
    pub format: String,
    /// The folder, as it was named.
    pub folder: String,
    /// What it was run on, and against what.
    pub conditions: Conditions,
    /// Its experiments, in the order in which they were run.
    pub experiments: Vec<Tried>,
    /// Why not all of them were run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// What two scores must have in common to be compared, beside their experiments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The kernel and this program.
    #[serde(flatten)]
    pub platform: Platform,
    /// What the target is, where a person said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
}

/// An experiment and its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The name of its file.
    pub file: String,
    /// The experiment's name.
    pub name: String,
    /// What it asks.
    pub fingerprint: Fingerprint,
    /// Its runs; none where the suite ended before.
    pub trials: Vec<Trial>,
    /// How long they took together, in milliseconds.
    pub took_ms: u64,
}

/// Why a file is no suite.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum SuiteError {
    #[error("it is no result of a suite; name a file that `injector suite --output` has written")]
    Another,
    #[error(
        "its format is `{0}`, and this program reads `{FORMAT}`; compare with the program that wrote it"
    )]
    Format(String),
}

impl Suite {
    /// Reads a kept one.
    pub fn parse(bytes: &[u8]) -> Result<Self, SuiteError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|_| SuiteError::Another)?;
        if head.format != FORMAT {
            return Err(SuiteError::Format(head.format));
        }
        serde_json::from_slice(bytes).map_err(|_| SuiteError::Another)
    }

    /// How well the target stood it.
    pub fn score(&self) -> Option<Score> {
        let experiments: Vec<&[Trial]> = self
            .experiments
            .iter()
            .map(|tried| &tried.trials[..])
            .collect();
        Score::of(&experiments)
    }

    /// All runs together.
    pub fn verdicts(&self) -> trials::Verdicts {
        let all = self.experiments.iter().flat_map(|tried| &tried.trials);
        trials::Verdicts::of(&all.collect::<Vec<_>>())
    }

    /// The exit code: 0 only where all that was asked for was run, and held.
    pub fn exit(&self) -> Exit {
        let all = self.experiments.iter().flat_map(|tried| &tried.trials);
        match trials::worst(all.map(Trial::exit)) {
            Exit::Done if self.ended.is_some() => Exit::Failed,
            exit => exit,
        }
    }
}

impl Tried {
    /// What its runs say together.
    pub fn together(&self) -> Trials {
        Trials::of(&self.trials)
    }

    /// The worst of its runs: none where it was not run.
    pub fn worst(&self) -> Option<&Trial> {
        // The first of those that are equal, for it is the one that a reader sees first.
        let runs = self.trials.iter().rev();
        runs.max_by_key(|trial| trials::badness(trial.exit()))
    }

    /// What became of it, in one word.
    pub fn word(&self) -> &'static str {
        self.worst().map_or("not run", Trial::word)
    }
}
