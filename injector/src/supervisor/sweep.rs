//! Runs whose worker and supervisor both died: the next start finds their journals without a lock and
//! without an end, restores what they changed, and says so.

use std::{fs, os::fd::OwnedFd, path::Path};

use rustix::fs::{FlockOperation, flock};

use super::clean::restore_all;
use crate::{
    error::Refusal,
    journal::{self, Journal, Record, RunState, replay},
    kernel::netns::Namespace,
};

/// Restores what dead runs left. Returns a sentence for each run that was dealt with.
pub fn sweep() -> Result<Vec<String>, Refusal> {
    let directory = journal::directory();
    let runs = journal::list(&directory).map_err(|error| {
        Refusal::usage(format!(
            "the journals in {} cannot be read: {error}; injector refuses to arm before it knows that \
             nothing is left of earlier runs.",
            directory.display()
        ))
    })?;
    let mut told = Vec::new();
    for run in runs {
        // What a supervisor has cleaned up after carries its reason.
        if run.state != (RunState::Aborted { why: None }) {
            continue;
        }
        let path = directory.join(format!("{}.jsonl", run.run));
        if let Some(restored) = bury(&path) {
            told.push(format!(
                "run {} ({}) was aborted with its supervisor; {restored}.",
                run.run, run.name
            ));
        }
    }
    Ok(told)
}

/// Restores one dead run; `None` when somebody else holds it.
fn bury(path: &Path) -> Option<String> {
    let file = fs::OpenOptions::new()
        .read(true)
        .append(true)
        .open(path)
        .ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    let replayed = replay(path).ok()?;
    let mut journal = Journal::adopt(OwnedFd::from(file), path.to_owned()).ok()?;
    let told = restore_all(&mut journal, replayed.to_restore(), Namespace::find);
    let why = "worker and supervisor both died".to_owned();
    match journal.append(&Record::Aborted { why }) {
        Ok(()) => Some(told),
        Err(error) => Some(format!("{told}; {error}")),
    }
}
