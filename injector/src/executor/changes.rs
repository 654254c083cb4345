//! Host settings: written down, changed, and put back.
//!
//! Two runs may need the same setting. The value to go back to is the one from before the first of them,
//! and the last of them puts it back: each run's journal says what it relies on, and a lock on the
//! directory of the journals keeps looking and changing together. Files of a cgroup are not shared: the
//! second run is refused.

mod knob;
mod stopped;

use std::{fs::File, os::fd::AsFd, path::Path};

use rustix::fs::{FlockOperation, flock};

use crate::{
    error::Refusal,
    journal::{self, HostChange, Journal, Record, RunState},
    kernel::{self, netns::Namespace, sysctl},
    target::process::TaskKey,
};

/// The changes of a run, in the order in which they were made.
#[derive(Default)]
pub struct Changes {
    made: Vec<Made>,
    next_id: u32,
}

/// A change that is to be undone.
struct Made {
    id: ChangeId,
    change: HostChange,
    /// The namespace of a sysctl.
    namespace: Option<Namespace>,
}

/// Which change of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeId(u32);

impl Made {
    fn undo(&self, journal: &mut Journal) -> Vec<String> {
        undo(self.id.0, &self.change, self.namespace.as_ref(), journal).errors
    }
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
            .find_map(|change| old_of_sysctl(&change, namespace.inode(), key));
        let old = match inherited {
            None if current == new => return Ok(()),
            None => current,
            Some(old) => old,
        };
        let change = HostChange::Sysctl {
            netns_inode: namespace.inode(),
            key: key.to_owned(),
            old,
            new: new.to_owned(),
        };
        let id = self.announce(change, Some(namespace.try_clone()?), journal)?;
        namespace.run(|| sysctl::write(key, new))??;
        journal.append(&Record::Changed { id: id.0 })?;
        Ok(())
    }

    /// Sets a file of a cgroup; `None` where it has the value for the host's own reasons. Refused where
    /// another living run has set it: two runs that want different values cannot both have theirs.
    pub(super) fn set_knob(
        &mut self,
        path: &Path,
        new: &str,
        journal: &mut Journal,
    ) -> Result<Option<ChangeId>, Refusal> {
        let _lock = Lock::take(journal.path());
        if others(journal.path()).any(|change| knob::is_about(&change, path, new)) {
            return Err(Refusal::clash(format!(
                "another run has set {}; wait for its end, or stop it (`injector list`).",
                path.display()
            )));
        }
        let old = knob::current(path, new)?;
        if old == new {
            return Ok(None);
        }
        let change = HostChange::CgroupKnob {
            path: path.to_owned(),
            old: old.clone(),
            new: new.to_owned(),
        };
        let id = self.announce(change, None, journal)?;
        knob::set(path, &old, new)?;
        journal.append(&Record::Changed { id: id.0 })?;
        Ok(Some(id))
    }

    /// Stops processes, one after the other for as long as `may_go_on` says so. Returns how many were
    /// stopped; the others have ended. Whoever calls has seen that they were running.
    pub(super) fn stop(
        &mut self,
        keys: &[TaskKey],
        may_go_on: &dyn Fn() -> bool,
        journal: &mut Journal,
    ) -> Result<(ChangeId, u64), Refusal> {
        let processes = keys.iter().copied().map(stopped::named).collect();
        let id = self.announce(HostChange::StoppedProcesses { processes }, None, journal)?;
        let stop = |key: &&TaskKey| may_go_on() && stopped::stop(**key).is_ok();
        let count = u64::try_from(keys.iter().filter(stop).count()).unwrap_or(u64::MAX);
        journal.append(&Record::Changed { id: id.0 })?;
        Ok((id, count))
    }

    /// Writes down what is about to change, and puts it on the list of what is to be undone. Undoing
    /// what was not changed yet does no harm.
    fn announce(
        &mut self,
        change: HostChange,
        namespace: Option<Namespace>,
        journal: &mut Journal,
    ) -> Result<ChangeId, Refusal> {
        let id = ChangeId(self.next_id);
        self.next_id += 1;
        journal.append(&Record::Change {
            id: id.0,
            change: change.clone(),
        })?;
        self.made.push(Made {
            id,
            change,
            namespace,
        });
        Ok(id)
    }

    /// Undoes one change before the run ends. Where that fails, [`Changes::restore`] tries again, and
    /// tells.
    pub(super) fn undo(&mut self, id: ChangeId, journal: &mut Journal) {
        let Some(at) = self.made.iter().position(|made| made.id == id) else {
            return;
        };
        if self.made[at].undo(journal).is_empty() {
            self.made.remove(at);
        }
    }

    /// Puts everything back, last change first. Every failure is collected, none stops the rest.
    pub fn restore(&mut self, journal: &mut Journal) -> Vec<String> {
        let mut errors = Vec::new();
        while let Some(made) = self.made.pop() {
            errors.extend(made.undo(journal));
        }
        errors
    }
}

/// What came of undoing a change.
pub struct Undone {
    /// What became of the setting; `None` where it could not be put back.
    pub fate: Option<Fate>,
    /// What went wrong.
    pub errors: Vec<String>,
}

/// Undoes one change of the run with this journal, and writes that down before another run may look: of two runs
/// that end in the same moment, the second has to see that the first relies on nothing any more, or each would leave
/// the setting to the other. The namespace is that of [`HostChange::namespace`], where it could be found.
pub fn undo(
    id: u32,
    change: &HostChange,
    namespace: Option<&Namespace>,
    journal: &mut Journal,
) -> Undone {
    let _lock = change.is_shared().then(|| Lock::take(journal.path()));
    let (fate, record) = match restore(change, namespace, journal.path()) {
        Ok(fate) => (Some(fate), Record::Restored { id }),
        Err(error) => {
            let why = error.to_string();
            (None, Record::RestoreFailed { id, why })
        }
    };
    let mut errors = match &record {
        Record::RestoreFailed { why, .. } => vec![why.clone()],
        _ => Vec::new(),
    };
    errors.extend(journal.append(&record).err().map(|error| error.to_string()));
    Undone { fate, errors }
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
    /// What had it is gone: a namespace, a cgroup, a process.
    Gone,
}

/// Undoes one change for the run with this journal. The lock is held where the setting is shared.
fn restore(
    change: &HostChange,
    namespace: Option<&Namespace>,
    journal: &Path,
) -> Result<Fate, kernel::Error> {
    match change {
        HostChange::Sysctl {
            netns_inode,
            key,
            old,
            new,
        } => {
            // A namespace that is gone took its settings with it.
            let Some(namespace) = namespace else {
                return Ok(Fate::Gone);
            };
            if others(journal).any(|other| old_of_sysctl(&other, *netns_inode, key).is_some()) {
                return Ok(Fate::LeftToAnother);
            }
            namespace.run(|| {
                if sysctl::read(key)? != *new {
                    return Ok(Fate::ChangedByOthers);
                }
                sysctl::write(key, old).map(|()| Fate::Restored)
            })?
        }
        HostChange::CgroupKnob { path, old, new } => knob::restore(path, old, new),
        HostChange::StoppedProcesses { processes } => stopped::restore(processes),
    }
}

/// The changes that other living runs rely on.
fn others(own: &Path) -> impl Iterator<Item = HostChange> {
    let name = own.file_stem().map(ToOwned::to_owned).unwrap_or_default();
    let runs = own
        .parent()
        .and_then(|directory| journal::unfinished(directory).ok())
        .map(|unfinished| unfinished.runs);
    runs.into_iter()
        .flatten()
        .filter(move |run| run.state == RunState::Running && name != *run.run.as_str())
        .flat_map(|run| run.to_restore)
}

/// The old value, where a change is about this sysctl.
fn old_of_sysctl(change: &HostChange, inode: u64, wanted: &str) -> Option<String> {
    match change {
        HostChange::Sysctl {
            netns_inode,
            key,
            old,
            ..
        } if *netns_inode == inode && key == wanted => Some(old.clone()),
        _ => None,
    }
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
        assert!(others(ours.path()).any(|change| old_of_sysctl(&change, 9, "a.b").is_some()));
        assert!(others(ours.path()).all(|change| old_of_sysctl(&change, 8, "a.b").is_none()));
        assert_eq!(
            others(theirs.path()).count(),
            0,
            "a run is no other to itself"
        );
        drop(theirs);
        assert_eq!(others(ours.path()).count(), 0, "the dead rely on nothing");
    }

    /// Whichever comes second sees that the first is done, although its run goes on.
    #[test]
    fn of_two_that_end_together_one_is_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("runs");
        let mut first = journal(&state, "r000000010001");
        let mut second = journal(&state, "r000000010002");
        for one in [&mut first, &mut second] {
            one.append(&change("a.b")).unwrap();
        }
        // No namespace has this inode, so that nothing is written; it is the record that counts.
        let Record::Change { id, change } = change("a.b") else {
            unreachable!()
        };
        let undone = undo(id, &change, None, &mut first);
        assert!(undone.errors.is_empty());
        let relied_on = |own: &Path| others(own).count();
        assert_eq!(relied_on(second.path()), 0);
        assert_eq!(relied_on(first.path()), 1);
    }
}
