//! `method`: what happens, one after the other.

use super::{
    METHOD, Source,
    activity::{Activity, Kind},
    fault::{self, Targets},
    hypothesis::Hypothesis,
    items,
    nodes::{entry, map, text},
    provider::{Process, Provider},
    tolerance,
};
use crate::{
    experiment::file::{
        complaint::Complaint,
        fields::Fields,
        node::{Content, Node, Place, Word},
    },
    nearest, printable,
};

/// How long a command or a probe of the method has where nothing is said: there it has as long as it takes.
const USUAL_TIMEOUT: &str = "1m";

/// What is read of it.
pub(super) struct Method {
    pub(super) steps: Vec<Node>,
    pub(super) targets: Vec<(Word, Node)>,
    pub(super) halt: Vec<Node>,
}

/// A method in the making.
struct Making<'m> {
    source: Source<'m>,
    targets: Targets,
    halt: Vec<Node>,
    steps: Vec<Node>,
}

pub(super) fn read(
    fields: &Fields<'_>,
    hypothesis: &Hypothesis<'_>,
    source: Source<'_>,
) -> Result<Method, Complaint> {
    let activities = items(fields, METHOD)?;
    if activities.is_empty() {
        let sentence = "`method` has no activity, so nothing is tried; add an action, as in `{type: action, name: slow, \
                        provider: {type: process, path: injector, arguments: [net, delay, ...]}}`";
        return Err(Complaint::at(
            fields.key_place(METHOD).unwrap_or(fields.at),
            sentence,
        ));
    }
    let mut making = Making {
        source,
        targets: Targets::default(),
        halt: Vec::new(),
        steps: Vec::new(),
    };
    for node in activities {
        match node.get("ref") {
            None => making.activity(node)?,
            Some(name) => {
                Fields::of(node, "a reference", &["ref"])?;
                // It is asked all the time.
                let wanted = name.text("ref")?;
                if !hypothesis.asks(wanted) {
                    making.activity(referred(wanted, activities, name.at)?)?;
                }
            }
        }
    }
    Ok(Method {
        steps: making.steps,
        targets: making.targets.0,
        halt: making.halt,
    })
}

/// The activity of this name.
fn referred<'n>(name: &str, all: &'n [Node], at: Place) -> Result<&'n Node, Complaint> {
    let name_of = |node: &'n Node| match node.get("name").map(|node| &node.content) {
        Some(Content::Scalar(name)) => Some(name.as_str()),
        _ => None,
    };
    let found = all.iter().find(|node| name_of(node) == Some(name));
    found.ok_or_else(|| {
        let hint = nearest::hint(name, all.iter().filter_map(name_of));
        let name = printable::line(name);
        Complaint::at(at, format!("no activity is called `{name}`; {hint}"))
    })
}

impl Making<'_> {
    fn activity(&mut self, node: &Node) -> Result<(), Complaint> {
        let activity = Activity::read(node, self.source)?;
        self.steps.extend(activity.before.clone());
        match (activity.kind, &activity.provider) {
            (Kind::Action, Provider::Process(process)) if process.is_injector() => {
                let asked = fault::read(process)?;
                self.halt.extend(asked.halt.iter().cloned());
                let mut entries = vec![entry(activity.name.1.at, "name", activity.name.1.clone())];
                entries.extend(asked.step(&mut self.targets));
                self.steps.push(map(activity.at, entries));
            }
            (Kind::Action, Provider::Process(process)) => {
                self.steps
                    .push(command(&activity, process, USUAL_TIMEOUT, self.source)?);
            }
            (Kind::Action, Provider::Http { url, .. }) => {
                let sentence = "an action by http has no step here; have a `process` send it, as in `{type: process, \
                                path: /usr/bin/curl, arguments: [\"-fsS\", \"-X\", \"POST\", ...]}`";
                return Err(Complaint::at(url.at, sentence));
            }
            (Kind::Probe, provider) => {
                let tolerance = activity.tolerance.ok_or_else(|| {
                    let sentence = "a probe of the method without `tolerance` looks at something that nothing hangs on, \
                                    which has no step here; add one, so that the run waits for it, or leave the probe out";
                    Complaint::at(activity.at, sentence)
                })?;
                for (_, asked) in tolerance::probes(provider, tolerance, self.source)? {
                    self.steps.push(gate(&activity, asked));
                }
            }
        }
        self.steps.extend(activity.after.clone());
        Ok(())
    }
}

/// A step that runs a command.
pub(super) fn command(
    activity: &Activity<'_>,
    process: &Process<'_>,
    usual: &str,
    source: Source<'_>,
) -> Result<Node, Complaint> {
    let at = process.at;
    let timeout = process.timeout.clone().unwrap_or_else(|| text(at, usual));
    let run = map(
        at,
        vec![
            entry(at, "command", process.command(source)?),
            entry(timeout.at, "timeout", timeout),
        ],
    );
    Ok(activity.step("run", run))
}

/// A step that waits for a right answer, which it asks for as a probe does.
fn gate(activity: &Activity<'_>, asked: tolerance::Asked) -> Node {
    let at = activity.at;
    let gate = map(
        at,
        vec![
            entry(at, "until", map(at, asked)),
            entry(at, "timeout", text(at, USUAL_TIMEOUT)),
        ],
    );
    activity.step("gate", gate)
}
