//! Host settings: written down, changed, and put back.
//!
//! Two runs may need the same setting. The value to go back to is the one from before the first of them,
//! and the last of them puts it back: each run's journal says what it relies on, and a lock on the
//! directory of the journals keeps looking and changing together.

use std::{fs::File, os::fd::AsFd, path::Path};

use rustix::fs::{FlockOperation, flock};

use crate::{
    error::Refusal,
    journal::{self, HostChange, Journal, Record, RunState},
    kernel::{self, netns::Namespace, sysctl},
};

/// The changes of a run, in the order in which they were made.
#[derive(Default)]
pub struct Changes {
    made: Vec<(u32, HostChange, Namespace)>,
    next_id: u32,
}

impl Changes {
    /// Sets a sysctl of a namespace, unless it has the value for the host's own reasons. The old value is
    /// on disk before the new one is in force.
    pub fn set_sysctl(
        &mut self,
        namespace: &Namespace,
        key: &str,
        new: &str,
        journal: &mut Journal,
    ) -> Result<(), Refusal> {
        let _lock = Lock::take(journal.path());
        let current = namespace.run(|| sysctl::read(key))??;
        let inherited = others(journal.path())
            .find_map(|change| is_about(&change, namespace.inode(), key).then(|| old_of(change)));
        let old = match inherited {
            None if current == new => return Ok(()),
            None => current,
            Some(old) => old,
        };
        let id = self.next_id;
        self.next_id += 1;
        let change = HostChange::Sysctl {
            netns_inode: namespace.inode(),
            key: key.to_owned(),
            old,
            new: new.to_owned(),
        };
        journal.append(&Record::Change {
            id,
            change: change.clone(),
        })?;
        // On the list before it is in force: restoring what was not changed yet does no harm.
        self.made.push((id, change, namespace.try_clone()?));
        namespace.run(|| sysctl::write(key, new))??;
        journal.append(&Record::Changed { id })?;
        Ok(())
    }

    /// Puts everything back, last change first. Every failure is collected, none stops the rest.
    pub fn restore(&mut self, journal: &mut Journal) -> Vec<String> {
        let mut errors = Vec::new();
        while let Some((id, change, namespace)) = self.made.pop() {
            let record = match restore(&change, &namespace, journal.path()) {
                Ok(_) => Record::Restored { id },
                Err(error) => {
                    errors.push(error.to_string());
                    Record::RestoreFailed {
                        id,
                        why: error.to_string(),
                    }
                }
            };
            if let Err(error) = journal.append(&record) {
                errors.push(error.to_string());
            }
        }
        errors
    }
}

/// What became of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has its old value again.
    Restored,
    /// Another run relies on it, and will put it back.
    LeftToAnother,
    /// Somebody else has changed it since; it is theirs.
    ChangedByOthers,
}

/// Puts one setting back for the run with this journal.
pub fn restore(
    change: &HostChange,
    namespace: &Namespace,
    journal: &Path,
) -> Result<Fate, kernel::Error> {
    let HostChange::Sysctl {
        netns_inode,
        key,
        old,
        new,
    } = change;
    let _lock = Lock::take(journal);
    if others(journal).any(|other| is_about(&other, *netns_inode, key)) {
        return Ok(Fate::LeftToAnother);
    }
    namespace.run(|| {
        if sysctl::read(key)? != *new {
            return Ok(Fate::ChangedByOthers);
        }
        sysctl::write(key, old).map(|()| Fate::Restored)
    })?
}

/// The changes that other living runs rely on.
fn others(own: &Path) -> impl Iterator<Item = HostChange> {
    let name = own.file_stem().map(ToOwned::to_owned).unwrap_or_default();
    let runs = own
        .parent()
        .and_then(|directory| journal::list(directory).ok());
    runs.into_iter()
        .flatten()
        .filter(move |run| run.state == RunState::Running && name != *run.run.as_str())
        .flat_map(|run| run.to_restore)
}

fn is_about(change: &HostChange, inode: u64, wanted: &str) -> bool {
    let HostChange::Sysctl {
        netns_inode, key, ..
    } = change;
    *netns_inode == inode && key == wanted
}

fn old_of(change: HostChange) -> String {
    let HostChange::Sysctl { old, .. } = change;
    old
}

/// Held while settings are looked at and changed. Where it cannot be had, a race between two runs that
/// begin or end in the same moment is the lesser evil than a setting that is not put back.
struct Lock(#[expect(dead_code, reason = "the descriptor holds the lock")] Option<File>);

impl Lock {
    fn take(journal: &Path) -> Self {
        let file = journal
            .parent()
            .and_then(|directory| File::open(directory).ok());
        let locked = file.filter(|file| flock(file.as_fd(), FlockOperation::LockExclusive).is_ok());
        Self(locked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::RunId;

    fn journal(directory: &Path, run: &str) -> Journal {
        let run: RunId = run.parse().unwrap();
        Journal::create_in(directory, &run).unwrap()
    }

    fn change(key: &str) -> Record {
        let change = HostChange::Sysctl {
            netns_inode: 9,
            key: key.into(),
            old: "0".into(),
            new: "1".into(),
        };
        Record::Change { id: 0, change }
    }

    #[test]
    fn a_living_run_is_heard_and_an_ended_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("runs");
        let ours = journal(&state, "r000000010001");
        let mut theirs = journal(&state, "r000000010002");
        assert_eq!(others(ours.path()).count(), 0);
        theirs.append(&change("a.b")).unwrap();
        assert!(others(ours.path()).any(|change| is_about(&change, 9, "a.b")));
        assert!(!others(ours.path()).any(|change| is_about(&change, 8, "a.b")));
        assert_eq!(
            others(theirs.path()).count(),
            0,
            "a run is no other to itself"
        );
        drop(theirs);
        assert_eq!(others(ours.path()).count(), 0, "the dead rely on nothing");
    }
}
