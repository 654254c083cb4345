//! The roster: the one thing that lives as long as a run and knows its targets.
//!
//! A target is what its selector stands for. Containers and units restart by taking their cgroup away and
//! making it again, under the same path or name: the roster sees that it is gone, looks for what the
//! selector means now, and lets it in by the same questions that the first was let in by (what is never
//! a target, [`Admission`], other targets). Processes that were chosen by id or command line do not come
//! back: another process with the id is a stranger, and another one that happens to match may be a person
//! who reads the log.
//!
//! It only says what has become of the targets; [`super::run`] carries it out. Every look is a few system
//! calls, none of which waits for a disk. Looking for a unit or a container reads the hierarchy, so that is
//! done twice a second at most; a path is looked at every time.

mod attendance;

use crate::admission::Admission;
use injector_host::targets::{
    self, Presence, ResolvedTarget, Sight, guard::Guard, overlap, process::TaskKey,
};
use injector_spec::{
    experiment::{OnTargetExit, Selector, Target},
    quantity::duration::tenths,
};

use attendance::{Attendance, Change};

/// How often a unit or a container that is away is looked for in the whole hierarchy.
const SEARCH_EVERY_NS: u64 = 500_000_000;

/// How long a target that is back may take to find its place (its mount namespace), and how often is looked.
const SETTLES_WITHIN_NS: u64 = 5_000_000_000;
const SETTLING_EVERY_NS: u64 = 500_000_000;

/// The most processes whose ends are remarked one by one.
const NAMED: usize = 4;

/// All targets of a run.
pub(super) struct Roster {
    entries: Vec<Entry>,
    guard: Guard,
    admission: Admission,
    on_exit: OnTargetExit,
    armed_at: u64,
}

struct Entry {
    target: Target,
    presence: Presence,
    attendance: Attendance,
    /// Of a target of several processes, those that have ended: which, and when after arming.
    ended: Vec<(TaskKey, u64)>,
    processes: usize,
    next_search: u64,
    /// While it settles: until when, and when it is looked at next.
    settling: Option<(u64, u64)>,
    /// Why what came back was not let in, as it was told last.
    kept_out: Option<String>,
    remarks: Vec<String>,
}

/// What has become of a target.
#[derive(Debug)]
pub(super) enum Turn {
    /// One of several processes has ended.
    ProcessEnded {
        /// Its target.
        scope: usize,
        /// Which.
        pid: u32,
    },
    /// It has no process any more.
    Ended {
        /// Which.
        scope: usize,
        /// What has happened, as in `its cgroup was removed`.
        how: &'static str,
    },
    /// It is there again: the same cgroup, with processes in it.
    Back {
        /// Which.
        scope: usize,
    },
    /// It is there again, in another cgroup of its name.
    MadeAgain {
        /// Which.
        scope: usize,
        /// As it is now.
        target: Box<ResolvedTarget>,
    },
    /// Something came back that must not be met.
    KeptOut {
        /// Which.
        scope: usize,
        /// Why not.
        why: String,
    },
}

impl Roster {
    /// Begins to look after targets that were just armed, at this time on the boot clock.
    pub(super) fn begin(
        specified: &[Target],
        resolved: &[ResolvedTarget],
        caller: u32,
        admission: Admission,
        on_exit: OnTargetExit,
        armed_at: u64,
    ) -> Self {
        let entry = |(target, resolved): (&Target, &ResolvedTarget)| {
            let mut presence = Presence::of(resolved);
            let mut attendance = Attendance::default();
            // Were the last of a cgroup's processes gone at the first look, it would be taken for one that waits for its first.
            if resolved.cgroup.is_some()
                && let sight @ Sight::Here = presence.look(|| 0, &mut Vec::new())
            {
                attendance.see(sight, 0);
            }
            Entry {
                target: target.clone(),
                presence,
                attendance,
                ended: Vec::new(),
                processes: resolved.processes.len(),
                next_search: 0,
                settling: None,
                kept_out: None,
                remarks: Vec::new(),
            }
        };
        Self {
            entries: specified.iter().zip(resolved).map(entry).collect(),
            guard: Guard::new(caller),
            admission,
            on_exit,
            armed_at,
        }
    }

    /// What a run does when a target has ended.
    pub(super) const fn on_exit(&self) -> OnTargetExit {
        self.on_exit
    }

    /// Looks at all of them. `followed` is how many processes the kernel's table has of a scope.
    pub(super) fn look(
        &mut self,
        now: u64,
        targets: &[ResolvedTarget],
        followed: &dyn Fn(usize) -> usize,
    ) -> Vec<Turn> {
        let mut turns = Vec::new();
        let after = now.saturating_sub(self.armed_at);
        for scope in 0..self.entries.len() {
            let entry = &mut self.entries[scope];
            let mut ended = Vec::new();
            let sight = entry.presence.look(|| followed(scope), &mut ended);
            if entry.processes > 1 {
                turns.extend(ended.iter().map(|key| Turn::ProcessEnded {
                    scope,
                    pid: key.tgid,
                }));
                entry
                    .ended
                    .extend(ended.into_iter().map(|key| (key, after)));
            }
            match entry.attendance.see(sight, after) {
                None => {}
                Some(Change::Ended(how)) => turns.push(Turn::Ended { scope, how }),
                Some(Change::Back) => turns.push(Turn::Back { scope }),
            }
            if entry.attendance.is_lost() {
                turns.extend(self.search(scope, now, targets));
            }
        }
        turns
    }

    /// Looks for what the selector of a lost target means now.
    fn search(&mut self, scope: usize, now: u64, targets: &[ResolvedTarget]) -> Option<Turn> {
        let entry = &mut self.entries[scope];
        let former = targets.get(scope)?.cgroup.as_ref()?;
        if now < entry.next_search {
            return None;
        }
        match Presence::at(&former.directory) {
            // It is back in its place, and no process is in it yet: it will be looked at at once.
            Sight::Empty => return None,
            // A path is nowhere else.
            Sight::Removed | Sight::Ended if is_path(&entry.target.selector) => return None,
            Sight::Here | Sight::Removed | Sight::Ended => {}
        }
        entry.next_search = now.saturating_add(SEARCH_EVERY_NS);
        let found = match targets::resolve(&entry.target, &self.guard) {
            Ok(found) => found,
            Err(error) if error.is_absence() => return None,
            Err(error) => return entry.keep_out(scope, error.to_string()),
        };
        // Who is in it is part of the question whether it may be met.
        if found.members().is_empty() {
            entry.next_search = now;
            return None;
        }
        let others = || {
            let all = targets.iter().enumerate();
            all.filter(move |(other, _)| *other != scope)
                .map(|(_, target)| target)
        };
        if let Some(other) = others().find(|other| overlap::overlap(&found, other)) {
            let why = format!("it overlaps with the target `{}` now", other.name);
            return entry.keep_out(scope, why);
        }
        let all: Vec<&ResolvedTarget> = others().chain([&found]).collect();
        match self.admission.refusal(&all) {
            Err(refusal) | Ok(Some(refusal)) => entry.keep_out(scope, refusal.message),
            Ok(None) => Some(Turn::MadeAgain {
                scope,
                target: Box::new(found),
            }),
        }
    }

    /// Takes in that a target is met again, as it is now.
    pub(super) fn met(&mut self, scope: usize, target: &ResolvedTarget, now: u64) {
        let after = now.saturating_sub(self.armed_at);
        if let Some(entry) = self.entries.get_mut(scope) {
            entry.presence = Presence::of(target);
            entry.attendance.found(after);
            entry.next_search = now;
            entry.settling = Some((now.saturating_add(SETTLES_WITHIN_NS), now));
            // A container that starts may be in two namespaces for a moment: that is over, and no remark.
            if entry.kept_out.take().is_some() {
                entry.remarks.pop();
            }
        }
    }

    /// The targets that came back a moment ago and are due to be looked at.
    pub(super) fn settling(&mut self, now: u64) -> Vec<usize> {
        let mut due = Vec::new();
        for (scope, entry) in self.entries.iter_mut().enumerate() {
            match &mut entry.settling {
                Some((until, _)) if now > *until => entry.settling = None,
                Some((_, next)) if now >= *next => {
                    *next = now.saturating_add(SETTLING_EVERY_NS);
                    due.push(scope);
                }
                Some(_) | None => {}
            }
        }
        due
    }

    /// Takes in that what came back could not be met; says whether that is news.
    pub(super) fn unmet(&mut self, scope: usize, why: &str) -> bool {
        self.entries
            .get_mut(scope)
            .is_some_and(|entry| entry.keep_out(scope, why.to_owned()).is_some())
    }

    /// How long after arming, at this time on the boot clock.
    pub(super) const fn after(&self, now: u64) -> u64 {
        now.saturating_sub(self.armed_at)
    }

    /// When a target that is away now ended, after arming.
    pub(super) fn away_since(&self, scope: usize) -> Option<u64> {
        self.entries.get(scope)?.attendance.away_since()
    }

    /// What a person should know about the targets' lives.
    pub(super) fn remarks(&self) -> Vec<String> {
        self.entries.iter().flat_map(Entry::remarks).collect()
    }
}

impl Entry {
    fn keep_out(&mut self, scope: usize, why: String) -> Option<Turn> {
        if self.kept_out.as_ref() == Some(&why) {
            return None;
        }
        self.remarks.push(format!(
            "{} came back and was not met: {why}",
            Target::in_words(&self.target.name)
        ));
        self.kept_out = Some(why.clone());
        Some(Turn::KeptOut { scope, why })
    }

    fn remarks(&self) -> Vec<String> {
        let name = Target::in_words(&self.target.name);
        let mut remarks = Vec::new();
        if self.attendance.away_since().is_none() && !self.ended.is_empty() {
            let named = self.ended.iter().take(NAMED).map(|(key, after)| {
                let after = tenths(*after);
                format!("process {} of {name} ended after {after}", key.tgid)
            });
            remarks.extend(named);
            if self.ended.len() > NAMED {
                let more = self.ended.len() - NAMED;
                remarks.push(format!("so did {more} more of its processes"));
            }
        }
        remarks.extend(self.attendance.remarks(&name));
        remarks.extend(self.remarks.iter().cloned());
        remarks
    }
}

const fn is_path(selector: &Selector) -> bool {
    matches!(selector, Selector::Cgroup(_))
}
