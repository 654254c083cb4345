//! What the tests of journals write: runs by number, and their ends.

use std::time::Duration;

use super::{Record, RunId};
use crate::report::{Outcome, RunReport};
use injector_spec::config::Rule;

/// A rule that deletes nothing.
pub(super) const EVERYTHING: Rule = Rule {
    keep: usize::MAX,
    max_age: Duration::MAX,
};

/// The run with this number for its name.
pub(super) fn run(number: u32) -> RunId {
    format!("r{number:012x}").parse().unwrap()
}

/// The report of a run that was stopped.
pub(super) fn stopped(run: &RunId) -> RunReport {
    RunReport::of(run.clone(), "x", Outcome::Stopped)
}

/// Its end.
pub(super) fn ended(run: &RunId) -> Record {
    Record::Ended {
        report: stopped(run),
    }
}
