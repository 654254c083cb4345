//! What a run does about its targets' comings and goings, as the roster tells them.

use super::{Armed, Run};
use crate::executor::roster::{Roster, Turn};
use injector_host::{kernel::clock::boot_ns, targets::ResolvedTarget};
use injector_record::{
    event::EventKind,
    journal::Record,
    report::{FaultReport, Outcome},
};
use injector_spec::{
    error::Refusal,
    experiment::{OnTargetExit, Target},
    quantity::duration::tenths,
};

impl Run<'_> {
    /// The roster of a run that was armed at this time on the boot clock.
    pub(super) fn roster(&self, armed_at: u64) -> Roster {
        Roster::begin(
            &self.request.experiment.targets,
            &self.request.targets,
            self.request.asked_by.1,
            self.request.admission.clone(),
            self.request.experiment.on_target_exit,
            armed_at,
        )
    }

    /// Sees who has ended and who is back, and lets faults follow. The outcome is that of a run that ends with its
    /// target.
    pub(super) fn look_after_targets(&mut self, armed: &mut Armed) -> Option<Outcome> {
        let now = boot_ns();
        let after_ms = armed.roster.after(now) / 1_000_000;
        let turns = {
            let (ground, targets) = (&armed.ground, &self.request.targets);
            let followed = |scope: usize| {
                let scope = u32::try_from(scope).unwrap_or(u32::MAX);
                let namespace = ground.of(scope);
                namespace.map_or(0, |one| one.members(scope, targets).len())
            };
            armed.roster.look(now, targets, &followed)
        };
        self.settle(armed, now);
        let mut outcome = None;
        for turn in turns {
            match turn {
                Turn::ProcessEnded { scope, pid } => {
                    let target = self.name_of(scope);
                    self.tell(EventKind::ProcessEnded {
                        target,
                        pid,
                        after_ms,
                    });
                }
                Turn::Ended { scope, how } => {
                    // What a fault of the run does to it says nothing of the target itself.
                    if !self.request.experiment.may_end(scope) {
                        armed.measures.target_ended(&self.name_of(scope), now);
                    }
                    let ended = self.ended(scope, how, armed.roster.after(now));
                    if armed.roster.on_exit() == OnTargetExit::End {
                        outcome.get_or_insert(ended);
                    }
                }
                Turn::Back { scope } => self.met(scope, after_ms),
                Turn::MadeAgain { scope, target } => {
                    self.meet_again(armed, scope, *target, now);
                }
                Turn::KeptOut { scope, why } => self.kept_out(scope, why, after_ms),
            }
        }
        outcome
    }

    fn ended(&mut self, scope: usize, how: &str, after: u64) -> Outcome {
        let target = self.name_of(scope);
        let words = Target::in_words(&target);
        let why = format!("{words} ended after {} ({how})", tenths(after));
        let after_ms = after / 1_000_000;
        self.note(&Record::TargetEnded {
            target: target.clone(),
            how: how.to_owned(),
            after_ms,
        });
        self.tell(EventKind::TargetEnded {
            target,
            how: how.to_owned(),
            after_ms,
        });
        Outcome::TargetEnded { why }
    }

    fn met(&mut self, scope: usize, after_ms: u64) {
        let target = self.name_of(scope);
        self.note(&Record::TargetMet {
            target: target.clone(),
            after_ms,
        });
        self.tell(EventKind::TargetMet { target, after_ms });
    }

    fn kept_out(&mut self, scope: usize, why: String, after_ms: u64) {
        let target = self.name_of(scope);
        self.note(&Record::TargetNotMet {
            target: target.clone(),
            why: why.clone(),
            after_ms,
        });
        self.tell(EventKind::TargetNotMet {
            target,
            why,
            after_ms,
        });
    }

    /// Lets all faults of a target follow it to the cgroup that it is now. Faults on processes and resets go by the
    /// target itself, from their next look.
    fn meet_again(&mut self, armed: &mut Armed, scope: usize, target: ResolvedTarget, now: u64) {
        let after_ms = armed.roster.after(now) / 1_000_000;
        match self.follow(armed, scope, &target) {
            Ok(()) => {
                armed.roster.met(scope, &target, now);
                self.request.targets[scope] = target;
                self.met(scope, after_ms);
            }
            // It is tried again, as long as it is there.
            Err(refusal) => {
                if armed.roster.unmet(scope, &refusal.message) {
                    self.kept_out(scope, refusal.message, after_ms);
                }
            }
        }
    }

    fn follow(
        &mut self,
        armed: &mut Armed,
        scope: usize,
        target: &ResolvedTarget,
    ) -> Result<(), Refusal> {
        let scope = u32::try_from(scope).unwrap_or(u32::MAX);
        self.each(armed, |effect, scene| effect.follow(scope, target, scene))
            .map(drop)
    }

    /// Looks once more at targets that have just come back.
    fn settle(&mut self, armed: &mut Armed, now: u64) {
        for scope in armed.roster.settling(now) {
            let scope = u32::try_from(scope).unwrap_or(u32::MAX);
            let _ = self.each(armed, |effect, scene| {
                effect.settle(scope, scene);
                Ok(())
            });
        }
    }

    fn name_of(&self, scope: usize) -> String {
        let target = self.request.experiment.targets.get(scope);
        target.map(|target| target.name.clone()).unwrap_or_default()
    }

    /// Puts on record what the report says too.
    fn note(&mut self, record: &Record) {
        self.journal.after(record);
    }
}

/// The reason of a fault that met nothing because no process was there.
pub(super) fn explain(armed: &Armed, target: usize, report: &mut FaultReport) {
    if let Some(since) = armed.roster.away_since(target)
        && report.hit == 0
        && report.seen == 0
    {
        report.note = Some(format!(
            "applied, but the target never met it: the target ended after {}",
            tenths(since)
        ));
    }
}
