//! Whether an earlier stage has held: by the last run that asked what it asks now.
//!
//! Only the last one counts, whatever became of it: a run that deviated, was halted, does not tell, or was killed in the
//! middle locks what its stage had unlocked.

use std::{fmt, io, path::Path};

use crate::journal::{RunId, table::Word, verdicts::verdicts};
use injector_spec::experiment::Fingerprint;

/// What is known of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// No run has asked that.
    Never,
    /// The last run held.
    Held(RunId),
    /// The last run did not, for this reason.
    Not(RunId, Shortfall),
}

/// What the last run of a stage did in place of holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// It was not judged, or was killed before it could be.
    Unjudged,
    /// It deviated.
    Deviated,
    /// It was halted.
    Halted,
    /// It does not tell.
    Inconclusive,
    /// It was unsafe.
    Unsafe,
}

impl Record {
    /// Looks at the runs of a directory. One that does not exist has none.
    pub fn of(asks: Fingerprint, directory: &Path) -> io::Result<Self> {
        let found = verdicts(directory)?;
        let last = found.runs.iter().rev().find(|run| run.asked.key == asks);
        let Some(last) = last else {
            return Ok(Self::Never);
        };
        let run = last.run.clone();
        let shortfall = match last.word {
            Word::Held => return Ok(Self::Held(run)),
            Word::None => Shortfall::Unjudged,
            Word::Deviated => Shortfall::Deviated,
            Word::Halted => Shortfall::Halted,
            Word::Inconclusive => Shortfall::Inconclusive,
            Word::Unsafe => Shortfall::Unsafe,
        };
        Ok(Self::Not(run, shortfall))
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unjudged => "came to no verdict",
            Self::Deviated => "deviated",
            Self::Halted => "was halted",
            Self::Inconclusive => "was inconclusive",
            Self::Unsafe => "was unsafe",
        })
    }
}
