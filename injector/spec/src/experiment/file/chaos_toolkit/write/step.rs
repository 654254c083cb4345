//! Steps as actions of a method, and quiet times as the pauses around them.

use std::time::Duration;

use super::{ChaosToolkitError, Document, Fields, put, seconds, text};
use crate::{
    experiment::{Fault, Follow, Gate, Many, Selector, Step, Target},
    printable,
    quantity::duration,
};

/// Whether nothing happens in a step.
pub(super) const fn is_quiet(step: &Step) -> bool {
    step.faults.is_empty() && step.gate.is_none()
}

/// An action with the pauses around it.
struct Action {
    before: Duration,
    after: Duration,
    fields: Fields,
}

/// The activities of a method. A quiet time is the pause behind the action in front of it; those without one are in front
/// of the next action, together.
pub(super) fn method(steps: &[Step], targets: &[Target]) -> Result<Document, ChaosToolkitError> {
    let mut actions: Vec<Action> = Vec::new();
    let mut before = Duration::ZERO;
    for (index, step) in steps.iter().enumerate() {
        if step.runs() && steps[index..].iter().any(|step| !step.faults.is_empty()) {
            // There a program that fails is told, and what is behind it comes nevertheless.
            let what = "a command that keeps the faults behind it from beginning where it fails";
            return Err(ChaosToolkitError::new(what, "put it behind the faults"));
        }
        if is_quiet(step) {
            match actions.last_mut() {
                Some(last) if last.after.is_zero() => last.after = step.duration,
                Some(_) | None => before += step.duration,
            }
            continue;
        }
        let provider = provider(step, targets)?;
        actions.push(Action {
            before: std::mem::take(&mut before),
            after: Duration::ZERO,
            fields: fields(&step.name, provider),
        });
    }
    let Some(last) = actions.last_mut() else {
        let what = "an experiment in which nothing is tried";
        return Err(ChaosToolkitError::new(what, "give a step a fault"));
    };
    last.after += before;
    Ok(Document::List(
        actions.into_iter().map(Action::document).collect(),
    ))
}

impl Action {
    fn document(self) -> Document {
        let mut fields = self.fields;
        let ends = [("before", self.before), ("after", self.after)];
        let pauses = ends.into_iter().filter(|(_, time)| !time.is_zero());
        let pauses: Fields = pauses
            .map(|(key, time)| (key.to_owned(), seconds(time)))
            .collect();
        if !pauses.is_empty() {
            put(&mut fields, "pauses", Document::Object(pauses));
        }
        Document::Object(fields)
    }
}

fn fields(name: &str, provider: Document) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "type", text("action"));
    put(&mut fields, "name", text(name));
    put(&mut fields, "provider", provider);
    fields
}

/// An action without pauses.
pub(super) fn action(name: &str, provider: Document) -> Document {
    Document::Object(fields(name, provider))
}

/// A command behind the recovery as a rollback.
pub(super) fn rollback(step: &Step) -> Result<Document, ChaosToolkitError> {
    let command = match &step.gate {
        Some(Gate::Run(command)) => &command[..],
        Some(Gate::Until(_) | Gate::Approve) | None => &[],
    };
    let provider = command_of(command, step.duration)?;
    Ok(action(&step.name, provider))
}

/// A program with its arguments, the first of these words.
pub(super) fn process(
    words: &[String],
    timeout: Option<Duration>,
) -> Result<Document, ChaosToolkitError> {
    let (path, arguments) = words
        .split_first()
        .map_or(("", &[][..]), |(path, rest)| (path.as_str(), rest));
    if arguments.iter().any(String::is_empty) {
        let what = format!(
            "an argument with nothing in it (`{}`)",
            printable::line(path)
        );
        return Err(ChaosToolkitError::new(what, "leave it out"));
    }
    let mut fields = Fields::new();
    put(&mut fields, "type", text("process"));
    put(&mut fields, "path", text(path));
    if !arguments.is_empty() {
        let arguments = arguments.iter().map(text).collect();
        put(&mut fields, "arguments", Document::List(arguments));
    }
    if let Some(timeout) = timeout {
        put(&mut fields, "timeout", seconds(timeout));
    }
    Ok(Document::Object(fields))
}

/// A command that is run; `injector` is a fault among the actions.
pub(super) fn command_of(
    words: &[String],
    within: Duration,
) -> Result<Document, ChaosToolkitError> {
    let program = words.first().and_then(|path| path.rsplit('/').next());
    if program == Some("injector") {
        let what = "a command that is injector itself";
        return Err(ChaosToolkitError::new(what, "leave it out"));
    }
    process(words, Some(within))
}

/// What carries a step out.
fn provider(step: &Step, targets: &[Target]) -> Result<Document, ChaosToolkitError> {
    let cannot = |what: &str, remedy| {
        let what = format!("{what} (step `{}`)", printable::line(&step.name));
        Err(ChaosToolkitError::new(what, remedy))
    };
    match (&step.gate, &step.faults[..]) {
        (Some(Gate::Run(command)), _) => command_of(command, step.duration),
        (Some(Gate::Until(_) | Gate::Approve), _) => cannot("a gate", "leave the gate out"),
        (None, faults) if faults.iter().any(|fault| fault.stays_on > 0) => {
            cannot("branches", "write their steps one after the other")
        }
        (None, [fault]) if !fault.ramps.is_empty() => cannot("a ramp", "write one value"),
        (None, [fault]) => process(&words(fault, step.duration, targets), None),
        (None, _) => cannot("several faults at once", "give each a step of its own"),
    }
}

/// The command line of a fault.
fn words(fault: &Fault, lasts: Duration, targets: &[Target]) -> Vec<String> {
    let mut words = vec!["injector".to_owned()];
    let described = fault.describe();
    words.extend(described.words(fault.kind.name()));
    if let Some(target) = targets.get(fault.target) {
        words.extend(selector(&target.selector));
    }
    words.push(format!("--duration={}", duration::format(lasts)));
    words
}

fn selector(selector: &Selector) -> Vec<String> {
    let (mut words, follow) = match selector {
        Selector::Pids {
            pids,
            follow,
            pick: _,
        } => {
            let pids = pids.iter().map(|pid| format!("--pid={pid}"));
            (pids.collect(), *follow)
        }
        Selector::Cgroup(path) => (
            vec![format!("--cgroup={}", path.display())],
            Follow::Process,
        ),
        Selector::Unit(name) => (vec![format!("--unit={name}")], Follow::Process),
        Selector::Container(id) => (vec![format!("--container={id}")], Follow::Process),
        Selector::Process {
            pattern,
            many,
            follow,
            pick: _,
        } => {
            let mut words = vec![format!("--process={pattern}")];
            match many {
                Many::ExactlyOne => {}
                Many::All => words.push("--all".to_owned()),
            }
            (words, *follow)
        }
    };
    match follow {
        Follow::Process => {}
        Follow::Tree => words.push("--tree".to_owned()),
    }
    if let Some(pick) = selector.pick() {
        words.push(format!("--pick={}", pick.portion));
        words.extend(pick.seed.map(|seed| format!("--pick-seed={seed}")));
    }
    words
}
