//! Lets the processes of a target stand still, all the time or in turns, and go on again.
//!
//! A whole cgroup is frozen. Processes that share theirs with bystanders are stopped one by one; those
//! that somebody else has stopped before are left alone, then and at the end.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Moment, Record, choice, choice::Choice, schedule};
use crate::{
    error::Refusal,
    executor::changes::ChangeId,
    experiment::Pause,
    kernel::clock::boot_ns,
    plan::PlannedRule,
    target::process::{self, TaskKey},
};

/// How long a freeze is waited for at once; one that takes longer is confirmed later. Processes freeze
/// when they come back from the kernel, usually within microseconds.
const CONFIRMED_WITHIN: Duration = Duration::from_millis(20);

/// How often a frozen cgroup is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The state of one `proc.pause` fault.
#[derive(Debug)]
pub(super) struct Pauser {
    pause: Pause,
    /// The turn in which processes stand still now.
    turn: Option<u64>,
    /// What is to be undone at the end of the turn.
    changes: Vec<ChangeId>,
    /// Processes that had their chance in this turn.
    known: HashSet<TaskKey>,
    /// A cgroup that was told to freeze and has not said yet that it has.
    unconfirmed: Option<PathBuf>,
    pub(super) choice: Choice,
}

impl Pauser {
    pub(super) fn new(pause: Pause) -> Self {
        Self {
            pause,
            turn: None,
            changes: Vec::new(),
            known: HashSet::new(),
            unconfirmed: None,
            choice: Choice::default(),
        }
    }

    /// Does what is due.
    pub(super) fn act(
        &mut self,
        rule: &PlannedRule,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        let turn = schedule::turn(self.pause.pulse, moment.since);
        let is_new = turn != self.turn;
        if is_new {
            self.lift(record);
            self.turn = turn;
        }
        if turn.is_none() {
            return Ok(());
        }
        match moment.cgroup() {
            Some(directory) if is_new => self.freeze(rule, directory, moment, record)?,
            Some(_) => {}
            None => self.stop(rule, moment, record)?,
        }
        self.confirm();
        Ok(())
    }

    /// Lets everything go on.
    pub(super) fn lift(&mut self, record: &mut Record<'_>) {
        self.confirm();
        self.choice.counters.missed += u64::from(self.unconfirmed.take().is_some());
        for id in self.changes.drain(..).rev() {
            record.changes.undo(id, record.journal);
        }
        self.known.clear();
        self.turn = None;
    }

    fn freeze(
        &mut self,
        rule: &PlannedRule,
        directory: &Path,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        self.choice.counters.seen += 1;
        let holds_protected = moment
            .members()
            .into_iter()
            .any(|key| moment.is_protected(key));
        let file = directory.join("cgroup.freeze");
        if holds_protected
            || is_frozen_by_others(&file)
            || !self.choice.falls_on(&rule.compiled.rule, 0)
            || !moment.may_act()
        {
            return Ok(());
        }
        let Some(id) = record.changes.set_knob(&file, "1", record.journal)? else {
            return Ok(());
        };
        self.changes.push(id);
        self.unconfirmed = Some(directory.to_owned());
        let deadline = Instant::now() + CONFIRMED_WITHIN;
        while self.unconfirmed.is_some() && Instant::now() < deadline {
            self.confirm();
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Counts a freeze as a hit once the kernel says that all of the cgroup stands still.
    fn confirm(&mut self) {
        if let Some(directory) = &self.unconfirmed
            && is_frozen(directory)
        {
            self.choice.counters.hit_at(boot_ns());
            self.unconfirmed = None;
        }
    }

    /// Stops processes that were not considered in this turn. A process may be born while its parent is
    /// being stopped, so it is looked until nobody is new.
    fn stop(
        &mut self,
        rule: &PlannedRule,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        loop {
            let members = choice::in_order(moment.members());
            let fresh: Vec<TaskKey> = members
                .into_iter()
                .filter(|key| self.known.insert(*key))
                .collect();
            if fresh.is_empty() {
                return Ok(());
            }
            let mut chosen = Vec::new();
            let mut waiting = 0;
            for key in fresh {
                self.choice.counters.seen += 1;
                if moment.is_protected(key) || process::is_stopped(key.tgid) {
                    continue;
                }
                if self.choice.falls_on(&rule.compiled.rule, waiting) {
                    waiting += 1;
                    chosen.push(key);
                }
            }
            if chosen.is_empty() {
                return Ok(());
            }
            let may_go_on = || moment.may_act();
            let (id, hits) = record.changes.stop(&chosen, &may_go_on, record.journal)?;
            self.changes.push(id);
            self.choice.counters.hit += hits;
            if hits > 0 {
                self.choice.counters.last_hit_boot_ns = boot_ns();
            }
            self.choice.counters.missed += waiting - hits;
        }
    }
}

/// Whether it was told to freeze already.
fn is_frozen_by_others(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.trim() == "1")
}

/// Whether all of a cgroup stands still (`kernel/cgroup/freezer.c`, `cgroup_update_frozen`).
fn is_frozen(directory: &Path) -> bool {
    let events = fs::read_to_string(directory.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "frozen 1")
}
