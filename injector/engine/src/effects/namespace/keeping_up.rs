//! Keeps a namespace up to date while a run goes on: processes, sockets and devices that come and go.

use injector_host::{
    kernel::{Error, clock::boot_ns, netns::Namespace},
    targets::{ResolvedTarget, process::TaskKey},
};
use injector_plan::Attachment;
use injector_record::event::EventKind;
use injector_spec::{error::Refusal, experiment::Follow};

use crate::{changes::Changes, recorder::RunJournal};

use super::{
    ArmedNamespace,
    attacher::Book,
    claim::{Asking, Meet},
    pace::{Begun, Reach},
};

/// How long before the end of a run no filter is put on another device: it would hardly stand before it is removed.
const NONE_BEFORE_THE_END_NS: u64 = 2_000_000_000;

impl ArmedNamespace {
    /// Makes the targets known and tags what they have open. The lease is live by now, so that forks
    /// and sockets that come in between are caught by the programs.
    pub fn claim(&mut self, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
        for scope in self.scopes.clone() {
            let Some(target) = targets.get(scope as usize) else {
                continue;
            };
            let follow = u32::from(target.follow == Follow::Tree);
            let mut members = target.members();
            if target.cgroup.is_none() {
                self.enter(&members, scope, follow)?;
            }
            if follow == 1 {
                // From here on the fork program catches every child; those that came before it did are
                // in the list now, and their children since are caught too.
                members = with_new_children(members)?;
                self.enter(&members, scope, follow)?;
            }
            self.sockets.claim(&members, scope, &mut self.maps);
        }
        Ok(())
    }

    /// Looks through the sockets of a scope for connections that these resets have not asked, where a look is due.
    pub(in crate::effects) fn look(
        &mut self,
        scope: u32,
        targets: &[ResolvedTarget],
        asking: Asking,
        meet: &mut Meet<'_>,
    ) {
        let members = self.members(scope, targets);
        self.sockets
            .look(&members, scope, asking, &mut self.maps, meet);
    }

    /// Runs `look` where its turn has come; one that was costly waits longer for its next.
    pub(in crate::effects) fn where_due(&mut self, look: impl FnOnce(&mut Self) -> Reach) {
        if !self.resets.is_due(boot_ns()) {
            return;
        }
        let begun = Begun::now();
        let reach = look(self);
        self.resets.looked(boot_ns(), begun.cost_ns(), reach);
    }

    /// Says who belongs to the targets that are answered in their own memory, where a look is due; one that was costly waits
    /// longer for its next.
    pub(in crate::effects) fn say_who_is_in_place(&mut self, targets: &[ResolvedTarget]) {
        let Some(rewrites) = &self.rewrites else {
            return;
        };
        if !self.joins.is_due(boot_ns()) {
            return;
        }
        let begun = Begun::now();
        let scopes = rewrites.scopes();
        let scopes = scopes.iter();
        let members = scopes.flat_map(|scope| self.members(*scope, targets));
        rewrites.follow(members.collect());
        self.joins.looked(boot_ns(), begun.cost_ns(), Reach::Whole);
    }

    /// Makes processes known to the programs.
    pub(super) fn enter(
        &mut self,
        members: &[TaskKey],
        scope: u32,
        follow: u32,
    ) -> Result<(), Error> {
        members.iter().try_for_each(|key| {
            let (key, record) = key.record(scope, follow);
            self.maps.write_process(key, record)
        })
    }

    /// Tags sockets that appeared since, and covers devices that appeared since.
    pub fn keep_up(
        &mut self,
        targets: &[ResolvedTarget],
        changes: &mut Changes,
        journal: &mut RunJournal,
    ) -> Vec<EventKind> {
        let mut told = Vec::new();
        let begun = Begun::now();
        let is_due = self.claims.is_due(boot_ns());
        for scope in self.scopes.clone() {
            let members = self.members(scope, targets);
            if is_due {
                self.sockets.claim(&members, scope, &mut self.maps);
            }
            told.extend(self.elsewhere(&members));
        }
        if is_due {
            self.claims.looked(boot_ns(), begun.cost_ns(), Reach::Whole);
        }
        told.extend(self.cover_new_devices(Book { changes, journal }));
        told
    }

    /// Processes that live in another network namespace, each told of once.
    pub(super) fn elsewhere(&mut self, members: &[TaskKey]) -> Vec<EventKind> {
        let is_here = |key: &TaskKey| {
            Namespace::of_process(key.tgid).map_or(true, |n| n.inode() == self.namespace.inode())
        };
        let away: Vec<TaskKey> = members
            .iter()
            .filter(|key| !self.strangers.contains(key) && !is_here(key))
            .copied()
            .collect();
        // A process that has ended is no member any more.
        self.strangers.retain(|key| members.contains(key));
        self.strangers.extend(&away);
        away.iter()
            .map(|key| EventKind::ProcessNotCovered {
                pid: key.tgid,
                why: "it lives in a network namespace that this run is not armed in".into(),
            })
            .collect()
    }

    /// How many new devices are covered in one look. Where that takes a qdisc the kernel has the device stand still
    /// meanwhile, up to some hundred milliseconds, and this thread has an end of the run to come to.
    const fn at_once(&self, until: u64, now: u64) -> usize {
        match self.hooks.attachment {
            Attachment::Links => usize::MAX,
            Attachment::Filters if now.saturating_add(NONE_BEFORE_THE_END_NS) < until => 1,
            Attachment::Filters => 0,
        }
    }

    fn cover_new_devices(&mut self, mut book: Book<'_>) -> Vec<EventKind> {
        let Some(mut covered) = self.covered.take() else {
            return Vec::new();
        };
        let devices = covered.take_due(self.at_once(book.changes.deadline(), boot_ns()));
        if devices.is_empty() {
            self.covered = Some(covered);
            return Vec::new();
        }
        let told = self.with_attacher(&mut book, |maps, attacher| {
            let mut told = Vec::new();
            for device in devices {
                let name = device.name.clone();
                match covered.cover(device, maps, attacher) {
                    Ok(what) => told.extend(what),
                    Err(error) => told.push(EventKind::DeviceNotCovered {
                        device: name,
                        why: error.to_string(),
                    }),
                }
            }
            told
        });
        self.covered = Some(covered);
        told.unwrap_or_default()
    }

    /// The processes of a scope as they are now, followed children included.
    pub fn members(&self, scope: u32, targets: &[ResolvedTarget]) -> Vec<TaskKey> {
        let Some(target) = targets.get(scope as usize) else {
            return Vec::new();
        };
        if target.follow == Follow::Process {
            return target.members();
        }
        self.maps.members(scope)
    }
}

/// Adds the children that were forked since the processes were looked up and before the fork program
/// was attached.
pub(super) fn with_new_children(mut members: Vec<TaskKey>) -> Result<Vec<TaskKey>, Refusal> {
    let pids: Vec<u32> = members.iter().map(|key| key.tgid).collect();
    for pid in injector_host::targets::process::trees(&pids)? {
        if let Ok(key) = TaskKey::of(pid)
            && !members.contains(&key)
        {
            members.push(key);
        }
    }
    Ok(members)
}
