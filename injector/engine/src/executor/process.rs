//! Faults on the processes of a target as wholes: signals, standing still, limits of their cgroup.
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
mod pause;
mod schedule;
mod standing;
mod starve;

use std::collections::BTreeMap;

use injector_common::rule::Counters;

use super::changes::Changes;
use crate::{recorder::RunJournal, watchdog::Watchdog};
use injector_host::{
    kernel::Error,
    targets::{
        ResolvedTarget,
        guard::Guard,
        process::{self, TaskKey},
    },
};
use injector_plan::{Plan, PlannedRule};
use injector_spec::{
    error::Refusal,
    experiment::{FaultKind, Many, Selector},
};

/// The faults on processes of one run.
pub(super) struct ProcessFaults {
    guard: Guard,
    /// The step that goes on, and when it began, on the boot clock.
    step: Option<(usize, u64)>,
    /// By the rule's place in the plan.
    acting: BTreeMap<usize, Acting>,
}

/// The state of one fault.
enum Acting {
    Kill(kill::Killer),
    Pause(pause::Pauser),
    Starve(starve::Starver),
}

/// Where changes are made and written down.
pub(super) struct Record<'r> {
    pub(super) changes: &'r mut Changes,
    pub(super) journal: &'r mut RunJournal,
}

/// What a fault is to know of the run as it is now.
pub(super) struct Surroundings<'r> {
    pub(super) plan: &'r Plan,
    pub(super) selectors: &'r [&'r Selector],
    pub(super) targets: &'r [ResolvedTarget],
    /// The processes of a scope as they are now.
    pub(super) members: &'r dyn Fn(u32) -> Vec<TaskKey>,
    /// Knows whether the lease is live.
    pub(super) watchdog: &'r Watchdog,
    /// Lets no process start a program in the rule's target from now on, where the rule says so.
    pub(super) bar: &'r dyn Fn(&PlannedRule) -> Result<(), Error>,
}

impl ProcessFaults {
    /// The faults of a run that this process asked for.
    pub(super) fn asked_by(caller: u32) -> Self {
        Self {
            guard: Guard::new(caller),
            step: None,
            acting: BTreeMap::new(),
        }
    }

    /// Does what is due in a step that ends at `ends_at`; this and `now` are on the boot clock, in nanoseconds. The
    /// first call of a step is its beginning.
    pub(super) fn act(
        &mut self,
        step: usize,
        now: u64,
        ends_at: u64,
        run: &Surroundings<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        let began = match self.step {
            Some((current, began)) if current == step => began,
            _ => now,
        };
        self.step = Some((step, began));
        let rules = run.plan.rules.iter().enumerate();
        for (index, rule) in rules.filter(|(_, rule)| rule.step == step) {
            let Some(fresh) = Acting::of(&rule.fault.kind) else {
                continue;
            };
            let (Some(target), Some(selector)) = (
                run.targets.get(rule.fault.target),
                run.selectors.get(rule.fault.target),
            ) else {
                continue;
            };
            let moment = Moment {
                since: now.saturating_sub(began),
                began,
                ends_at,
                scope: rule.scope,
                target,
                selector,
                guard: &self.guard,
                run,
            };
            if !moment.may_act() {
                return Ok(());
            }
            let acting = self.acting.entry(index).or_insert(fresh);
            acting.act(rule, &moment, record)?;
        }
        Ok(())
    }

    /// Ends the step: everything that stands still goes on, every limit is as it was.
    pub(super) fn lift(&mut self, record: &mut Record<'_>) {
        self.step = None;
        for acting in self.acting.values_mut().rev() {
            match acting {
                Acting::Kill(_) => {}
                Acting::Pause(pauser) => pauser.lift(record),
                Acting::Starve(starver) => starver.lift(record),
            }
        }
    }

    /// What the fault at this place of the plan has done, if it is one on processes; `in_kernel` is what
    /// programs have done for it.
    pub(super) fn counters(&self, index: usize, in_kernel: Counters) -> Option<Counters> {
        Some(match self.acting.get(&index)? {
            // Starts of programs that were refused.
            Acting::Kill(killer) => killer.choice.counters.add(in_kernel),
            Acting::Pause(pauser) => pauser.choice.counters,
            Acting::Starve(starver) => starver.counters,
        })
    }

    /// What the faults achieved, where the counters do not say it.
    pub(super) fn remarks(&self, plan: &Plan) -> Vec<String> {
        let mut remarks = Vec::new();
        for (index, acting) in &self.acting {
            let Some(rule) = plan.rules.get(*index) else {
                continue;
            };
            let mut tell = |what| remarks.push(format!("{}: {what}", rule.fault.kind.name()));
            match acting {
                Acting::Kill(_) => {}
                Acting::Pause(pauser) => pauser.remarks().for_each(&mut tell),
                Acting::Starve(starver) => starver.remarks().for_each(&mut tell),
            }
        }
        remarks
    }

    /// By what it was done, where that says more than the plan.
    pub(super) fn mechanism(&self, index: usize) -> Option<String> {
        match self.acting.get(&index)? {
            Acting::Starve(starver) => starver.mechanism(),
            Acting::Kill(_) | Acting::Pause(_) => None,
        }
    }
}

impl Acting {
    fn of(kind: &FaultKind) -> Option<Self> {
        match kind {
            FaultKind::Kill(kill) => Some(Self::Kill(kill::Killer::new(*kill))),
            FaultKind::Pause(pause) => Some(Self::Pause(pause::Pauser::new(*pause))),
            FaultKind::Starve(starve) => Some(Self::Starve(starve::Starver::new(starve.clone()))),
            _ => None,
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
            (Self::Starve(starver), Some(cgroup)) => starver.act(cgroup, moment, record)?,
            // The experiment's check lets only whole cgroups be starved.
            (Self::Starve(_), None) => {}
        }
        Ok(())
    }
}

/// One look at one fault's target.
struct Moment<'r> {
    /// Since the fault began, in nanoseconds.
    since: u64,
    /// When it began, on the boot clock.
    began: u64,
    /// When its step ends, on the boot clock.
    ends_at: u64,
    scope: u32,
    target: &'r ResolvedTarget,
    selector: &'r Selector,
    guard: &'r Guard,
    run: &'r Surroundings<'r>,
}

impl Moment<'_> {
    /// The processes of the target as they are now.
    fn members(&self) -> Vec<TaskKey> {
        let mut members = (self.run.members)(self.scope);
        if self.target.cgroup.is_none() {
            // Those that were chosen by process stay on the list when they have ended.
            members.retain(TaskKey::is_alive);
        }
        members
    }

    /// The same, and those that match the target's pattern now. Where one process was meant, several new
    /// ones at once are not it.
    fn members_and_matches(&self) -> Vec<TaskKey> {
        let mut members = self.members();
        let Selector::Process { pattern, many, .. } = self.selector else {
            return members;
        };
        let found = process::matching(pattern, self.guard.protected()).unwrap_or_default();
        let matches: Vec<TaskKey> = found
            .into_iter()
            .filter_map(|pid| TaskKey::of(pid).ok())
            .filter(|key| !members.contains(key))
            .collect();
        if *many == Many::All || matches.len() == 1 {
            members.extend(matches);
        }
        members
    }

    /// Whether the process is never a target. One that has ended is no target either.
    fn is_protected(&self, key: TaskKey) -> bool {
        process::info(key.tgid).map_or(true, |info| self.guard.reason(&info).is_some())
    }

    /// Whether anything may be done still.
    fn may_act(&self) -> bool {
        self.run.watchdog.is_live()
    }
}
