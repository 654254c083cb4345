//! Lets the processes of a target stand still, all the time or in turns, and go on again.
//!
//! A whole cgroup is frozen. Processes that share theirs with bystanders are stopped one by one; those
//! that another process has stopped before are left alone, then and at the end. A hit is what was seen to
//! stand ([`super::standing`]), and each look sees whether it still does.
//!
//! A cgroup that was made again (the executor's roster) is another one to freeze: the turn begins
//! anew for it.

use std::{collections::HashSet, fs, path::Path};

use super::{
    Record,
    choice::{self, Choice},
    moment::Moment,
    schedule,
    standing::{Standing, Subject},
};
use crate::changes::{Asked, ChangeId};
use injector_host::{
    kernel::clock::boot_ns,
    targets::{
        cgroup::Cgroup,
        process::{self, TaskKey},
    },
};
use injector_plan::PlannedRule;
use injector_spec::{error::Refusal, experiment::Pause};

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
    /// The cgroup that had its chance in this turn, by its id.
    cgroup: Option<u64>,
    standing: Standing,
    pub(super) choice: Choice,
}

impl Pauser {
    pub(super) fn new(pause: Pause) -> Self {
        Self {
            pause,
            turn: None,
            changes: Vec::new(),
            known: HashSet::new(),
            cgroup: None,
            standing: Standing::default(),
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
        self.standing.look(boot_ns(), &mut self.choice.counters);
        match &moment.target.cgroup {
            Some(cgroup) if self.cgroup == Some(cgroup.id) => {}
            // It is away; the roster says when it is back.
            Some(cgroup) if !cgroup.is_there() => {}
            Some(cgroup) => self.freeze(rule, cgroup, moment, record)?,
            None => self.stop(rule, moment, record)?,
        }
        Ok(())
    }

    /// Lets everything go on.
    pub(super) fn lift(&mut self, record: &mut Record<'_>) {
        self.standing.look(boot_ns(), &mut self.choice.counters);
        for id in self.changes.drain(..).rev() {
            record.changes.undo(id, record.journal);
        }
        self.choice.counters.missed += self.standing.end();
        self.known.clear();
        self.cgroup = None;
        self.turn = None;
    }

    /// Who went on before its time.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        self.standing.remarks()
    }

    /// When what begins now is to be over, on the boot clock.
    fn ends_at(&self, moment: &Moment<'_>) -> u64 {
        match schedule::end_of_turn(self.pause.pulse, moment.since) {
            Some(end) => moment.began.saturating_add(end).min(moment.ends_at),
            None => moment.ends_at,
        }
    }

    /// The change, where it was made. A first turn that could not be put on record ends the run; a later one is left
    /// out, as one is that comes too late, and its processes are counted as missed.
    fn made(&self, asked: Asked) -> Result<Option<ChangeId>, Refusal> {
        match asked {
            Asked::Made(id) => Ok(Some(id)),
            Asked::NotOnRecord(refusal) if self.turn == Some(1) => Err(refusal),
            Asked::AlreadySo | Asked::NotOnRecord(_) | Asked::TooLate => Ok(None),
        }
    }

    fn freeze(
        &mut self,
        rule: &PlannedRule,
        cgroup: &Cgroup,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        self.cgroup = Some(cgroup.id);
        self.choice.counters.seen += 1;
        let holds_protected = moment
            .members()
            .into_iter()
            .any(|key| moment.is_protected(key));
        let file = cgroup.directory.join("cgroup.freeze");
        if holds_protected
            || is_frozen_by_others(&file)
            || !self.choice.falls_on(&rule.compiled.rule, 0)
            || !moment.may_act()
        {
            return Ok(());
        }
        let until = self.ends_at(moment);
        let asked = match record
            .changes
            .set_cgroup_file(&file, "1", until, record.journal)
        {
            // It was removed in this moment.
            Err(_) if !cgroup.is_there() => Asked::AlreadySo,
            asked => asked?,
        };
        let was_left_out = matches!(asked, Asked::NotOnRecord(_) | Asked::TooLate);
        let Some(id) = self.made(asked)? else {
            self.choice.counters.missed += u64::from(was_left_out);
            return Ok(());
        };
        self.changes.push(id);
        self.standing.watch(Subject::Cgroup(cgroup.clone()));
        self.standing.await_stand(&mut self.choice.counters);
        Ok(())
    }

    /// Stops processes that were not considered in this turn. A process may be born while its parent is
    /// being stopped, so the look is repeated until it finds no new process.
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
            // Those that were told and do not stand yet count for the budget.
            let mut waiting = self.standing.unconfirmed();
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
            let until = self.ends_at(moment);
            let asked = record
                .changes
                .stop(&chosen, until, &may_go_on, record.journal);
            let was_left_out = matches!(asked, Asked::NotOnRecord(_) | Asked::TooLate);
            self.changes.extend(self.made(asked)?);
            if was_left_out {
                self.choice.counters.missed += chosen.len() as u64;
                return Ok(());
            }
            for key in chosen {
                self.standing.watch(Subject::Process(key));
            }
            self.standing.await_stand(&mut self.choice.counters);
        }
    }
}

/// Whether it was told to freeze already.
fn is_frozen_by_others(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.trim() == "1")
}
