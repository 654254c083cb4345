//! Runs whose worker and supervisor both died: their journals have no lock and no end.

use std::{os::fd::OwnedFd, path::Path};

use rustix::fs::{FlockOperation, flock};

use super::{Fate, Leftover, Sweeping, What};
use crate::supervisor::clean::restore_all;
use injector_host::kernel::netns::Namespace;
use injector_record::configuration;
use injector_record::journal::{self, Journal, Look, Record, RunState, Unreadable, replay};
use injector_record::regular::{self, Access};
use injector_spec::{config::Source, error::Refusal};

/// Restores what dead runs left, and closes their journals.
pub fn bury_dead_runs(sweeping: Sweeping, look: Look) -> Result<Vec<Leftover>, Refusal> {
    let directory = journal::directory();
    let unfinished = journal::unfinished(&directory, look).map_err(|error| {
        Refusal::failed(format!(
            "the journals in {} cannot be read: {error}; injector refuses to arm before it knows that \
             nothing is left of earlier runs.",
            directory.display()
        ))
    })?;
    let mut found = Vec::new();
    for listed in unfinished.runs {
        // What a supervisor has cleaned up after carries its reason.
        if listed.state != (RunState::Aborted { why: None }) {
            continue;
        }
        let path = journal::file(&directory, &listed.run);
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
    found.extend(unfinished.unreadable.into_iter().map(unreadable));
    Ok(found)
}

/// What has the name of a journal may be a run's; every start is refused until it is gone.
fn unreadable(Unreadable { file, why }: Unreadable) -> Leftover {
    let why = format!("{why}; look what it is, and delete it");
    Leftover {
        what: What::Unreadable { path: file },
        fate: Fate::Failed { why },
    }
}

/// Keeps the directory of journals from growing, by the rule of this host: a file that one run names with `--config`
/// does not decide about the records of others. It writes, so a disk that stands still holds it up: no start and no
/// end may wait for it.
pub fn tend_journals(look: Look) {
    if let Ok(config) = configuration::load(&Source::choose(None)) {
        // What is not tidied now is tidied later, and no run depends on it.
        let _ = journal::tend(&journal::directory(), config.journal.rule(), look);
    }
}

/// Restores one dead run; `None` when another process holds it.
fn bury(path: &Path) -> Option<Fate> {
    let file = regular::open(path, Access::Append).ok()?;
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
