//! From an experiment to something that can be carried out on this host, or a refusal: targets are
//! resolved, names looked up, rules planned, mechanisms probed. Nothing is touched.

mod running;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    error::Refusal,
    experiment::{Experiment, FaultKind},
    kernel::capability,
    plan::{Names, Need, Plan},
    target::{self, ResolvedTarget, controller, guard::Guard, overlap},
};

/// An experiment that could be carried out now.
#[derive(Debug)]
pub struct Prepared {
    /// The targets, in the experiment's order.
    pub targets: Vec<ResolvedTarget>,
    /// How it would be done.
    pub plan: Plan,
}

/// What a dry run found out.
#[derive(Debug)]
pub struct DryRun {
    /// The plan, for people.
    pub text: String,
    /// The refusal that a run would meet now.
    pub refusal: Option<Refusal>,
}

/// Prepares an experiment for a caller.
pub fn prepare(experiment: &Experiment, caller: u32) -> Result<Prepared, Refusal> {
    let guard = Guard::new(caller);
    let targets = experiment
        .targets
        .iter()
        .map(|target| target::resolve(target, &guard))
        .collect::<Result<Vec<_>, _>>()?;
    overlap::check(&targets)?;
    let plan = plan(experiment)?;
    running::check(&plan, &targets, &guard)?;
    check_needs(&plan, experiment)?;
    check_limits(&plan, &targets)?;
    Ok(Prepared { targets, plan })
}

/// Plans without touching anything and without insisting: what is missing becomes part of the text.
pub fn dry_run(experiment: &Experiment, caller: u32) -> Result<DryRun, Refusal> {
    let guard = Guard::new(caller);
    let targets: Vec<_> = experiment
        .targets
        .iter()
        .map(|target| target::resolve(target, &guard).map_err(|error| error.to_string()))
        .collect();
    let text = plan(experiment)?.render(experiment, &targets);
    Ok(DryRun {
        text,
        refusal: prepare(experiment, caller).err(),
    })
}

fn plan(experiment: &Experiment) -> Result<Plan, Refusal> {
    let names = Names::look_up(experiment)?;
    // Any number does: it is written down, and a person who wants a certain one gives it.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seed = u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or_default();
    Ok(Plan::make(experiment, &names, seed)?)
}

/// Refuses to limit a cgroup that has no such limit here, or shares it with bystanders.
fn check_limits(plan: &Plan, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
    for rule in &plan.rules {
        let target = targets.get(rule.fault.target);
        if let (FaultKind::Starve(starve), Some(cgroup)) = (
            &rule.fault.kind,
            target.and_then(|target| target.cgroup.as_ref()),
        ) {
            controller::limits(cgroup, starve)?;
        }
    }
    Ok(())
}

/// Refuses what this host lacks, by name, before anything is attached.
fn check_needs(plan: &Plan, experiment: &Experiment) -> Result<(), Refusal> {
    let mut needs = plan.needs();
    let follows = experiment
        .targets
        .iter()
        .any(|target| target.selector.follows());
    if follows {
        needs.insert(Need::ForkTracepoint);
    }
    for need in needs {
        let capability = capability::probe(need);
        let Some(missing) = capability.missing else {
            continue;
        };
        let by = plan
            .rules
            .iter()
            .find(|rule| rule.compiled.mechanism.needs().contains(&need));
        let what = by.map_or("--tree", |rule| rule.fault.kind.name());
        return Err(Refusal::usage(format!(
            "{what} needs {}, which this host lacks: {}; {}.",
            capability.name, missing.why, missing.remedy
        )));
    }
    Ok(())
}
