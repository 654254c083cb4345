//! How to do it again: a command, and the file that it needs where the run was more than one fault.
//!
//! The journal keeps what was asked, and not the file that asked it. So a file is written anew from it, with the seeds
//! that the run drew; a test reads it back as the same experiment.

use std::fmt::Write as _;

use serde::Serialize;

use super::Account;
use injector_spec::{
    experiment::{
        Described, Experiment, Follow, Gate, Many, NamedProbe, OnTargetExit, Placed, ProbeRole,
        Selector, Target,
    },
    printable,
    quantity::duration,
};

/// The file's name, where there is one.
const FILE: &str = "experiment.yaml";

/// How to do it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// The command.
    pub command: String,
    /// What `experiment.yaml` has; absent where the command is all.
    pub file: Option<String>,
}

impl Account {
    /// How to do it again; `None` where the journal does not say what was asked.
    pub fn again(&self) -> Option<Again> {
        let experiment = self.experiment.as_ref()?;
        let overrides = self.overrides.iter().flat_map(|limit| {
            let limit = limit.to_string();
            let (flag, value) = limit.split_once(' ').unwrap_or((&limit, ""));
            let value = (!value.is_empty()).then(|| value.to_owned());
            [flag.to_owned()].into_iter().chain(value)
        });
        let (words, file) = match only_fault(experiment, &self.faults) {
            Some((target, fault)) => (one_fault(experiment, target, fault), None),
            None => (
                run(experiment),
                Some(substitutable(experiment, file(experiment, &self.faults))),
            ),
        };
        let words = words.into_iter().chain(overrides);
        let command = words.fold("sudo injector".to_owned(), |command, word| {
            format!("{command} {}", quoted(&word))
        });
        Some(Again { command, file })
    }
}

/// The command for the file: the profile is named again, so that the new run has it on record, too.
fn run(experiment: &Experiment) -> Vec<String> {
    let variables = experiment.variables.as_ref();
    let profile = variables.and_then(|variables| variables.profile.as_ref());
    let profile = profile.map(|name| format!("--profile={name}"));
    ["run".to_owned(), FILE.to_owned()]
        .into_iter()
        .chain(profile)
        .collect()
}

/// The file with the variables that were in force. Their values stand in it already; a text that looks like a variable
/// must not be taken for one.
fn substitutable(experiment: &Experiment, mut text: String) -> String {
    let Some(variables) = &experiment.variables else {
        return text;
    };
    let _ = writeln!(text, "variables: {}", json(&variables.values));
    if let Some(profile) = &variables.profile {
        let _ = writeln!(text, "profiles: {{ {}: {{ set: {{}} }} }}", json(profile));
    }
    text.replace("${", "$${")
}

/// The fault of an experiment that one command can ask for.
fn only_fault<'a>(
    experiment: &'a Experiment,
    faults: &'a [Placed],
) -> Option<(&'a Target, &'a Placed)> {
    let ([target], [step], [fault]) = (&experiment.targets[..], &experiment.steps[..], faults)
    else {
        return None;
    };
    let ramps = step.faults.iter().any(|fault| !fault.ramps.is_empty());
    let is_plain = experiment.hypothesis.is_none()
        && experiment.steady_state.is_none()
        && experiment.rollback.is_empty()
        && experiment.notify.is_empty()
        && experiment.head_in_words().is_empty()
        && !ramps;
    (is_plain && target.name == Target::ONLY && experiment.name == fault.fault)
        .then_some((target, fault))
}

fn one_fault(experiment: &Experiment, target: &Target, fault: &Placed) -> Vec<String> {
    let mut words = fault.described.words(&fault.fault);
    for (name, value) in selector(&target.selector) {
        words.push(match value {
            Value::On => format!("--{name}"),
            Value::One(value) => format!("--{name}={value}"),
        });
    }
    let length = experiment.duration();
    words.push(format!("--duration={}", duration::format(length)));
    let conditions = experiment.halt.iter();
    words.extend(conditions.map(|condition| format!("--halt-if={condition}")));
    match experiment.on_target_exit {
        OnTargetExit::Wait => {}
        OnTargetExit::End => words.push("--on-target-exit=end".to_owned()),
    }
    words
}

/// What a name of a selector has.
enum Value {
    /// Nothing but that it is there.
    On,
    One(String),
}

/// The names that flags and files have for a selector.
fn selector(selector: &Selector) -> Vec<(&'static str, Value)> {
    let tree = |follow: &Follow| match follow {
        Follow::Process => None,
        Follow::Tree => Some(("tree", Value::On)),
    };
    match selector {
        Selector::Pids { pids, follow } => {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            let pids = ("pid", Value::One(pids.join(",")));
            [pids].into_iter().chain(tree(follow)).collect()
        }
        Selector::Cgroup(path) => vec![("cgroup", Value::One(path.display().to_string()))],
        Selector::Unit(name) => vec![("unit", Value::One(name.clone()))],
        Selector::Container(id) => vec![("container", Value::One(id.clone()))],
        Selector::Process {
            pattern,
            many,
            follow,
        } => {
            let all = match many {
                Many::ExactlyOne => None,
                Many::All => Some(("all", Value::On)),
            };
            let process = ("process", Value::One(pattern.clone()));
            let more = all.into_iter().chain(tree(follow));
            [process].into_iter().chain(more).collect()
        }
    }
}

/// The experiment as a file, its values as JSON, which YAML reads.
fn file(experiment: &Experiment, faults: &[Placed]) -> String {
    let mut text = format!("name: {}\n", json(&experiment.name));
    if let Some(hypothesis) = &experiment.hypothesis {
        let _ = writeln!(text, "hypothesis: {}", json(hypothesis));
    }
    if let Some(owner) = &experiment.owner {
        let _ = writeln!(text, "owner: {}", json(owner));
    }
    if !experiment.labels.is_empty() {
        let _ = writeln!(text, "labels: {}", json(&experiment.labels));
    }
    text.push_str("targets:\n");
    for target in &experiment.targets {
        let values = selector(&target.selector).into_iter();
        let values = values.map(|(name, value)| match value {
            Value::On => format!("{name}: true"),
            Value::One(value) => format!("{name}: {}", json(&value)),
        });
        let values: Vec<String> = values.collect();
        let _ = writeln!(
            text,
            "  {}: {{ {} }}",
            json(&target.name),
            values.join(", ")
        );
    }
    if let Some(steady_state) = &experiment.steady_state {
        probes(&mut text, &steady_state.probes);
        let rto = duration::format(steady_state.objectives.rto);
        let _ = writeln!(text, "objectives: {{ rto: {rto} }}");
    }
    text.push_str("steps:\n");
    // The faults of the plan stand in the order of the steps.
    let mut described = faults.iter();
    for step in &experiment.steps {
        let length = duration::format(step.duration);
        let name = json(&step.name);
        let _ = match &step.gate {
            None => writeln!(text, "  - name: {name}\n    duration: {length}"),
            Some(Gate::Until(question)) => {
                let asks = json(&question.to_string());
                writeln!(
                    text,
                    "  - {{ name: {name}, gate: {{ until: {asks}, timeout: {length} }} }}"
                )
            }
            Some(Gate::Approve) => {
                writeln!(
                    text,
                    "  - {{ name: {name}, gate: {{ approve: true, timeout: {length} }} }}"
                )
            }
        };
        if !step.faults.is_empty() {
            text.push_str("    faults:\n");
        }
        for fault in &step.faults {
            let own = fault.describe();
            let described = described.next().map_or(&own, |placed| &placed.described);
            let target = experiment.targets.get(fault.target);
            let target = target.map_or(Target::ONLY, |target| &target.name);
            let name = fault.kind.name();
            let values = values(target, described);
            let _ = writeln!(text, "      - {name}: {{ {values} }}");
        }
    }
    if !experiment.halt.is_empty() {
        let lines: Vec<String> = experiment.halt.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "halt: {}", json(&lines));
    }
    if !experiment.notify.is_empty() {
        let _ = writeln!(text, "notify: {}", json(&experiment.notify));
    }
    if !experiment.rollback.is_empty() {
        let _ = writeln!(text, "rollback: {}", json(&experiment.rollback));
    }
    match experiment.on_target_exit {
        OnTargetExit::Wait => {}
        OnTargetExit::End => text.push_str("on-target-exit: end\n"),
    }
    text
}

fn probes(text: &mut String, probes: &[NamedProbe]) {
    text.push_str("probes:\n");
    for probe in probes {
        let asks = json(&probe.question.to_string());
        let _ = writeln!(text, "  {}: {asks}", json(&probe.name));
    }
    for (key, role) in [
        ("steady-state", ProbeRole::SteadyState),
        ("controls", ProbeRole::Control),
    ] {
        let of_role = probes.iter().filter(|probe| probe.role == role);
        let names: Vec<&str> = of_role.map(|probe| probe.name.as_str()).collect();
        if !names.is_empty() {
            let _ = writeln!(text, "{key}: {}", json(&names));
        }
    }
}

/// What stands between the braces of a fault.
fn values(target: &str, described: &Described) -> String {
    let target = format!("target: {}", json(target));
    let sets = [&described.parameters, &described.filters, &described.chance];
    let sets = sets.into_iter().filter(|set| !set.is_empty()).map(|set| {
        let map = json(set);
        // A map of JSON without its braces.
        let map = map.strip_prefix('{').unwrap_or(&map);
        map.strip_suffix('}').unwrap_or(map).to_owned()
    });
    let values: Vec<String> = [target].into_iter().chain(sets).collect();
    values.join(", ")
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Texts and maps of texts always serialise.
    let text = serde_json::to_string(value).unwrap_or_default();
    printable::json(&text).into_owned()
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", printable::line(word).replace('\'', r"'\''"))
}
