//! Limits a target's cgroup, and puts the old limits back. A cgroup that was made again gets them anew.

use std::collections::BTreeSet;

use super::{Record, force::Force, moment::Moment};
use crate::changes::{Asked, ChangeId};
use injector_common::rule::Counters;
use injector_host::{
    kernel::clock::boot_ns,
    targets::{
        cgroup::Cgroup,
        controller::{self, Limit},
    },
};
use injector_spec::{error::Refusal, experiment::Starve};

/// The state of one `proc.starve` fault.
#[derive(Debug)]
pub(super) struct Starver {
    starve: Starve,
    /// The limits that are in force, with the change where it was ours.
    limits: Vec<(Limit, Option<ChangeId>)>,
    /// The cgroup that has them, by its id.
    cgroup: Option<u64>,
    force: Force,
    /// The names of the files, for the report.
    files: BTreeSet<String>,
    pub(super) counters: Counters,
}

impl Starver {
    pub(super) fn new(starve: Starve) -> Self {
        Self {
            starve,
            limits: Vec::new(),
            cgroup: None,
            force: Force::default(),
            files: BTreeSet::new(),
            counters: Counters::default(),
        }
    }

    /// Puts the limits in force, and lifts those that would meet a bystander.
    pub(super) fn act(
        &mut self,
        cgroup: &Cgroup,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        // Where it is away, the roster says when it is back; a cgroup of version 1 may be there still.
        if self.cgroup == Some(cgroup.id) || !cgroup.is_there() {
            self.force.look(boot_ns());
            self.spare_strangers(cgroup, record);
            return Ok(());
        }
        // What the former one had went with it.
        self.lift(record);
        self.cgroup = Some(cgroup.id);
        if moment
            .members()
            .into_iter()
            .any(|key| moment.is_protected(key))
        {
            return Err(Refusal::endangers(format!(
                "a process that is never a target has entered the cgroup {}; name a narrower cgroup.",
                cgroup.directory.display()
            )));
        }
        match self.put_in_force(cgroup, moment, record) {
            // It was removed in this moment.
            Err(_) if !cgroup.is_there() => Ok(()),
            done => done,
        }
    }

    fn put_in_force(
        &mut self,
        cgroup: &Cgroup,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        for limit in controller::limits(cgroup, &self.starve)? {
            self.counters.seen += 1;
            self.counters.matched += 1;
            let asked = record.changes.set_cgroup_file(
                &limit.path,
                &limit.value,
                moment.ends_at,
                record.journal,
            )?;
            let set = match asked {
                Asked::Made(id) => Some(id),
                Asked::AlreadySo => None,
                Asked::NotOnRecord(refusal) => return Err(refusal),
                Asked::TooLate => {
                    self.counters.missed += 1;
                    continue;
                }
            };
            // The file was read back, and says so.
            self.counters.hit_at(boot_ns());
            let name = limit.path.file_name().unwrap_or_default();
            self.files.insert(name.to_string_lossy().into_owned());
            self.force.watch(&limit, boot_ns());
            self.limits.push((limit, set));
        }
        Ok(())
    }

    /// Puts the old limits back, the last first.
    pub(super) fn lift(&mut self, record: &mut Record<'_>) {
        for (_, set) in self.limits.drain(..).rev() {
            if let Some(id) = set {
                record.changes.undo(id, record.journal);
            }
        }
        self.force.end();
        self.cgroup = None;
    }

    /// What became of the limits.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        self.force.remarks()
    }

    /// The files that were written, as the report's mechanism.
    pub(super) fn mechanism(&self) -> Option<String> {
        let names: Vec<&str> = self.files.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join("+"))
    }

    /// A cgroup of version 1 is the target only as long as no other process is in it, and as no
    /// process of the target is elsewhere.
    fn spare_strangers(&mut self, cgroup: &Cgroup, record: &mut Record<'_>) {
        // Two looks, because the two trees cannot be read at once.
        let is_shared =
            |limit: &Limit| (0..2).all(|_| !controller::is_targets_alone(limit, cgroup));
        if self.limits.iter().any(|(limit, _)| is_shared(limit)) {
            self.counters.missed += 1;
            self.force.spare(boot_ns());
            self.lift(record);
            // For good: once bystanders were met there, they may come again.
            self.cgroup = Some(cgroup.id);
        }
    }
}
