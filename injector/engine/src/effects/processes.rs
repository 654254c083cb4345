//! Faults on the processes of a target as wholes: signals, standing still, limits of their cgroup, and what is done to
//! their plug-ins.
//!
//! They are this process's own doing, from user space: nothing in the kernel asks the lease for them, so
//! it is asked here before each act. What outlives the process that does it (a freeze, a stop, a limit) is
//! one of the run's [`Changes`]: on disk before, undone at the end of its step, or by the process that finds
//! the journal, where the run did not come to that.
//!
//! Membership is looked up anew each time, and with it what must never be a target: a process that entered
//! the cgroup since then may be the caller's shell.

mod choice;
mod force;
mod kill;
mod moment;
mod pause;
mod plugins;
mod schedule;
mod standing;
mod starve;

use std::{cell::RefCell, collections::BTreeMap};

use injector_common::{rule::Counters, rule_id};

use self::moment::{Moment, Surroundings};
use super::{Effect, Scene, Step, StepTime, ground::Ground};
use crate::{admission::Admission, changes::Changes, recorder::RunJournal};
use injector_host::{
    kernel::clock::boot_ns,
    targets::{ResolvedTarget, guard::Guard},
};
use injector_plan::{Carrier, Plan, PlannedRule};
use injector_record::report::FaultReport;
use injector_spec::{error::Refusal, experiment::OnProcesses, quantity::duration::nanos};

/// The faults on processes of one run.
pub(super) struct Processes {
    guard: Guard,
    /// How plug-ins, which are no targets, are let in.
    admission: Admission,
    /// When each fault that is on began, on the boot clock, by the rule's place in the plan.
    began: BTreeMap<usize, u64>,
    /// By the rule's place in the plan.
    acting: BTreeMap<usize, Acting>,
}

/// The state of one fault.
enum Acting {
    Kill(kill::Killer),
    Pause(pause::Pauser),
    Starve(starve::Starver),
    Plugins(Box<plugins::Plugger>),
}

/// Where changes are made and written down.
struct Record<'r> {
    changes: &'r mut Changes,
    journal: &'r mut RunJournal,
}

impl Processes {
    /// The faults of a run that this process asked for, on these terms.
    pub(super) fn asked_by(caller: u32, admission: Admission) -> Self {
        Self {
            guard: Guard::new(caller),
            admission,
            began: BTreeMap::new(),
            acting: BTreeMap::new(),
        }
    }
}

impl Effect for Processes {
    /// A fault begins with its first act.
    fn set(&mut self, _: Option<StepTime>, _: &mut Scene<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    /// An act finds the processes that are there then.
    fn keep_up(&mut self, _: &mut Scene<'_>) {}

    fn act(&mut self, step: Step, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        let now = boot_ns();
        let (targets, experiment) = (scene.targets, scene.experiment);
        let ground = RefCell::new(&mut *scene.ground);
        let run = Surroundings {
            members: &|scope| ground.borrow().members(scope, targets),
            watchdog: scene.watchdog,
            beside: &|target, processes| self.admission.refusal_beside(target, processes),
            bar: &|rule| match (
                ground.borrow_mut().of_mut(rule.scope),
                rule.compiled.exec_deny,
            ) {
                (Some(namespace), Some(_)) => {
                    namespace.maps.mark_killed(rule_id(rule.scope, rule.slot))
                }
                (Some(_), None) | (None, _) => Ok(()),
            },
        };
        let mut record = Record {
            changes: scene.changes,
            journal: scene.journal,
        };
        for (index, rule) in scene.plan.carried_out_by(Carrier::Processes, step.index) {
            let (Some(target), Some(asked), Some(fault)) = (
                targets.get(rule.fault.target),
                experiment.targets.get(rule.fault.target),
                rule.fault.kind.on_processes(),
            ) else {
                continue;
            };
            let began = *self.began.entry(index).or_insert(now);
            let more = experiment.between(step.index, rule.last_step);
            let moment = Moment {
                since: now.saturating_sub(began),
                began,
                ends_at: step.ends_at.saturating_add(nanos(more)),
                scope: rule.scope,
                target,
                selector: &asked.selector,
                guard: &self.guard,
                run: &run,
            };
            if !moment.may_act() {
                return Ok(());
            }
            let acting = self
                .acting
                .entry(index)
                .or_insert_with(|| Acting::of(fault));
            acting.act(rule, &moment, &mut record)?;
        }
        self.acting.values_mut().for_each(Acting::look_on);
        Ok(())
    }

    /// An act finds the target as it is then.
    fn follow(&mut self, _: u32, _: &ResolvedTarget, _: &mut Scene<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn settle(&mut self, _: u32, _: &mut Scene<'_>) {}

    fn broken(&self, _: &Ground) -> Option<&'static str> {
        None
    }

    /// Everything that stands still goes on, and every limit is as it was.
    fn undo(&mut self, next: Option<usize>, scene: &mut Scene<'_>) {
        let rules = &scene.plan.rules;
        let stays_on = |index: &usize| {
            let rule = rules.get(*index);
            rule.zip(next).is_some_and(|(rule, next)| rule.is_on(next))
        };
        self.began.retain(|index, _| stays_on(index));
        let record = &mut Record {
            changes: scene.changes,
            journal: scene.journal,
        };
        let over = self.acting.iter_mut().rev();
        for (_, acting) in over.filter(|(index, _)| !stays_on(index)) {
            match acting {
                Acting::Kill(_) => {}
                Acting::Pause(pauser) => pauser.lift(record),
                Acting::Starve(starver) => starver.lift(record),
                Acting::Plugins(plugger) => plugger.lift(record),
            }
        }
        // Nothing is done any more, and what was not seen by now is not. No plug-in is looked for: that may take time.
        self.acting.values_mut().for_each(Acting::look_last);
    }

    /// An act is done when `act` returns.
    fn quiet(&mut self, _: &mut Scene<'_>) -> Vec<String> {
        Vec::new()
    }

    fn events(&mut self, _: &mut Scene<'_>) {}

    /// Starts of programs that were refused after a kill are counted by the programs that refused them.
    fn counters(&self, rule: usize, _: &Plan, _: &Ground) -> Counters {
        let acting = self.acting.get(&rule);
        acting.map(Acting::counters).unwrap_or_default()
    }

    fn own_hits(&self) -> u64 {
        self.acting.values().map(|one| one.counters().hit).sum()
    }

    /// By what it was done, where that says more than the plan.
    fn report(&self, rule: usize, report: &mut FaultReport) {
        match self.acting.get(&rule) {
            Some(Acting::Starve(starver)) => {
                if let Some(files) = starver.mechanism() {
                    report.mechanism = files;
                }
            }
            Some(Acting::Plugins(plugger)) => report.plugins = plugger.reaction().map(Box::new),
            Some(Acting::Kill(killer)) => report.plugins = killer.left_behind().map(Box::new),
            Some(Acting::Pause(_)) | None => {}
        }
    }

    /// What the faults achieved, where the counters do not say it.
    fn remarks(&self, plan: &Plan, _: &Ground) -> Vec<String> {
        let mut remarks = Vec::new();
        for (index, acting) in &self.acting {
            let Some(rule) = plan.rules.get(*index) else {
                continue;
            };
            let mut tell = |what| remarks.push(format!("{}: {what}", rule.fault.kind.name()));
            match acting {
                Acting::Kill(killer) => killer.remarks().for_each(&mut tell),
                Acting::Pause(pauser) => pauser.remarks().for_each(&mut tell),
                Acting::Starve(starver) => starver.remarks().for_each(&mut tell),
                Acting::Plugins(plugger) => plugger.remarks().for_each(&mut tell),
            }
        }
        remarks
    }
}

impl Acting {
    fn of(fault: OnProcesses<'_>) -> Self {
        match fault {
            OnProcesses::Kill(kill) => Self::Kill(kill::Killer::new(*kill)),
            OnProcesses::Pause(pause) => Self::Pause(pause::Pauser::new(*pause)),
            OnProcesses::Starve(starve) => Self::Starve(starve::Starver::new(starve.clone())),
            OnProcesses::Plugins(on) => Self::Plugins(Box::new(plugins::Plugger::new(on))),
        }
    }

    fn counters(&self) -> Counters {
        match self {
            Self::Kill(killer) => killer.choice.counters,
            Self::Pause(pauser) => pauser.choice.counters,
            Self::Starve(starver) => starver.counters,
            Self::Plugins(plugger) => plugger.counters(),
        }
    }

    /// Sees what has become of plug-ins, whether or not its fault is on.
    fn look_on(&mut self) {
        match self {
            Self::Kill(killer) => killer.look_on(),
            Self::Plugins(plugger) => plugger.look_on(),
            Self::Pause(_) | Self::Starve(_) => {}
        }
    }

    /// The same at the end of a step, of those that are known.
    fn look_last(&mut self) {
        match self {
            Self::Kill(killer) => killer.look_last(),
            Self::Plugins(plugger) => plugger.look_last(),
            Self::Pause(_) | Self::Starve(_) => {}
        }
    }

    fn act(
        &mut self,
        rule: &PlannedRule,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        match (self, &moment.target.cgroup) {
            (Self::Kill(killer), _) => killer.act(rule, moment)?,
            (Self::Pause(pauser), _) => pauser.act(rule, moment, record)?,
            (Self::Plugins(plugger), _) => plugger.act(rule, moment, record)?,
            (Self::Starve(starver), Some(cgroup)) => starver.act(cgroup, moment, record)?,
            // The experiment's check lets only whole cgroups be starved.
            (Self::Starve(_), None) => {}
        }
        Ok(())
    }
}
