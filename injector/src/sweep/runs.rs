//! Runs whose worker and supervisor both died: their journals have no lock and no end.

use std::{fs, os::fd::OwnedFd, path::Path};

use rustix::fs::{FlockOperation, flock};

use super::{Fate, Leftover, Sweeping, What};
use crate::{
    error::Refusal,
    journal::{self, Journal, Record, RunState, replay},
    kernel::netns::Namespace,
    supervisor::clean::restore_all,
};

/// Restores what dead runs left, and closes their journals.
pub fn bury_dead_runs(sweeping: Sweeping) -> Result<Vec<Leftover>, Refusal> {
    let directory = journal::directory();
    let runs = journal::list(&directory).map_err(|error| {
        Refusal::usage(format!(
            "the journals in {} cannot be read: {error}; injector refuses to arm before it knows that \
             nothing is left of earlier runs.",
            directory.display()
        ))
    })?;
    let mut found = Vec::new();
    for listed in runs {
        // What a supervisor has cleaned up after carries its reason.
        if listed.state != (RunState::Aborted { why: None }) {
            continue;
        }
        let path = directory.join(format!("{}.jsonl", listed.run));
        let fate = match sweeping {
            Sweeping::FindOnly => Some(Fate::Found),
            Sweeping::Remove => bury(&path),
        };
        let what = What::Run {
            run: listed.run,
            name: listed.name,
            to_restore: listed.to_restore,
        };
        found.extend(fate.map(|fate| Leftover { what, fate }));
    }
    Ok(found)
}

/// Restores one dead run; `None` when somebody else holds it.
fn bury(path: &Path) -> Option<Fate> {
    let file = fs::OpenOptions::new()
        .read(true)
        .append(true)
        .open(path)
        .ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    let (mut journal, replayed) = Journal::adopt(OwnedFd::from(file), path.to_owned()).ok()?;
    let how = restore_all(&mut journal, replayed.to_restore(), Namespace::find);
    // What failed is in the journal and stays to be restored.
    let is_restored = replay(path).is_ok_and(|after| after.to_restore().is_empty());
    let why = "worker and supervisor both died".to_owned();
    Some(match journal.append(&Record::Aborted { why }) {
        Ok(()) if is_restored => Fate::Removed { how },
        Ok(()) => Fate::Failed { why: how },
        Err(error) => Fate::Failed {
            why: format!("{how}; {error}"),
        },
    })
}
