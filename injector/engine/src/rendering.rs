//! The plan for people: what the dry run prints and the journal keeps.

use std::fmt::Write as _;

mod details;

use injector_host::targets::ResolvedTarget;
use injector_plan::{Attachment, Plan};
use injector_spec::{
    escalation::EscalationStep,
    experiment::{
        Described, Experiment, Follow, Gate, ProbeRole, RollbackCommand, SteadyState, flaw,
    },
    printable,
    quantity::duration,
};

/// The plan as text: targets, steps, each fault with its mechanism and why, and the blast radius.
/// A target that could not be found is shown with the reason.
pub fn render(
    plan: &Plan,
    experiment: &Experiment,
    targets: &[Result<ResolvedTarget, String>],
) -> String {
    let targets: Vec<_> = targets.iter().map(|target| target.as_ref()).collect();
    text(plan, experiment, &targets)
}

/// The same for targets that are all there.
pub fn render_resolved(plan: &Plan, experiment: &Experiment, targets: &[ResolvedTarget]) -> String {
    let targets: Vec<_> = targets.iter().map(Ok).collect();
    text(plan, experiment, &targets)
}

fn text(
    plan: &Plan,
    experiment: &Experiment,
    targets: &[Result<&ResolvedTarget, &String>],
) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", experiment.name);
    if let Some(hypothesis) = &experiment.hypothesis {
        let _ = writeln!(text, "  hypothesis  {hypothesis}");
    }
    for (term, value) in experiment.head_in_words() {
        let _ = writeln!(text, "  {term:<11} {value}");
    }
    for (spec, target) in experiment.targets.iter().zip(targets) {
        let _ = writeln!(text, "  target      {}: {}", spec.name, spec.selector);
        let _ = writeln!(text, "              {}", radius(target));
    }
    for probe in experiment
        .steady_state
        .iter()
        .flat_map(|steady| &steady.probes)
    {
        let role = match probe.role {
            ProbeRole::SteadyState => "measures",
            ProbeRole::Control => "control",
        };
        let name = printable::line(&probe.name);
        let _ = writeln!(text, "  {role:<11} {name}: {}", probe.question);
    }
    for operation in experiment
        .steady_state
        .iter()
        .flat_map(|steady| &steady.operations)
    {
        let role = match operation.role {
            ProbeRole::SteadyState => "watches",
            ProbeRole::Control => "control",
        };
        let name = printable::line(&operation.name);
        let _ = writeln!(text, "  {role:<11} {name}: {operation}");
    }
    if let Some(steady_state) = &experiment.steady_state {
        let rto = duration::format(steady_state.objectives.rto);
        let _ = writeln!(text, "  objective   good again within {rto} (RTO)");
        beside(&mut text, steady_state);
    }
    for condition in &experiment.halt {
        let _ = writeln!(text, "  halts if    {condition}");
    }
    if !experiment.notify.is_empty() {
        let names: Vec<&str> = experiment.notify.iter().map(|one| one.name()).collect();
        let _ = writeln!(text, "  tells       {} of a breach", names.join(", "));
    }
    if !experiment.fail_on.is_empty() {
        let names = flaw::names(&experiment.fail_on);
        let _ = writeln!(text, "  fails on    {names}");
    }
    if let Some(sign) = experiment.handoff() {
        let _ = writeln!(text, "  hands over  by {}", sign.in_words());
    }
    if let Some(success) = experiment.success() {
        let _ = writeln!(text, "  success     is {}", success.in_words());
    }
    if !experiment.escalate.is_empty() {
        let steps = EscalationStep::in_words(&experiment.escalate);
        let _ = writeln!(text, "  asks        {steps} for a decision");
    }
    let mut attachments = plan.rules.iter().map(|rule| rule.compiled.attachment);
    if let Some(remark) = attachments.find_map(Attachment::remark) {
        let _ = writeln!(text, "  on devices  {remark}");
    }
    for command in &experiment.rollback {
        let _ = writeln!(
            text,
            "  rolls back  by {command}, where it ends by a breach"
        );
    }
    steps(&mut text, plan, experiment, targets);
    let total = duration::format(experiment.duration());
    let _ = writeln!(text, "  ends        by itself after {total}");
    text
}

/// Each step with the faults that begin with it, and those that stay on.
fn steps(
    text: &mut String,
    plan: &Plan,
    experiment: &Experiment,
    targets: &[Result<&ResolvedTarget, &String>],
) {
    for (index, step) in experiment.steps.iter().enumerate() {
        let duration = duration::format(step.duration);
        let _ = writeln!(text, "  step        {} for {duration}", step.name);
        let (mut rules, stay_on): (Vec<_>, Vec<_>) =
            plan.of_step(index).partition(|rule| rule.step == index);
        rules.sort_by_key(|rule| (rule.scope, rule.slot));
        if let Some(gate) = &step.gate {
            let _ = writeln!(text, "              {}", at_gate(gate, experiment, index));
        } else if rules.is_empty() && stay_on.is_empty() {
            let _ = writeln!(text, "              no fault");
        }
        for rule in stay_on {
            let target = &experiment.targets[rule.fault.target].name;
            let (target, fault) = (printable::line(target), rule.fault.kind.name());
            let since = &experiment.steps[rule.step].name;
            let _ = writeln!(
                text,
                "              {fault} on {target} stays on, since step {since}"
            );
        }
        for rule in rules {
            let mechanism = rule.compiled.mechanism;
            let target = &experiment.targets[rule.fault.target].name;
            let target = printable::line(target);
            let _ = writeln!(text, "              {} on {target}", rule.fault.kind.name());
            describe(text, &rule.described);
            let means = rule.compiled.means();
            let _ = writeln!(text, "                by {means}: {}", mechanism.why());
            if let Some(exec_deny) = rule.compiled.exec_deny {
                let _ = writeln!(
                    text,
                    "                and by {exec_deny}: {}",
                    exec_deny.why()
                );
            }
            let target = targets
                .get(rule.fault.target)
                .and_then(|target| target.ok());
            for line in details::details(rule, target) {
                let _ = writeln!(text, "                {line}");
            }
        }
    }
}

/// What a step without faults does.
fn at_gate(gate: &Gate, experiment: &Experiment, step: usize) -> String {
    match gate {
        Gate::Until(_) | Gate::Approve => format!("waits for {gate}, and no longer"),
        Gate::Run(command) => {
            let command = RollbackCommand::words(command);
            if experiment.puts_right(step) {
                format!("runs {command}, when all is measured")
            } else {
                format!("runs {command}, which has to end with 0")
            }
        }
    }
}

/// What is measured beside recoveries, and what it is held against.
fn beside(text: &mut String, steady_state: &SteadyState) {
    if let Some(detect) = &steady_state.detect {
        let name = printable::line(&detect.name);
        let _ = writeln!(text, "  detects     {name}: {}", detect.question);
    }
    if let Some(within) = steady_state.objectives.detect {
        let within = duration::format(within);
        let _ = writeln!(text, "  objective   detected within {within}");
    }
    for ledger in &steady_state.ledgers {
        let name = printable::line(&ledger.name);
        let within = duration::format(ledger.within);
        for (list, source) in [
            ("acknowledged", &ledger.acknowledged),
            ("kept", &ledger.kept),
        ] {
            let _ = writeln!(
                text,
                "  ledger      {name}, {list}: {source} within {within}"
            );
        }
        if let Some(rpo) = ledger.rpo {
            let _ = writeln!(text, "  objective   {name}: at most {rpo} (RPO)");
        }
    }
}

/// What a fault does, to what, how often; what names stood for; what a person should know.
fn describe(text: &mut String, described: &Described) {
    let sets = [
        ("", &described.parameters),
        ("where ", &described.filters),
        ("hits ", &described.chance),
    ];
    for (before, set) in sets.into_iter().filter(|(_, set)| !set.is_empty()) {
        line(text, &format!("{before}{set}"));
    }
    for (name, addresses) in &described.resolved {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let name = printable::line(name);
        line(text, &format!("{name} stands for {}", addresses.join(", ")));
    }
    for remark in &described.remarks {
        line(text, &format!("note: {remark}"));
    }
}

/// A line of a fault. It is wrapped where it is shown.
fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "                {line}");
}

/// Who will feel it.
fn radius(target: &Result<&ResolvedTarget, &String>) -> String {
    let target = match target {
        Ok(target) => target,
        Err(why) => return format!("not found now: {why}"),
    };
    let members = target.members();
    let shown: Vec<_> = members
        .iter()
        .take(8)
        .map(|key| key.tgid.to_string())
        .collect();
    let more = if members.len() > shown.len() {
        ", ..."
    } else {
        ""
    };
    let children = match (&target.cgroup, target.follow) {
        (Some(_), _) => "; whatever joins the cgroup later too",
        (None, Follow::Tree) => "; their children too",
        (None, Follow::Process) => "",
    };
    let picked = target.picked.as_ref().map_or_else(String::new, |picked| {
        format!(
            "; {} of {} picked by seed {}",
            picked.pids.len(),
            picked.from,
            picked.seed
        )
    });
    format!(
        "{} process{} now ({}{more}){picked}{children}",
        members.len(),
        if members.len() == 1 { "" } else { "es" },
        shown.join(", "),
    )
}
