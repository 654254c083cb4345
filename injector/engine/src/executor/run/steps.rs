//! Walks the steps of a run, and looks after everything that is armed meanwhile.

use std::{sync::mpsc::Receiver, time::Duration};

use injector_host::kernel::clock::boot_ns;
use injector_record::{event::EventKind, journal::Record, report::Outcome};
use injector_spec::{error::Refusal, quantity::duration::nanos};

use super::{Armed, Run};
use crate::{
    effects::Step,
    executor::{Order, ending::lapsed},
    gate::Waiting,
    halt_monitor::Breach,
    measures::Measures,
};

/// How often a run looks after its devices, sockets, events and watchdog.
const TICK: Duration = Duration::from_millis(50);

/// How often it tells how it stands.
const PROGRESS_EVERY: u64 = 250_000_000;

/// How often it looks for what no program saw coming, and counts the processes of its targets.
const KEEP_UP_EVERY: u64 = 1_000_000_000;

impl Run<'_> {
    pub(super) fn steps(
        &mut self,
        armed: &mut Armed,
        orders: &Receiver<Order>,
    ) -> Result<Outcome, Refusal> {
        let mut begins_at = armed.since;
        for index in 0..self.request.experiment.steps.len() {
            let step = &self.request.experiment.steps[index];
            let (name, duration) = (step.name.clone(), step.duration);
            let is_tried = self.request.experiment.tries(index);
            let is_command = is_tried && step.gate.is_some();
            let gate = step.gate.clone();
            let step = Step {
                index,
                began_at: begins_at,
                ends_at: begins_at.saturating_add(nanos(duration)),
            };
            begins_at = step.ends_at;
            if self.request.experiment.puts_right(index) {
                armed.measures.close(boot_ns(), &mut armed.ground);
                self.end_measures(&mut armed.measures);
            }
            if is_tried {
                self.keep_samples(armed);
                if let Some(why) = armed.measures.begin_faults() {
                    return Ok(Outcome::Unsteady { why });
                }
            }
            self.switch(armed, Some(step))?;
            self.journal
                .after(&Record::StepStarted { step: name.clone() });
            self.tell(EventKind::StepStarted { step: name.clone() });
            if is_command {
                armed.measures.acted();
            }
            let outcome = match gate {
                None => self.wait(armed, step, None, orders),
                Some(gate) => {
                    let outcome = self.wait_at(gate, &name, armed, step, orders)?;
                    // What follows begins when it was opened, and not when it would have been given up.
                    begins_at = boot_ns();
                    outcome
                }
            };
            let next = outcome.is_none().then_some(index + 1);
            self.undo(armed, next);
            self.switch(
                armed,
                next.and_then(|next| self.stays_on(next, step.ends_at)),
            )?;
            // What a command has changed stays, until another puts it right or the run is over.
            if is_tried && !is_command {
                armed.measures.lifted();
            }
            if is_tried {
                armed.measures.tried();
            }
            armed.spending.before = self.used_until(armed, index);
            self.count_by_rule(armed, index);
            self.journal
                .after(&Record::StepEnded { step: name.clone() });
            self.tell(EventKind::StepEnded { step: name });
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Completed)
    }

    /// Switches the faults of a step on, and all others off.
    pub(super) fn switch(&mut self, armed: &mut Armed, step: Option<Step>) -> Result<(), Refusal> {
        self.set(armed, step.map(Step::now))
    }

    /// Does what is due of a step's faults.
    pub(super) fn act(&mut self, armed: &mut Armed, step: Step) -> Result<(), Refusal> {
        self.each(armed, |effect, scene| effect.act(step, scene))
            .map(drop)
    }

    /// Takes in what has changed around the targets.
    fn keep_up(&mut self, armed: &mut Armed) {
        // None of these can refuse.
        let _ = self.each(armed, |effect, scene| {
            effect.keep_up(scene);
            Ok(())
        });
    }

    /// The step at this place, which begins then, where a fault stays on in it that was on before. It is switched to before
    /// the last one is counted, with no moment between in which none is on or in which what is over is on still.
    fn stays_on(&self, index: usize, began_at: u64) -> Option<Step> {
        let mut rules = self.request.plan.of_step(index);
        let length = self.request.experiment.steps.get(index)?.duration;
        rules.any(|rule| rule.step < index).then(|| Step {
            index,
            began_at,
            ends_at: began_at.saturating_add(nanos(length)),
        })
    }

    /// Puts back what faults have changed from this process, but for those that stay on in the step that follows.
    pub(super) fn undo(&mut self, armed: &mut Armed, next: Option<usize>) {
        let _ = self.each(armed, |effect, scene| {
            effect.undo(next, scene);
            Ok(())
        });
    }

    /// Tells of the single acts that wait to be told of.
    pub(super) fn drain(&mut self, armed: &mut Armed) {
        let _ = self.each(armed, |effect, scene| {
            effect.events(scene);
            Ok(())
        });
    }

    /// Takes over what the probes were answered and what targets did, and writes it down.
    fn keep_samples(&mut self, armed: &mut Armed) {
        armed.measures.watch(&mut armed.ground);
        for record in armed.measures.collect() {
            if let Record::Sampled { answers } = &record {
                self.tell(EventKind::Sampled {
                    answers: answers.clone(),
                });
            }
            if !self.journal.offer(&record) {
                armed.measures.left_out(&record);
            }
        }
    }

    /// Asks no more, and writes down what was answered last.
    pub(super) fn end_measures(&mut self, measures: &mut Measures) {
        if self.request.experiment.is_of_commands() {
            measures.lifted();
        }
        for record in measures.end() {
            if !self.journal.offer(&record) {
                measures.left_out(&record);
            }
        }
    }

    /// Waits for the end of a step and looks after everything meanwhile; `None` goes on.
    pub(super) fn wait(
        &mut self,
        armed: &mut Armed,
        step: Step,
        mut gate: Option<&mut Waiting>,
        orders: &Receiver<Order>,
    ) -> Option<Outcome> {
        let (mut keep_up_at, mut progress_at) = (0, 0);
        loop {
            let now = boot_ns();
            if let Some(outcome) = lapsed(&armed.watchdog) {
                return Some(outcome);
            }
            let mut effects = armed.effects.iter();
            if let Some(why) = effects.find_map(|effect| effect.broken(&armed.ground)) {
                return Some(Outcome::Failed { why: why.into() });
            }
            if now >= step.ends_at || gate.as_ref().is_some_and(|gate| gate.is_over()) {
                return None;
            }
            if let Some(outcome) = self.look_after_targets(armed) {
                return Some(outcome);
            }
            if let Some(why) = self.alone() {
                return Some(Outcome::Failed { why: why.into() });
            }
            if now >= keep_up_at {
                keep_up_at = now + KEEP_UP_EVERY;
                self.keep_up(armed);
                self.keep_samples(armed);
                let found = armed.ground.processes(&self.request.targets);
                if let Some(why) = armed.spending.processes(found) {
                    return Some(overspent(armed, why));
                }
            }
            if let Some(gate) = &mut gate {
                self.escalated(gate.escalated());
            }
            armed.measures.watch(&mut armed.ground);
            let used = self.used(armed, step.index);
            armed.measures.look(now, used.hits);
            armed.tell_first_hit();
            if let Some(why) = armed.spending.look(now, used) {
                return Some(overspent(armed, why));
            }
            if now >= progress_at {
                progress_at = now + PROGRESS_EVERY;
                self.count_by_rule(armed, step.index);
                self.tell_progress(armed, used, step.ends_at);
            }
            armed.tell_own_counts();
            if let Err(refusal) = self.act(armed, step) {
                return Some(Outcome::Failed {
                    why: refusal.message,
                });
            }
            self.drain(armed);
            let rest = TICK.min(Duration::from_nanos(step.ends_at - now));
            match self.hear(armed, step, orders, rest) {
                // The supervisor orders it too where another process is missing.
                Ok(Some(Order::Stop)) => {
                    return Some(
                        self.alone()
                            .map_or(Outcome::Stopped, |why| Outcome::Failed { why: why.into() }),
                    );
                }
                Ok(None) => {}
                Err(refusal) => {
                    return Some(Outcome::Failed {
                        why: refusal.message,
                    });
                }
            }
        }
    }

    /// Which process is missing without which the run must not go on.
    pub(super) fn alone(&self) -> Option<&'static str> {
        if !self.changes.has_guardian() {
            Some(
                "the guardian process (injector guard) has ended, which would undo this run's changes",
            )
        } else if !self.journal.has_recorder() {
            Some("the process that writes the journal (injector record) has ended")
        } else {
            None
        }
    }
}

/// Ends the leases for a limit of the host, before anything else is done.
fn overspent(armed: &Armed, why: String) -> Outcome {
    // A lease that cannot be ended now is tried again when the run disarms.
    let _ = armed.watchdog.breach(Breach {
        condition: String::new(),
        why: why.clone(),
        seen_boot_ns: boot_ns(),
    });
    Outcome::Halted { why }
}
