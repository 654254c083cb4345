//! Plug-ins that stand still: those that are chosen at once are one change, with one record and one end.
//!
//! Invariants: no process is stopped whose stop has an end that is over, which [`crate::changes::Changes::stop`] asks; one that
//! another program has stopped is left out, so that it is not let go on in the end.

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

/// A stop that is to be undone.
#[derive(Debug)]
struct Stop {
    id: ChangeId,
    /// When, on the boot clock.
    until: u64,
    /// The plug-ins that stand by it: their roots, and what is looked at of each.
    held: Vec<(TaskKey, Subject)>,
}

/// What came of a stop that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// They were told to stand still; what they have started meanwhile is to be looked for.
    Told,
    /// There was none that went on.
    NoneWent,
    /// They were left out: it could not be put on record, or it was too late.
    LeftOut,
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
        self.standing.look(now, counters);
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
        let mut stopped = self.stop_at_once(&keys, held, until, moment, record)?;
        let mut hit = plugins.to_vec();
        for _ in 0..MOST_LOOKS {
            match stopped {
                Stopped::Told => {}
                Stopped::NoneWent | Stopped::LeftOut => return Ok(()),
            }
            let mut fresh = Vec::new();
            let newborn = Newborn::since(looked);
            for plugin in &mut hit {
                let mut born = born(plugin, &newborn, moment);
                plugin.members.extend(&born);
                born.retain(|key| !process::is_stopped(key.tgid));
                fresh.extend(born);
            }
            stopped = self.stop_at_once(&fresh, Vec::new(), until, moment, record)?;
        }
        Ok(())
    }

    /// Stops these processes, as one change.
    fn stop_at_once(
        &mut self,
        keys: &[TaskKey],
        held: Vec<(TaskKey, Subject)>,
        until: u64,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<Stopped, Refusal> {
        if keys.is_empty() {
            return Ok(Stopped::NoneWent);
        }
        let may_go_on = || moment.may_act();
        let asked = record.changes.stop(keys, until, &may_go_on, record.journal);
        match asked {
            Asked::Made(id) => {
                for (_, subject) in &held {
                    self.stops.standing.watch(subject.clone());
                }
                self.stops.open.push(Stop { id, until, held });
                self.stops.standing.await_stand(&mut self.choice.counters);
                Ok(Stopped::Told)
            }
            Asked::AlreadySo => Ok(Stopped::NoneWent),
            // The first that could not be put on record ends the run; a later one is left out.
            Asked::NotOnRecord(refusal) if self.choice.counters.hit == 0 => Err(refusal),
            Asked::NotOnRecord(_) | Asked::TooLate => {
                self.choice.counters.missed += held.len() as u64;
                Ok(Stopped::LeftOut)
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
