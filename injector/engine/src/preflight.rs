//! From an experiment to something that can be carried out on this host, or a refusal: targets are
//! resolved, the host's limits asked, names looked up, rules planned, mechanisms probed. Nothing is touched.

mod host;
mod running;
mod stage;
mod start_lock;
mod tls;

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use host::Host;
pub use start_lock::{START_LOCK, StartLock};

use crate::{
    admission::Admission,
    rendering,
    surroundings::{self, Surroundings},
};
use crate::{
    effects::namespace::places,
    escalation::{self, Chain},
    executor::Budget,
    halt_monitor::{self, WhoAsks},
    kill_switch, notifier,
    recorder::Recorder,
    worker::AskedBy,
};
use injector_host::targets::{self, ResolvedTarget, controller, guard::Guard, overlap};
use injector_plan::{
    policy::{self, Case, Door, Override, Radius, Verdict},
    {Carrier, Names, Need, Plan, why_not_at_hooks},
};
use injector_record::configuration;
use injector_record::{
    journal::{self, ListedRun},
    scheduled::Scheduled,
};
use injector_relay::sealed;
use injector_spec::{
    config::{Config, ConfigFile, Escalation, OpensTls, Source},
    error::Refusal,
    experiment::{Experiment, FaultKind, Gate, Placed, SteadyState},
    printable,
};

/// Who asks for a run, how, and which limits they lift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Who.
    pub asked_by: AskedBy,
    /// How.
    pub door: Door,
    /// The limits that they lift.
    pub overrides: Vec<Override>,
    /// The file that says what this host allows.
    pub config: Source,
    /// What the schedule has drawn, where it asks.
    #[serde(default)]
    pub scheduled: Option<Scheduled>,
}

/// An experiment that could be carried out now.
#[derive(Debug)]
pub struct Prepared {
    /// The experiment, with a budget for each fault.
    pub experiment: Experiment,
    /// The targets, in the experiment's order.
    pub targets: Vec<ResolvedTarget>,
    /// How it would be done.
    pub plan: Plan,
    /// What this host's limits say to it.
    pub verdict: Verdict,
    /// What it may use up.
    pub budget: Budget,
    /// What the relay opens TLS by, where a fault needs one.
    pub opens_tls: Option<OpensTls>,
    /// Who is told where it is halted or breaks.
    pub escalation: Escalation,
    /// Whom decisions are asked of.
    pub chain: Chain,
    /// How targets that are made again are let in.
    pub admission: Admission,
    /// The file that set the limits.
    pub config: Option<ConfigFile>,
}

/// What a dry run found out.
#[derive(Debug)]
pub struct DryRun {
    /// The plan, for people.
    pub text: String,
    /// Its faults, with all that is in force.
    pub faults: Vec<Placed>,
    /// How far the run would reach.
    pub radius: Radius,
    /// The refusal that a run would meet now.
    pub refusal: Option<Refusal>,
}

/// Prepares an experiment. With it comes the start lock, which is to be held until the run's journal exists, and what to
/// tell of dead runs that were cleaned up after: within the start lock, so that no setting that one of them has left is
/// taken for the host's own.
pub fn prepare(
    mut experiment: Experiment,
    terms: &Terms,
    recorder: &Recorder,
) -> Result<(Prepared, StartLock, Vec<String>), Refusal> {
    // Before anything looks at the clock.
    surroundings::read_zone();
    // Once, before anything is looked at: all later looks at this run have it from its journal.
    experiment.seed_picks(any_number());
    let config = configuration::load(&terms.config)?;
    let guard = Guard::new(terms.asked_by.pid);
    let mut prepared = look(experiment, terms, &config, &guard)?;
    // Not in a dry run, which only tells what would happen: it asks no server and runs no program.
    halt_monitor::refuse_failing(&prepared.experiment.halt, &guard)?;
    let start_lock = StartLock::enter(&journal::directory(), recorder)?;
    let swept = recorder.sweep()?;
    // What was started since the first look is a run by now.
    let targets: Vec<_> = prepared.targets.iter().collect();
    let running = surroundings::running()?;
    prepared.verdict = decide(&prepared.experiment, &targets, terms, &config, &running)?;
    if let Some(refusal) = prepared.verdict.refusal() {
        return Err(refusal);
    }
    running::check(
        &prepared.plan,
        &prepared.experiment.name,
        &prepared.targets,
        &guard,
        &running,
    )?;
    Ok((prepared, start_lock, swept))
}

/// Finds out whether an experiment could be carried out now, and changes nothing.
fn look(
    experiment: Experiment,
    terms: &Terms,
    config: &Config,
    guard: &Guard,
) -> Result<Prepared, Refusal> {
    kill_switch::check(&journal::directory())?;
    let halts_on = experiment.check_halts_on();
    halts_on.map_err(|error| Refusal::usage(format!("{error}.")))?;
    let asked = experiment.halt.clone();
    let experiment = policy::bound(experiment, config);
    let targets = experiment
        .targets
        .iter()
        .map(|target| targets::resolve(target, guard))
        .collect::<Result<Vec<_>, _>>()?;
    overlap::check(&targets)?;
    if let Some(stage) = &experiment.stage {
        stage::check(stage, &targets, &journal::directory())?;
    }
    let by = match terms.asked_by.uid {
        0 => WhoAsks::Owner,
        _ => WhoAsks::Guest,
    };
    halt_monitor::check(&asked, &targets, by)?;
    for probe in experiment
        .steady_state
        .iter()
        .flat_map(|steady| &steady.probes)
    {
        let what = format!("the probe `{}`", printable::line(&probe.name));
        halt_monitor::check_question(&what, &probe.question, by)?;
    }
    if let Some(steady) = &experiment.steady_state {
        check_beside(steady, by)?;
    }
    for step in &experiment.steps {
        let name = printable::line(&step.name);
        match &step.gate {
            Some(Gate::Until(question)) => {
                halt_monitor::check_question(&format!("the gate `{name}`"), question, by)?;
            }
            Some(Gate::Run(command)) => {
                halt_monitor::check_step(&format!("the step `{name}`"), command, by)?;
            }
            Some(Gate::Approve) | None => {}
        }
    }
    for sign in experiment.signs() {
        halt_monitor::check_sign(sign, by)?;
    }
    notifier::check(&config.escalation, &experiment.notify, by)?;
    escalation::check(config, &experiment.escalate, by)?;
    for command in &experiment.rollback {
        halt_monitor::check_program(command, by)?;
    }
    halt_monitor::check(&config.halt.conditions, &targets, WhoAsks::Owner)?;
    halt_monitor::refuse_held(&experiment.halt, &targets)?;
    let running = surroundings::running()?;
    let found: Vec<_> = targets.iter().collect();
    let verdict = decide(&experiment, &found, terms, config, &running)?;
    if let Some(refusal) = verdict.refusal() {
        return Err(refusal);
    }
    let host = Host::default();
    let plan = plan(&experiment, &host)?;
    running::check(&plan, &experiment.name, &targets, guard, &running)?;
    check_needs(&plan, &experiment, &host)?;
    check_limits(&plan, &targets)?;
    tls::check(&plan, &targets)?;
    check_places(&plan, &targets)?;
    let opens_tls = opens_tls(&plan, config);
    if let Some(files) = opens_tls {
        sealed::check(files).map_err(|error| Refusal::usage(error.to_string()))?;
    }
    Ok(Prepared {
        opens_tls: opens_tls.cloned(),
        budget: Budget::of(config, &terms.overrides),
        escalation: config.escalation.only(&experiment.notify),
        chain: Chain::of(config, &experiment.escalate),
        admission: Admission {
            config: config.clone(),
            experiment: experiment.clone(),
            door: terms.door,
            uid: terms.asked_by.uid,
            overrides: terms.overrides.clone(),
            at: surroundings::now()?,
        },
        config: config.file.clone(),
        experiment,
        targets,
        plan,
        verdict,
    })
}

/// What the relay of this plan opens TLS by.
fn opens_tls<'c>(plan: &Plan, config: &'c Config) -> Option<&'c OpensTls> {
    let mut rules = plan.rules.iter();
    let has_relay = rules.any(|rule| rule.compiled.mechanism.carrier() == Carrier::Relay);
    config.relay.opens_tls.as_ref().filter(|_| has_relay)
}

/// Refuses the probe of the alarm and lists of ledgers that this host or this person's rights do not allow.
fn check_beside(steady: &SteadyState, by: WhoAsks) -> Result<(), Refusal> {
    if let Some(detect) = &steady.detect {
        let what = format!("the probe `{}`", printable::line(&detect.name));
        halt_monitor::check_question(&what, &detect.question, by)?;
    }
    for ledger in &steady.ledgers {
        let name = printable::line(&ledger.name);
        for (list, source) in [
            ("acknowledged", &ledger.acknowledged),
            ("kept", &ledger.kept),
        ] {
            let what = format!("the {list} list of the ledger `{name}`");
            halt_monitor::check_list(&what, source, by)?;
        }
    }
    Ok(())
}

/// Plans without touching anything and without insisting: what is missing becomes part of the text.
pub fn dry_run(experiment: &Experiment, terms: &Terms) -> Result<DryRun, Refusal> {
    surroundings::read_zone();
    let config = configuration::load(&terms.config)?;
    let halts_on = experiment.check_halts_on();
    halts_on.map_err(|error| Refusal::usage(format!("{error}.")))?;
    let mut experiment = policy::bound(experiment.clone(), &config);
    experiment.seed_picks(any_number());
    let guard = Guard::new(terms.asked_by.pid);
    let targets: Vec<_> = experiment
        .targets
        .iter()
        .map(|target| targets::resolve(target, &guard).map_err(|error| error.to_string()))
        .collect();
    let plan = plan(&experiment, &Host::default())?;
    let mut text = rendering::render(&plan, &experiment, &targets);
    let found: Vec<_> = targets.iter().flatten().collect();
    let running = surroundings::running()?;
    let Verdict { radius, .. } = decide(&experiment, &found, terms, &config, &running)?;
    text.push_str(&radius.to_string());
    if let Some(OpensTls { ca, .. }) = opens_tls(&plan, &config) {
        let _ = writeln!(
            text,
            "  TLS         opened, for targets that trust {}",
            printable::path(ca)
        );
    }
    Ok(DryRun {
        text,
        faults: plan.describe(&experiment),
        radius,
        refusal: look(experiment, terms, &config, &guard).err(),
    })
}

/// What this host's limits say.
fn decide(
    experiment: &Experiment,
    targets: &[&ResolvedTarget],
    terms: &Terms,
    config: &Config,
    running: &[ListedRun],
) -> Result<Verdict, Refusal> {
    let Surroundings {
        footprints,
        populations,
    } = Surroundings::of(targets)?;
    Ok(policy::decide(&Case {
        config,
        experiment,
        footprints: &footprints,
        populations: &populations,
        running: running.len(),
        now: surroundings::now()?,
        door: terms.door,
        uid: terms.asked_by.uid,
        overrides: &terms.overrides,
    }))
}

fn plan(experiment: &Experiment, host: &Host) -> Result<Plan, Refusal> {
    let names = Names::look_up(experiment)?;
    let offers = |need| host.offers(need);
    Ok(Plan::make(experiment, &names, any_number(), &offers)?)
}

/// What seeds are drawn from. Any number does: it is written down, and a person who wants a certain one gives it.
pub fn any_number() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or_default()
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

/// Refuses paths that lead nowhere.
fn check_places(plan: &Plan, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
    plan.rules
        .iter()
        .try_for_each(|rule| places(rule, targets).map(drop))
}

/// Refuses what this host lacks, by name, before anything is attached.
fn check_needs(plan: &Plan, experiment: &Experiment, host: &Host) -> Result<(), Refusal> {
    let mut needs = plan.needs();
    let follows = experiment
        .targets
        .iter()
        .any(|target| target.selector.follows());
    if follows {
        needs.insert(Need::ForkTracepoint);
    }
    for need in needs {
        let capability = host.capability(need);
        let Some(missing) = capability.missing else {
            continue;
        };
        let by = plan
            .rules
            .iter()
            .find(|rule| rule.compiled.needs().any(|other| other == need));
        let without_fault = match need {
            Need::Operations => "the watch over operations",
            _ => "--tree",
        };
        let what = by.map_or(without_fault, |rule| rule.fault.kind.name());
        let hooks = by.and_then(|rule| why_not_at_hooks(&rule.fault.kind));
        let hooks = hooks.map_or_else(String::new, |why| {
            format!(" It is not done otherwise, because {why}.")
        });
        return Err(Refusal::usage(format!(
            "{what} needs {}, which this host lacks: {}; {}.{hooks}",
            capability.name, missing.why, missing.remedy
        )));
    }
    Ok(())
}
