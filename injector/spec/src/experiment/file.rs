//! Experiments from files: YAML whose faults are the command line in another spelling.
//!
//! ```yaml
//! name: model-latency-spike
//! hypothesis: The agent finishes every task.
//! targets:
//!   agent: { cgroup: agent.slice }
//! steps:
//!   - { name: baseline, duration: 5s }
//!   - name: spike
//!     duration: 10s
//!     faults:
//!       - net.delay: { target: agent, latency: 500ms, dest-port: [8080] }
//! ```
//! Everything below `targets:` and every fault is turned into words and parsed by the definitions of the
//! command line ([`words`]); the rest is read here. A complaint names file, line and column.

mod authorities;
mod blast_radius;
mod chaos_toolkit;
mod command;
mod complaint;
mod document;
mod escalate;
mod fail_on;
mod fields;
mod halt;
mod head;
mod ledgers;
mod names;
mod node;
mod notify;
mod operations;
mod parameter;
mod probe;
mod ramps;
mod rollback;
mod schema;
mod signs;
mod stages;
mod steady_state;
mod steps;
mod variables;
mod words;
mod yaml;

use std::{path::Path, time::Duration};

pub use chaos_toolkit::{ChaosToolkitError, Surroundings};
pub use complaint::FileError;
pub use document::DocumentError;
pub use head::API_VERSION;
pub use parameter::FoundParameter;
pub use schema::schema;
pub use stages::StageChoice;

use self::{
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node, Place},
    steps::{Around, Walk},
};
use super::{
    Experiment, Fault, OnTargetExit, ParameterPath, Selector, Target,
    head::{Assignment, Variables},
};
use crate::grammar::{FaultInFile, TargetInFile};
use crate::{nearest, quantity::duration};

/// What complaints call an experiment that comes from standard input.
pub const STDIN: &str = "<stdin>";

/// A file that is to be read, and what a person asks for beside it.
#[derive(Clone, Debug, Default)]
pub struct Reading<'r> {
    /// The file's name, for complaints, and the experiment's where it gives none.
    pub name: &'r str,
    /// Replaces the selector of the only target.
    pub selector: Option<Selector>,
    /// Values of variables; of two for the same variable the last one counts.
    pub sets: &'r [Assignment],
    /// The profile whose values are taken.
    pub profile: Option<&'r str>,
    /// The stage as which the file is read, where it has stages.
    pub stage: Option<StageChoice<'r>>,
    /// Values that parameters of faults have in place of those in the file; of two for the same one the last one counts.
    pub parameters: &'r [(ParameterPath, String)],
    /// What may be asked of the process that reads it.
    pub surroundings: Surroundings,
}

impl Reading<'_> {
    /// Parses the bytes of a file, as [`Reading::text`] does its text.
    pub fn bytes(self, bytes: &[u8]) -> Result<Experiment, FileError> {
        match str::from_utf8(bytes) {
            Ok(text) => self.text(text),
            Err(error) => Err(complaint::no_utf8(bytes, error.valid_up_to()).of(self.name)),
        }
    }

    /// Parses an experiment.
    pub fn text(self, text: &str) -> Result<Experiment, FileError> {
        let name = self.name;
        self.experiment(text)
            .map_err(|complaint| complaint.of(name))
    }

    fn experiment(self, text: &str) -> Result<Experiment, Complaint> {
        let (root, mut experiment) = self.valued(text)?;
        if let Some(stage) = stages::chosen(&root, text, &self, &experiment)? {
            experiment.stage = Some(Box::new(stage));
        }
        Ok(experiment)
    }

    /// The experiment that the values make, and the file with the values put in.
    fn valued(&self, text: &str) -> Result<(Node, Experiment), Complaint> {
        let stem = match self.name {
            STDIN => "stdin".to_owned(),
            name => {
                let stem = Path::new(name).file_stem();
                stem.unwrap_or_default().to_string_lossy().into_owned()
            }
        };
        let mut root = node::parse(text)?;
        if chaos_toolkit::is_one(&root) {
            root = chaos_toolkit::translated(&root, text, self.surroundings)?;
        }
        head::check_version(&root)?;
        let variables = variables::fill_in(&mut root, self.asked())?;
        for (path, value) in self.parameters {
            parameter::put(&mut root, path, value)?;
        }
        let experiment = experiment(&root, stem, self.selector.clone(), variables)?;
        authorities::check(&root, self.surroundings.authorities)?;
        Ok((root, experiment))
    }

    fn asked(&self) -> variables::Asked<'_> {
        variables::Asked {
            sets: self.sets,
            profile: self.profile,
            stage: self.stage.map(|choice| choice.name),
        }
    }
}

/// Parses an experiment for which nothing is set beside the file; the rest as in [`Reading`].
pub fn parse(text: &str, name: &str, selector: Option<Selector>) -> Result<Experiment, FileError> {
    let reading = Reading {
        name,
        selector,
        ..Reading::default()
    };
    reading.text(text)
}

/// The keys of an experiment.
const EXPERIMENT: [&str; 31] = [
    head::KEY,
    "name",
    "hypothesis",
    "owner",
    "labels",
    "variables",
    "profiles",
    stages::ALL,
    stages::CHOSEN,
    "probes",
    "operations",
    "steady-state",
    "controls",
    "detect",
    "ledgers",
    "objectives",
    "baseline",
    "recovery",
    blast_radius::KEY,
    "targets",
    "steps",
    "duration",
    "faults",
    "halt",
    "on-target-exit",
    "rollback",
    "notify",
    "fail-on",
    "handoff",
    "success",
    "escalate",
];

/// The keys of a profile.
const PROFILE: [&str; 1] = ["set"];

/// The keys of a stage among others.
const STAGES_STAGE: [&str; 4] = ["set", "after", "approve", "ground"];

/// The keys of a stage that was chosen.
const STAGE: [&str; 6] = [
    "name",
    "asks",
    "after",
    "after-asks",
    "approved-by",
    "ground",
];

fn experiment(
    root: &Node,
    stem: String,
    selector: Option<Selector>,
    variables: Option<Variables>,
) -> Result<Experiment, Complaint> {
    if matches!(root.content, Content::Null) {
        let sentence = format!(
            "the file is empty; an experiment is a map of {}, so write one",
            EXPERIMENT.join(", ")
        );
        return Err(Complaint::at(root.at, sentence));
    }
    let fields = Fields::of(root, "an experiment", &EXPERIMENT)?;
    let name = fields.text("name")?.unwrap_or(stem);
    let hypothesis = fields.text("hypothesis")?;
    let targets = targets(&fields, selector)?;
    let steps = match fields.get("steps") {
        Some(node) => {
            for shorthand in ["duration", "faults"] {
                if let Some(at) = fields.key_place(shorthand) {
                    let sentence =
                        format!("`{shorthand}` cannot stand beside `steps`; move it into a step");
                    return Err(Complaint::at(at, sentence));
                }
            }
            let probes = match fields.get("probes").map(|node| &node.content) {
                Some(Content::Map(probes)) => &probes[..],
                _ => &[],
            };
            let around = Around {
                targets: &targets,
                probes,
                unnamed: steps::Unnamed::Numbered,
            };
            steps::steps(node, &around)?
        }
        // The shorthand: an experiment of one step.
        None => Walk::of(steps::step(&fields, name.clone(), &targets)?),
    };
    let steady_state = steady_state::steady_state(&fields, &targets)?;
    let steps = steady_state::with_quiet_times(&fields, steady_state.as_ref(), steps)?;
    let experiment = Experiment {
        name,
        hypothesis,
        owner: head::owner(&fields)?,
        labels: head::labels(&fields)?,
        variables: variables.map(Box::new),
        stage: stages::written(&fields)?.map(Box::new),
        steady_state: steady_state.map(Box::new),
        blast_radius: blast_radius::blast_radius(&fields)?.map(Box::new),
        targets,
        steps,
        halt: halt::halt(&fields)?,
        on_target_exit: on_target_exit(&fields)?,
        rollback: rollback::rollback(&fields)?,
        notify: notify::notify(&fields)?,
        fail_on: fail_on::fail_on(&fields)?,
        declared: signs::declared(&fields)?.map(Box::new),
        escalate: escalate::escalate(&fields)?,
    };
    // What is left to find has no better place: every part was checked where it stands.
    experiment
        .check()
        .map_err(|error| Complaint::at(root.at, error))?;
    Ok(experiment)
}

fn targets(fields: &Fields<'_>, selector: Option<Selector>) -> Result<Vec<Target>, Complaint> {
    let Some(node) = fields.get("targets") else {
        if selector.is_none() && fields.get("steps").is_some_and(steps::are_commands) {
            return Ok(Vec::new());
        }
        let selector = selector.ok_or_else(|| {
            let sentence = "the experiment has no `targets`; name at least one, as in `targets: {agent: {pid: 4711}}`";
            Complaint::at(fields.at, sentence)
        })?;
        return Ok(vec![Target {
            name: Target::ONLY.to_owned(),
            selector,
        }]);
    };
    let Content::Map(entries) = &node.content else {
        let sentence = "`targets` names each target and how to find it, as in `agent: {pid: 4711}`; write it so";
        return Err(Complaint::at(node.at, sentence));
    };
    if entries.is_empty() {
        let sentence = "`targets` is empty; name at least one, as in `agent: {pid: 4711}`";
        return Err(Complaint::at(node.at, sentence));
    }
    if selector.is_some() && entries.len() != 1 {
        let sentence = format!(
            "a target was named on the command line or by the schedule, but the experiment has {} of them; leave one",
            entries.len()
        );
        return Err(Complaint::at(node.at, sentence));
    }
    entries
        .iter()
        .map(|(name, node)| {
            let written = target(node, selector.is_some())?;
            let target = Target {
                name: name.text.clone(),
                selector: selector.clone().or(written).ok_or_else(|| nobody(name))?,
            };
            target
                .check()
                .map_err(|error| Complaint::at(name.at, error))?;
            Ok(target)
        })
        .collect()
}

fn nobody(name: &node::Word) -> Complaint {
    let sentence = format!(
        "target `{}` selects nothing; give it a pid, cgroup, unit, container or process",
        name.text
    );
    Complaint::at(name.at, sentence)
}

/// The selector; a target whose selector is replaced may have none.
fn target(node: &Node, is_replaced: bool) -> Result<Option<Selector>, Complaint> {
    if matches!(node.content, Content::Null) && is_replaced {
        return Ok(None);
    }
    let parsed: TargetInFile = words::parse(&[], node, node.at, "a target")?;
    Ok(parsed.selector())
}

/// The halt conditions, each the line that `--halt-if` takes.
/// `on-target-exit: end`
fn on_target_exit(fields: &Fields<'_>) -> Result<OnTargetExit, Complaint> {
    let Some(node) = fields.get("on-target-exit") else {
        return Ok(OnTargetExit::default());
    };
    match node.text("on-target-exit")? {
        "end" => Ok(OnTargetExit::End),
        "wait" => Ok(OnTargetExit::Wait),
        other => {
            let sentence = format!(
                "`on-target-exit` is `end` or `wait`, and not `{}`; write one of them",
                crate::printable::line(other)
            );
            Err(Complaint::at(node.at, sentence))
        }
    }
}

fn time(fields: &Fields<'_>) -> Result<Duration, Complaint> {
    time_of(fields, "duration")?.ok_or_else(|| {
        let sentence = format!(
            "{} needs a `duration`, as in `duration: 30s`; add it",
            fields.what
        );
        Complaint::at(fields.at, sentence)
    })
}

/// A time under a name, where it is there; never zero.
fn time_of(fields: &Fields<'_>, name: &str) -> Result<Option<Duration>, Complaint> {
    let Some(node) = fields.get(name) else {
        return Ok(None);
    };
    let time = duration::parse(node.text(name)?).map_err(|error| Complaint::at(node.at, error))?;
    if time.is_zero() {
        let sentence = format!("a `{name}` of zero is no time; write a longer one");
        return Err(Complaint::at(node.at, sentence));
    }
    Ok(Some(time))
}

/// `net.delay: {...}`, or `net.blackhole` where it needs no parameters.
fn fault(node: &Node, targets: &[Target], step: Duration) -> Result<Fault, Complaint> {
    let empty = Node {
        at: node.at,
        content: Content::Map(Vec::new()),
    };
    let (name, parameters) = match &node.content {
        Content::Scalar(name) => (name, &empty),
        Content::Map(entries) if entries.len() == 1 => {
            let (name, parameters) = &entries[0];
            let is_bare = matches!(parameters.content, Content::Null);
            (&name.text, if is_bare { &empty } else { parameters })
        }
        _ => {
            let sentence = "a fault is one name with its parameters, as in \
                            `- net.delay: {latency: 500ms}`; give each fault a `-` of its own";
            return Err(Complaint::at(node.at, sentence));
        }
    };
    let path: Vec<&str> = name.split('.').collect();
    let what = format!("`{name}`");
    let asked = ramps::asked(parameters, step)?;
    let parse = |parameters: &Node| {
        let parsed: FaultInFile = words::parse(&path, parameters, node.at, &what)?;
        Ok(parsed.split())
    };
    let (fault, target) = ramps::between(parameters, &asked, parse)?;
    let target = index(target.as_deref(), targets, parameters, node.at)?;
    let fault = Fault { target, ..fault };
    fault
        .check()
        .and_then(|()| fault.check_on(&targets[fault.target]))
        .map_err(|error| Complaint::at(node.at, error))?;
    Ok(fault)
}

/// The position of the target that a fault names, or of the only one.
fn index(
    name: Option<&str>,
    targets: &[Target],
    parameters: &Node,
    at: Place,
) -> Result<usize, Complaint> {
    let names = targets.iter().map(|target| target.name.as_str());
    match name {
        None if targets.len() == 1 => Ok(0),
        None => {
            let known = names.collect::<Vec<_>>().join(", ");
            let sentence =
                format!("the fault needs a `target`, since there are several: {known}; add it");
            Err(Complaint::at(at, sentence))
        }
        Some(name) => names
            .clone()
            .position(|known| known == name)
            .ok_or_else(|| {
                let hint = nearest::hint(name, names);
                let at = parameters.value_place("target").unwrap_or(at);
                Complaint::at(at, format!("no target is called `{name}`; {hint}"))
            }),
    }
}

#[cfg(test)]
mod tests;
