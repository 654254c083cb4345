//! `rollbacks` and `runtime`: what is run behind the method, and when.
//!
//! There rollbacks are run behind the method, and not where it failed or was interrupted. Here the commands of `rollback`
//! are for a breach, and steps at the end for a run that ended as planned, so each of them is both. Nothing here is run
//! after a run that a person stopped, so `always` is refused, and nothing for a deviation alone, so `deviated` is, too.

use super::{
    Source,
    activity::{Activity, Kind},
    items,
    method::command,
    nodes::{entry, map},
    provider::Provider,
};
use crate::{
    experiment::file::{complaint::Complaint, fields::Fields, node::Node},
    printable,
};

/// How long a command has where nothing is said, as those of `rollback` do.
const USUAL_TIMEOUT: &str = "10s";

/// The keys of a strategy; how often a steady state is asked is the extension's to say.
const STRATEGY: [&str; 4] = ["strategy", "frequency", "fail_fast", "fail_fast_ratio"];

/// What is read of them.
pub(super) struct Rollbacks {
    /// For `rollback`.
    pub(super) commands: Vec<Node>,
    /// The same as steps.
    pub(super) steps: Vec<Node>,
}

pub(super) fn read(fields: &Fields<'_>, source: Source<'_>) -> Result<Rollbacks, Complaint> {
    check_runtime(fields)?;
    let mut rollbacks = Rollbacks {
        commands: Vec::new(),
        steps: Vec::new(),
    };
    for node in items(fields, "rollbacks")? {
        if let Some(name) = node.get("ref") {
            let sentence =
                "a rollback is written out, and not referred to; put the action here in its place";
            return Err(Complaint::at(name.at, sentence));
        }
        let activity = Activity::read(node, source)?;
        let process = match (activity.kind, &activity.provider) {
            (Kind::Action, Provider::Process(process)) if !process.is_injector() => process,
            (Kind::Action | Kind::Probe, _) => {
                let sentence = "a rollback is an action that runs a program other than injector, whose faults end by \
                                themselves; write one with a process provider, or leave it out";
                return Err(Complaint::at(activity.at, sentence));
            }
        };
        if let Some(pause) = activity.before.as_ref().or(activity.after.as_ref()) {
            let sentence = "rollbacks are run one after the other without `pauses`; leave them out";
            return Err(Complaint::at(pause.at, sentence));
        }
        let at = process.at;
        let mut entries = vec![entry(at, "command", process.command(source)?)];
        let within = process.timeout.iter();
        entries.extend(within.map(|time| entry(time.at, "within", time.clone())));
        rollbacks.commands.push(map(at, entries));
        rollbacks
            .steps
            .push(command(&activity, process, USUAL_TIMEOUT, source)?);
    }
    Ok(rollbacks)
}

/// Refuses what `runtime` says and no run here does.
fn check_runtime(fields: &Fields<'_>) -> Result<(), Complaint> {
    let Some(runtime) = fields.get("runtime") else {
        return Ok(());
    };
    let runtime = Fields::of(runtime, "`runtime`", &["hypothesis", "rollbacks"])?;
    if let Some((word, node)) = strategy(&runtime, "hypothesis")?
        && !matches!(word, "default" | "continuously")
    {
        let word = printable::line(word);
        let sentence = format!(
            "the steady state is asked for the whole run here, and not as by `{word}`; write `default` or `continuously`"
        );
        return Err(Complaint::at(node.at, sentence));
    }
    match strategy(&runtime, "rollbacks")? {
        None | Some(("default", _)) => Ok(()),
        Some((other, node)) => {
            let other = printable::line(other);
            let sentence = format!(
                "rollbacks are run behind a run that ended as planned and after a breach, and not as by `{other}`; leave \
                 `rollbacks` of `runtime` out, and after a stop put right by hand what the method has changed"
            );
            Err(Complaint::at(node.at, sentence))
        }
    }
}

fn is_false(node: &Node) -> bool {
    node.text("").is_ok_and(|text| text == "false")
}

/// A strategy, with its place.
fn strategy<'n>(runtime: &Fields<'n>, key: &str) -> Result<Option<(&'n str, &'n Node)>, Complaint> {
    let Some(node) = runtime.get(key) else {
        return Ok(None);
    };
    let fields = Fields::of(node, "a strategy", &STRATEGY)?;
    for key in ["fail_fast", "fail_fast_ratio"] {
        if let Some(node) = fields.get(key).filter(|node| !is_false(node)) {
            let sentence = format!(
                "the steady state ends no run by itself here, as `{key}` has it; leave it out, and convert the experiment \
                 to give it a condition under `halt`, as in `health fails 3`"
            );
            return Err(Complaint::at(node.at, sentence));
        }
    }
    let found = fields.get("strategy");
    found
        .map(|node| Ok((node.text("strategy")?, node)))
        .transpose()
}
