//! The invariants of an experiment, checked at every door.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use super::{
    ActsOn, CallFaultError, Experiment, Fault, FilterError, Flaw, Gate, GateError, HeadError,
    LONGEST, LONGEST_NAME, MOST_CONDITIONS, MOST_STEPS, Many, ProcessFaultError, RampError,
    RollbackError, SCOPES, SLOTS, Selector, SignError, StageError, SteadyStateError, Target,
    TimingError, ToolCallError, rollback,
};
use crate::{
    condition::Condition,
    escalation::{EscalationError, EscalationStep},
    pattern,
    quantity::{count, duration},
};

/// The shortest step: below it, arming takes longer than the step.
const SHORTEST: Duration = Duration::from_millis(1);

/// Why an experiment cannot be run anywhere.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum CheckError {
    #[error("the experiment has no name; give it one")]
    NoName,
    #[error("{0} has more than {LONGEST_NAME} characters; give it a shorter one")]
    LongName(&'static str),
    #[error("the experiment has no target; name at least one under `targets`")]
    NoTarget,
    #[error("the experiment has {0} targets; one run has at most {SCOPES}, so split it")]
    TooManyTargets(usize),
    #[error("two targets are called `{0}`; give each a name of its own")]
    SameName(String),
    #[error("target `{0}` selects nothing; give it a pid, cgroup, unit, container or process")]
    EmptySelector(String),
    #[error(
        "target `{target}`: `{pattern}` is not a regular expression: {why}; correct it, or escape it"
    )]
    Pattern {
        target: String,
        pattern: String,
        why: String,
    },
    #[error(
        "target `{0}` picks of one process; add `all: true`, so that it picks of all that match, or leave `pick` out"
    )]
    PickOfOne(String),
    #[error("target `{target}` picks {picked} of {}; pick at most so many", count(*.of, "process", "processes"))]
    PickOfFewer {
        target: String,
        picked: usize,
        of: usize,
    },
    #[error("the experiment has no step; give it at least one")]
    NoStep,
    #[error("the experiment has {0} steps; leave at most {MOST_STEPS}, or split it")]
    TooManySteps(usize),
    #[error("step `{0}` is a gate and has faults; give them a step of their own behind it")]
    GateWithFaults(String),
    #[error(
        "a fault of step `{step}` stays on for {stays_on} more steps, which are not there or of which one is a gate; let \
         it end before"
    )]
    StaysOn { step: String, stays_on: usize },
    /// A step whose command is none.
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error("no step of the experiment has a fault or a command; give at least one step a fault")]
    NoFault,
    #[error("step `{step}` lasts {}; a step lasts between 1ms and {}",
        duration::format(*.lasts), duration::format(LONGEST))]
    Duration { step: String, lasts: Duration },
    #[error("a fault of step `{step}` is for target number {target}, which does not exist")]
    NoSuchTarget { step: String, target: usize },
    #[error("target `{0}` has more than {SLOTS} faults over all steps; split the experiment")]
    TooManyFaults(String),
    #[error("`{0}` has nothing to do: {1}")]
    Pointless(&'static str, &'static str),
    /// Filters that let nothing through.
    #[error(transparent)]
    Filters(#[from] FilterError),
    /// A fault that has no effect in its step.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// More threads than a run should have.
    #[error("the experiment has {0} halt conditions; leave at most {MOST_CONDITIONS}")]
    TooManyConditions(usize),
    /// A fault on processes.
    #[error(transparent)]
    Process(#[from] ProcessFaultError),
    #[error(transparent)]
    Call(#[from] CallFaultError),
    /// A fault on calls of tools.
    #[error(transparent)]
    Tools(#[from] ToolCallError),
    /// A parameter that cannot move as asked.
    #[error(transparent)]
    Ramp(#[from] RampError),
    /// Labels, owner or variables.
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Probes that could not judge.
    #[error(transparent)]
    SteadyState(#[from] SteadyStateError),
    #[error(transparent)]
    Escalation(#[from] EscalationError),
    #[error("`notify` names `{0}` twice; leave one of them")]
    NotifiedTwice(&'static str),
    #[error("`fail-on` names `{0}` twice; leave one of them")]
    FailsOnTwice(&'static str),
    #[error(
        "`fail-on` names `{}`, which a target shows by {}{}, and the experiment has none of them; add one, or leave the name out",
        .0.name(),
        .0.shown_by(),
        .0.shown_at_the_end_by()
    )]
    FailsOnUnseen(Flaw),
    #[error(
        "the halt condition `{}` is about what a target shows by {}, and the experiment has none of them; add one, or leave the condition out",
        .0.name(),
        .0.shown_by()
    )]
    HaltsOnUnseen(Flaw),
    #[error(
        "`fail-on` names `silent`, and no `handoff` says how a target hands over; add it, or leave the name out"
    )]
    NoHandoff,
    #[error(
        "`fail-on` names `false-success`, and no `success` says what it is; add it, or leave the name out"
    )]
    NoSuccess,
    #[error(
        "`handoff` is about tasks that an `llm` or `tool` fault makes fail, and the experiment has none; add one, or leave it out"
    )]
    NothingToHandOver,
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Commands that could not be run, or for too long.
    #[error(transparent)]
    Rollback(#[from] RollbackError),
}

impl Experiment {
    /// Checks what the types alone do not say.
    pub fn check(&self) -> Result<(), CheckError> {
        if self.name.trim().is_empty() {
            return Err(CheckError::NoName);
        }
        check_name("the name of the experiment", &self.name)?;
        self.check_head()?;
        if let Some(stage) = &self.stage {
            stage.check()?;
        }
        self.check_targets()?;
        if self.steps.is_empty() {
            return Err(CheckError::NoStep);
        }
        if self.steps.len() > MOST_STEPS {
            return Err(CheckError::TooManySteps(self.steps.len()));
        }
        if self.faults().next().is_none() && !self.is_of_commands() {
            return Err(CheckError::NoFault);
        }
        for step in &self.steps {
            check_name("the name of a step", &step.name)?;
            if let Some(gate) = &step.gate {
                if !step.faults.is_empty() {
                    return Err(CheckError::GateWithFaults(step.name.clone()));
                }
                gate.check()?;
            }
            if !(SHORTEST..=LONGEST).contains(&step.duration) {
                return Err(CheckError::Duration {
                    step: step.name.clone(),
                    lasts: step.duration,
                });
            }
        }
        if self.halt.len() > MOST_CONDITIONS {
            return Err(CheckError::TooManyConditions(self.halt.len()));
        }
        if let Some(steady_state) = &self.steady_state {
            steady_state.check(self)?;
        }
        rollback::check(&self.rollback)?;
        for (index, channel) in self.notify.iter().enumerate() {
            if self.notify[..index].contains(channel) {
                return Err(CheckError::NotifiedTwice(channel.name()));
            }
        }
        for (index, flaw) in self.fail_on.iter().enumerate() {
            if self.fail_on[..index].contains(flaw) {
                return Err(CheckError::FailsOnTwice(flaw.name()));
            }
        }
        let steady = self.steady_state.as_ref();
        let is_kept = steady.is_some_and(|steady| !steady.ledgers.is_empty());
        let is_unseen = |flaw: &&Flaw| match flaw {
            // What they need is checked below.
            Flaw::Silent | Flaw::FalseSuccess => false,
            Flaw::DuplicateEffect => !(self.shows(**flaw) || is_kept),
            Flaw::IgnoredRetryAfter
            | Flaw::RetryStorm
            | Flaw::NoProgress
            | Flaw::Hung
            | Flaw::AcceptedTruncation
            | Flaw::DeathUnnoticed
            | Flaw::Orphans
            | Flaw::GaveUp => !self.shows(**flaw),
        };
        if let Some(flaw) = self.fail_on.iter().find(is_unseen) {
            return Err(CheckError::FailsOnUnseen(*flaw));
        }
        self.check_signs()?;
        EscalationStep::check(&self.escalate)?;
        let mut faults = vec![0; self.targets.len()];
        for (index, step, fault) in self.placed() {
            let behind = self.steps.iter().skip(index + 1).take(fault.stays_on);
            if behind.filter(|step| step.gate.is_none()).count() < fault.stays_on {
                return Err(CheckError::StaysOn {
                    step: step.name.clone(),
                    stays_on: fault.stays_on,
                });
            }
            let on = self.span(index, fault).on;
            fault.check_in(on)?;
            fault.check_ramps(on)?;
            let count = faults
                .get_mut(fault.target)
                .ok_or_else(|| CheckError::NoSuchTarget {
                    step: step.name.clone(),
                    target: fault.target,
                })?;
            *count += 1;
            if *count > SLOTS {
                return Err(CheckError::TooManyFaults(
                    self.targets[fault.target].name.clone(),
                ));
            }
            fault.check()?;
            fault.check_on(&self.targets[fault.target])?;
        }
        Ok(())
    }

    /// Checks what tells of a handoff and of success, and that what rests on them has them.
    fn check_signs(&self) -> Result<(), CheckError> {
        let fails_on = |flaw| self.fail_on.contains(&flaw);
        if self.handoff().is_none() && fails_on(Flaw::Silent) {
            return Err(CheckError::NoHandoff);
        }
        if self.success().is_none() && fails_on(Flaw::FalseSuccess) {
            return Err(CheckError::NoSuccess);
        }
        let mut kinds = self.faults().map(|(_, fault)| &fault.kind);
        if self.handoff().is_some() && !kinds.any(|kind| kind.on_requests().is_some()) {
            return Err(CheckError::NothingToHandOver);
        }
        let mut on_requests = self.faults().map(|(_, fault)| fault);
        let is_hidden = on_requests.any(|fault| {
            let mut signs = self.signs();
            fault.kind.on_requests().is_some() && signs.any(|one| one.is_hidden_by(&fault.traffic))
        });
        if is_hidden {
            return Err(SignError::Hidden.into());
        }
        match self.success() {
            Some(success) => {
                let gates = self.steps.iter().filter_map(|step| step.gate.as_ref());
                let runs = gates.filter(|gate| matches!(gate, Gate::Run(_))).count();
                Ok(success.check(runs)?)
            }
            None => Ok(()),
        }
    }

    /// Whether a target could show this flaw, by what one of the faults does to it.
    fn shows(&self, flaw: Flaw) -> bool {
        let mut faults = self.faults();
        faults.any(|(_, fault)| fault.kind.shows().contains(&flaw))
    }

    /// Checks that each flaw on which it halts can be shown. It is no part of [`Self::check`]: a host's own conditions are for all
    /// runs, and stand beside those of the experiment once it is bound.
    pub fn check_halts_on(&self) -> Result<(), CheckError> {
        let halts_on = self.halt.iter().filter_map(|condition| match condition {
            Condition::Shows(flaw) => Some(*flaw),
            Condition::Pressure(_)
            | Condition::Load(_)
            | Condition::Lives { .. }
            | Condition::Rate { .. }
            | Condition::Clock(_)
            | Condition::Probe(_) => None,
        });
        match halts_on.into_iter().find(|flaw| !self.shows(*flaw)) {
            Some(flaw) => Err(CheckError::HaltsOnUnseen(flaw)),
            None => Ok(()),
        }
    }

    /// Takes out conditions on flaws that none of the faults could show: those of a host are bound to each of its runs, and a
    /// record of one has them all.
    pub fn leave_out_unseen_halts(&mut self) {
        let mut halt = std::mem::take(&mut self.halt);
        halt.retain(|condition| match condition {
            Condition::Shows(flaw) => self.shows(*flaw),
            Condition::Pressure(_)
            | Condition::Load(_)
            | Condition::Lives { .. }
            | Condition::Rate { .. }
            | Condition::Clock(_)
            | Condition::Probe(_) => true,
        });
        self.halt = halt;
    }

    fn check_targets(&self) -> Result<(), CheckError> {
        if self.targets.is_empty() && !self.is_of_commands() {
            return Err(CheckError::NoTarget);
        }
        if self.targets.len() > SCOPES {
            return Err(CheckError::TooManyTargets(self.targets.len()));
        }
        let mut names = HashSet::new();
        for target in &self.targets {
            if !names.insert(&target.name) {
                return Err(CheckError::SameName(target.name.clone()));
            }
            target.check()?;
        }
        Ok(())
    }
}

impl Target {
    pub(crate) fn check(&self) -> Result<(), CheckError> {
        let is_empty = match &self.selector {
            Selector::Pids { pids, .. } => pids.is_empty(),
            Selector::Cgroup(path) => path.as_os_str().is_empty(),
            Selector::Unit(name) => name.is_empty(),
            Selector::Container(id) => id.is_empty(),
            // An empty pattern matches every process there is.
            Selector::Process { pattern, .. } => pattern.is_empty(),
        };
        check_name("the name of a target", &self.name)?;
        if is_empty || self.name.is_empty() {
            return Err(CheckError::EmptySelector(self.name.clone()));
        }
        if let Selector::Process { pattern: text, .. } = &self.selector
            && let Some(why) = pattern::why_not(text)
        {
            let (target, pattern) = (self.name.clone(), text.clone());
            return Err(CheckError::Pattern {
                target,
                pattern,
                why,
            });
        }
        self.check_pick()
    }

    fn check_pick(&self) -> Result<(), CheckError> {
        let target = || self.name.clone();
        match &self.selector {
            Selector::Pids {
                pids,
                pick: Some(pick),
                ..
            } => {
                let of = pids.iter().collect::<BTreeSet<_>>().len();
                let picked = pick.portion.of(of);
                let target = target();
                if picked > of {
                    return Err(CheckError::PickOfFewer { target, picked, of });
                }
            }
            Selector::Process {
                many: Many::ExactlyOne,
                pick: Some(_),
                ..
            } => return Err(CheckError::PickOfOne(target())),
            Selector::Pids { .. }
            | Selector::Process { .. }
            | Selector::Cgroup(_)
            | Selector::Unit(_)
            | Selector::Container(_) => {}
        }
        Ok(())
    }
}

impl Fault {
    pub(crate) fn check(&self) -> Result<(), CheckError> {
        self.kind.definition().check()?;
        if let ActsOn::Calls(on_calls, about) = self.kind.acts_on() {
            on_calls.calls().check_about(about)?;
            on_calls.calls().check_filters()?;
        }
        Ok(self.check_filters()?)
    }

    /// Checks what hangs on how the target is chosen.
    pub(super) fn check_on(&self, target: &Target) -> Result<(), CheckError> {
        self.kind.definition().check_on(target)
    }
}

/// Names stand in lists, reports and journals, again and again.
fn check_name(whose: &'static str, name: &str) -> Result<(), CheckError> {
    if name.chars().count() > LONGEST_NAME {
        return Err(CheckError::LongName(whose));
    }
    Ok(())
}
