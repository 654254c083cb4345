//! Host settings: written down, handed to the guardian, changed, and put back.
//!
//! The order is the same for each change: the record is on the disk, then the guardian holds the undo and its deadline,
//! and only then is anything changed. Putting back waits for neither: the value is compared and restored, the guardian
//! is told, and the record follows when the disk takes it.
//!
//! Two runs may need the same sysctl ([`shared`]), or the qdisc that filters stand in ([`filters`]). Files of a cgroup and processes that stand still belong to one run:
//! a second one is refused before it starts ([`crate::preflight`]).

mod cgroup_file;
mod filters;
mod shared;
mod stopped;
mod undo;

use std::{path::Path, sync::Arc, time::Duration};

pub(crate) use filters::{Filtered, qdisc_stays};
pub use shared::Patience;
pub use undo::undo;

use crate::{guardian::Guardian, recorder::RunJournal};
use injector_host::{
    kernel::{clock::boot_ns, netns::Namespace},
    targets::process::TaskKey,
};
use injector_record::journal::{HostChange, Record};
use injector_spec::error::Refusal;
use shared::{Joined, LoopbackSetting};

/// How often joining is tried while other runs come and go.
const TRIES: usize = 10;

/// How much later than the run's own end of a change the guardian makes an end of it, in nanoseconds.
const GUARDIAN_AFTER_NS: u64 = 300_000_000;

/// The changes of a run, in the order in which they were made.
pub struct Changes {
    /// The run's name.
    run: String,
    guardian: Arc<Guardian>,
    made: Vec<Made>,
    next_id: u32,
    /// When the run will be over as far as is known, on the boot clock, in nanoseconds: the end of its sysctls and filters.
    deadline: u64,
    /// How long a change that begins waits for its turn.
    patience: Duration,
}

/// A change that is to be undone.
struct Made {
    id: ChangeId,
    change: HostChange,
    /// The namespace of a sysctl or of a device.
    namespace: Option<Namespace>,
}

/// Which change of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeId(u32);

/// What came of a change that was asked for.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is made.
    Made(ChangeId),
    /// The host has the value for reasons of its own.
    AlreadySo,
    /// It was left out, because it could not be put on record first, for this reason.
    NotOnRecord(Refusal),
    /// It was left out, or taken back at once: by the time that it was on record nothing was to be changed any more.
    TooLate,
}

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has its old value again.
    Restored,
    /// Another run relies on it, and will put it back.
    LeftToAnother,
    /// Another process has changed it since; it is left alone.
    ChangedByOthers,
    /// What had it is gone: a namespace, a cgroup, a process.
    Gone,
}

impl Changes {
    /// The changes of a run that has made none yet.
    pub fn of(run: &str, guardian: Arc<Guardian>) -> Self {
        Self {
            run: run.to_owned(),
            guardian,
            made: Vec::new(),
            next_id: 0,
            deadline: 0,
            patience: shared::PATIENCE_TO_ARM,
        }
    }

    /// Sets a sysctl of a namespace in which the run has a TAP, unless it has the value for the host's own reasons.
    pub fn set_sysctl(
        &mut self,
        namespace: &Namespace,
        key: &str,
        new: &str,
        journal: &mut RunJournal,
    ) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            let run = self.run.clone();
            let setting = LoopbackSetting {
                namespace,
                key,
                run: &run,
                patience: &Patience::of(self.patience),
            };
            let Some(old) = shared::look(&setting, new)? else {
                return Ok(());
            };
            let change = HostChange::Sysctl {
                netns_inode: namespace.inode(),
                key: key.to_owned(),
                old: old.clone(),
                new: new.to_owned(),
            };
            let id = self.announce(change, Some(namespace.try_clone()?), self.deadline, journal)?;
            match shared::join(&setting, &old, new)? {
                Joined::Done => {
                    journal.after(&Record::Changed { id: id.0 });
                    return Ok(());
                }
                // Another run came or went since it was written down.
                Joined::Otherwise => self.withdraw(id, journal),
                Joined::NoTurn => {
                    self.withdraw(id, journal);
                    return Err(shared::no_turn());
                }
            }
        }
        Err(Refusal::failed(format!(
            "other runs keep changing {key}; start again when they have ended (`injector list`)."
        )))
    }

    /// Takes back what was announced and not done: nothing is to be undone.
    fn withdraw(&mut self, id: ChangeId, journal: &mut RunJournal) {
        self.made.retain(|made| made.id != id);
        self.guardian.release(&self.run, id.0);
        journal.after(&Record::Restored { id: id.0 });
    }

    /// The run will be over by then as far as is known, on the boot clock, in nanoseconds. It is about sysctls and filters that
    /// come now; [`Changes::set_deadline`] is about those that are there, too.
    pub const fn expect_end(&mut self, until: u64) {
        self.deadline = until;
    }

    /// When the run will be over as far as is known, on the boot clock, in nanoseconds.
    pub(crate) const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// The run ends at another time than was thought when its sysctls were set and its filters attached.
    /// The run is armed by then, and its loop waits no longer than an end would.
    pub fn set_deadline(&mut self, until: u64) -> Result<(), Refusal> {
        self.patience = shared::PATIENCE;
        self.deadline = until;
        let mut of_network = self.made.iter().filter(|made| made.namespace.is_some());
        of_network.try_for_each(|made| {
            self.hand_over(made.id, &made.change, made.namespace.as_ref(), until)
        })
    }

    /// Sets a file of a cgroup; `until` is when it is to have its old value again, on the boot clock, in nanoseconds. It is asked
    /// once more when the record is on the disk, which may have taken time: what the guardian has let go of by then would stay.
    pub(super) fn set_cgroup_file(
        &mut self,
        path: &Path,
        new: &str,
        until: u64,
        journal: &mut RunJournal,
    ) -> Result<Asked, Refusal> {
        let old = cgroup_file::current(path, new)?;
        if old == new {
            return Ok(Asked::AlreadySo);
        }
        let change = HostChange::CgroupFile {
            path: path.to_owned(),
            old: old.clone(),
            new: new.to_owned(),
        };
        let id = match self.announce(change, None, until, journal) {
            Ok(id) => id,
            Err(refusal) => return Ok(Asked::NotOnRecord(refusal)),
        };
        if boot_ns() >= until {
            self.withdraw(id, journal);
            return Ok(Asked::TooLate);
        }
        cgroup_file::set(path, &old, new)?;
        journal.after(&Record::Changed { id: id.0 });
        Ok(self.in_time(id, until, journal))
    }

    /// Stops processes, one after the other for as long as `may_go_on` says so and it is not `until`; those that are not
    /// stopped then have ended. The caller has seen that they were running. `until` is as for [`Changes::set_cgroup_file`], and
    /// asked before each signal.
    pub(super) fn stop(
        &mut self,
        keys: &[TaskKey],
        until: u64,
        may_go_on: &dyn Fn() -> bool,
        journal: &mut RunJournal,
    ) -> Asked {
        let processes = keys.iter().copied().map(stopped::named).collect();
        let change = HostChange::StoppedProcesses { processes };
        let id = match self.announce(change, None, until, journal) {
            Ok(id) => id,
            Err(refusal) => return Asked::NotOnRecord(refusal),
        };
        let mut are_told = false;
        for key in keys {
            if !may_go_on() || boot_ns() >= until {
                break;
            }
            // One that has ended needs none.
            let _ = stopped::stop(*key);
            are_told = true;
        }
        if !are_told {
            self.withdraw(id, journal);
            return Asked::TooLate;
        }
        journal.after(&Record::Changed { id: id.0 });
        self.in_time(id, until, journal)
    }

    /// A change that was just made, unless its end has come meanwhile. The guardian may have undone it before it was made, and undoes
    /// it only once: so it is undone here, and not left to a later look of a process that may die before.
    fn in_time(&mut self, id: ChangeId, until: u64, journal: &mut RunJournal) -> Asked {
        if boot_ns() < until {
            return Asked::Made(id);
        }
        self.undo(id, journal);
        Asked::TooLate
    }

    /// Writes down what is about to change, hands it to the guardian, and puts it on the list of what is to be undone.
    /// Undoing what was not changed yet does no harm.
    fn announce(
        &mut self,
        change: HostChange,
        namespace: Option<Namespace>,
        until: u64,
        journal: &mut RunJournal,
    ) -> Result<ChangeId, Refusal> {
        let id = ChangeId(self.next_id);
        self.next_id += 1;
        journal.before(&Record::Change {
            id: id.0,
            change: change.clone(),
        })?;
        self.hand_over(id, &change, namespace.as_ref(), until)?;
        self.made.push(Made {
            id,
            change,
            namespace,
        });
        Ok(id)
    }

    fn hand_over(
        &self,
        id: ChangeId,
        change: &HostChange,
        namespace: Option<&Namespace>,
        until: u64,
    ) -> Result<(), Refusal> {
        let until = until.saturating_add(GUARDIAN_AFTER_NS);
        self.guardian
            .hold(&self.run, id.0, change, namespace, until)
    }

    /// Undoes one change before the run ends. Where that fails, [`Changes::restore`] tries again, and tells.
    pub(super) fn undo(&mut self, id: ChangeId, journal: &mut RunJournal) {
        let Some(at) = self.made.iter().position(|made| made.id == id) else {
            return;
        };
        let patience = Patience::default();
        if self.put_back(&self.made[at], &patience, journal).is_none() {
            self.made.remove(at);
        }
    }

    /// Puts everything back, last change first. Every failure is collected, none stops the rest.
    pub fn restore(&mut self, journal: &mut RunJournal) -> Vec<String> {
        let made = std::mem::take(&mut self.made);
        let patience = Patience::default();
        made.iter()
            .rev()
            .filter_map(|made| self.put_back(made, &patience, journal))
            .collect()
    }

    /// Puts one change back, and says what went wrong.
    fn put_back(
        &self,
        made: &Made,
        patience: &Patience,
        journal: &mut RunJournal,
    ) -> Option<String> {
        let id = made.id.0;
        let undone = undo(&made.change, made.namespace.as_ref(), &self.run, patience);
        match undone {
            Ok(_) => {
                self.guardian.release(&self.run, id);
                journal.after(&Record::Restored { id });
                None
            }
            Err(error) => {
                let why = error.to_string();
                journal.after(&Record::RestoreFailed {
                    id,
                    why: why.clone(),
                });
                Some(why)
            }
        }
    }

    /// Whether what must be undone would be, were this process to die now.
    pub(super) fn has_guardian(&self) -> bool {
        self.guardian.is_there()
    }
}

#[cfg(test)]
mod tests;
