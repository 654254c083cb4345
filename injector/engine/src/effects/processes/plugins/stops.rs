//! Plug-ins that stand still: those that are chosen at once are one change, with one record and one end.
//!
//! Invariants: no process is stopped whose stop has an end that is over, since the guardian may have let go of it by then; one that
//! another program has stopped is left out, so that it is not let go on in the end.

use std::{
    thread,
    time::{Duration, Instant},
};

use injector_common::rule::Counters;
use injector_host::{
    kernel::clock::boot_ns,
    targets::{
        plugins::{Newborn, Plugin},
        process::{self, TaskKey},
    },
};
use injector_spec::error::Refusal;

use super::{MOST_LOOKS, Plugger, born};
use crate::{
    changes::{Asked, ChangeId},
    effects::processes::{
        Record,
        moment::Moment,
        standing::{Standing, Subject},
    },
};

/// How long a stand is waited for at once; one that takes longer is seen later.
const SEEN_WITHIN: Duration = Duration::from_millis(20);

/// How often is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A stop that is to be undone.
#[derive(Debug)]
struct Stop {
    id: ChangeId,
    /// When, on the boot clock.
    until: u64,
    /// The plug-ins that stand by it: their roots, and what is looked at of each.
    held: Vec<(TaskKey, Subject)>,
}

/// All that stands by one fault.
#[derive(Debug, Default)]
pub(super) struct Stops {
    open: Vec<Stop>,
    standing: Standing,
}

impl Stops {
    /// Counts as hits what stands now and did not before.
    pub(super) fn see(&mut self, now: u64, counters: &mut Counters) {
        let seen = self.standing.look(now);
        for _ in 0..seen.stand {
            counters.hit_at(now);
        }
        counters.missed += seen.never;
    }

    /// How many were told to stand still and were not seen to do it yet.
    pub(super) fn unconfirmed(&self) -> u64 {
        self.standing.unconfirmed()
    }

    /// Ends it. Returns how many were never seen to stand.
    pub(super) fn end(&mut self) -> u64 {
        self.standing.end()
    }

    /// Who went on before its time.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        self.standing.remarks()
    }

    /// Waits a moment for what was just told to stand still.
    fn await_stand(&mut self, counters: &mut Counters) {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            self.see(boot_ns(), counters);
            if self.standing.unconfirmed() == 0 || Instant::now() >= deadline {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Plugger {
    /// Stops these plug-ins, and what they start meanwhile; they were looked at at the first time of the boot clock, and go on at
    /// the second.
    pub(super) fn stop(
        &mut self,
        plugins: &[Plugin],
        (looked, until): (u64, u64),
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        let mut held = Vec::new();
        let mut keys = Vec::new();
        for plugin in plugins {
            let members = plugin.members.iter().copied();
            let going: Vec<TaskKey> = members
                .filter(|key| !process::is_stopped(key.tgid))
                .collect();
            let speaks = going.contains(&plugin.speaker).then_some(plugin.speaker);
            let Some(seen) = speaks.or_else(|| going.last().copied()) else {
                continue;
            };
            held.push((plugin.root, Subject::Process(seen)));
            keys.extend(going);
        }
        if !self.stop_at_once(&keys, held, until, moment, record)? {
            return Ok(());
        }
        let mut hit = plugins.to_vec();
        for _ in 0..MOST_LOOKS {
            let mut fresh = Vec::new();
            let newborn = Newborn::since(looked);
            for plugin in &mut hit {
                let mut born = born(plugin, &newborn, moment);
                plugin.members.extend(&born);
                born.retain(|key| !process::is_stopped(key.tgid));
                fresh.extend(born);
            }
            if !self.stop_at_once(&fresh, Vec::new(), until, moment, record)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Stops these processes, as one change; false where there was nothing to stop, or none is to be stopped any more.
    fn stop_at_once(
        &mut self,
        keys: &[TaskKey],
        held: Vec<(TaskKey, Subject)>,
        until: u64,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<bool, Refusal> {
        if keys.is_empty() {
            return Ok(false);
        }
        // Asked before each signal: to put it on record may have taken time.
        let may_go_on = || moment.may_act() && boot_ns() < until;
        let asked = record.changes.stop(keys, until, &may_go_on, record.journal);
        match asked {
            Asked::Made(id) => {
                for (_, subject) in &held {
                    self.stops.standing.watch(subject.clone());
                }
                self.stops.open.push(Stop { id, until, held });
                self.stops.await_stand(&mut self.choice.counters);
                Ok(true)
            }
            Asked::AlreadySo => Ok(false),
            // The first that could not be put on record ends the run; a later one is left out.
            Asked::NotOnRecord(refusal) if self.choice.counters.hit == 0 => Err(refusal),
            Asked::NotOnRecord(_) => {
                self.choice.counters.missed += held.len() as u64;
                Ok(false)
            }
        }
    }

    /// Undoes the stops that are due at this time of the boot clock.
    pub(super) fn let_go_on(&mut self, record: &mut Record<'_>, now: u64) {
        let open = self.stops.open.drain(..);
        let (due, stay): (Vec<Stop>, Vec<Stop>) = open.partition(|stop| stop.until <= now);
        self.stops.open = stay;
        for stop in due {
            for (_, subject) in &stop.held {
                self.choice.counters.missed += self.stops.standing.let_go(subject);
            }
            record.changes.undo(stop.id, record.journal);
            for (root, _) in &stop.held {
                self.watch.let_go(*root, boot_ns());
            }
        }
    }
}
