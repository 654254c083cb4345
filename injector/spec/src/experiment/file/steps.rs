//! `steps`: what happens, one after the other.
//!
//! ```yaml
//! steps:
//!   - repeat: 3
//!     pause: 10s
//!     steps:
//!       - { name: slow, duration: 5s, faults: [net.delay: { latency: 1s }] }
//!   - pause: 30s
//!   - name: flapping
//!     duration: 1m
//!     pulse: { on: 5s, off: 10s }
//!     faults: [net.blackhole]
//! ```
//! Blocks that are repeated, [branches](parallel), pauses and pulses become plain steps here, so that nothing behind the reader knows of them:
//! plan, policy, run and report see `slow (2 of 3)`, as if a person had written it three times. Each repetition of a fault
//! is a fault of its own, with its own counters and its own place among the [`SLOTS`] of its target.
//!
//! Rejected: loops that the run walks. A fault of such a step would be on again with counters that are spent.

pub(super) mod gate;
mod parallel;
mod pulse;
mod repeat;
pub(super) mod run;

use super::{
    complaint::Complaint,
    fault,
    fields::Fields,
    node::{Node, Place, Word},
    time, time_of,
};
use crate::experiment::{Fault, Gate, LONGEST_NAME, MOST_STEPS, SLOTS, Step, Target};

pub(super) use self::{parallel::PARALLEL, pulse::PULSE, repeat::REPEAT};

/// The keys of a step.
pub(super) const STEP: [&str; 4] = ["name", "duration", "faults", "pulse"];

/// The keys of a pause.
pub(super) const PAUSE: [&str; 2] = ["name", "pause"];

/// Steps as a run walks them.
pub(super) struct Walk {
    pub(super) steps: Vec<Step>,
    /// What the file begins with.
    pub(super) first: Ground,
    /// What it ends with.
    pub(super) last: Ground,
}

/// What an end of the walk is to a steady state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// A quiet time that is written as such.
    Quiet,
    /// Anything else: faults, a gate, a command, or the rest of a pulse or of a block, which no person meant for a baseline or a recovery.
    Faults,
}

impl Ground {
    const fn of(steps: &[Step]) -> Self {
        match steps {
            [step] if step.faults.is_empty() && step.gate.is_none() => Self::Quiet,
            _ => Self::Faults,
        }
    }
}

impl Walk {
    /// The walk of an experiment that is one step.
    pub(super) fn of(step: Step) -> Self {
        let ground = Ground::of(std::slice::from_ref(&step));
        Self {
            steps: vec![step],
            first: ground,
            last: ground,
        }
    }
}

/// The list under `steps` of the experiment.
pub(super) fn steps(node: &Node, around: &Around<'_>) -> Result<Walk, Complaint> {
    let mut walk = Walk {
        steps: Vec::new(),
        first: Ground::Faults,
        last: Ground::Faults,
    };
    for (node, steps) in written(node, around)? {
        walk.last = match Shape::of(node) {
            Shape::Repeat | Shape::Parallel => Ground::Faults,
            // What puts a system right again behind its recovery leaves that one.
            Shape::Run if !walk.steps.is_empty() => walk.last,
            Shape::Pause | Shape::Step | Shape::Gate | Shape::Run => Ground::of(&steps),
        };
        if walk.steps.is_empty() {
            walk.first = walk.last;
        }
        walk.steps.extend(steps);
        check(&walk.steps, node.at, around.targets)?;
    }
    Ok(walk)
}

/// Whether a list of steps has commands, and no faults: nothing of it needs a target.
pub(super) fn are_commands(node: &Node) -> bool {
    has(node, "run") && !has(node, "faults")
}

/// Whether any step of a list has this key, in blocks and branches too.
fn has(steps: &Node, key: &str) -> bool {
    let items = steps.list().unwrap_or_default();
    items.iter().any(|item| {
        let branches = item
            .get("parallel")
            .and_then(Node::list)
            .unwrap_or_default();
        item.get(key).is_some()
            || item.get("steps").is_some_and(|inner| has(inner, key))
            || branches.iter().any(|branch| has(branch, key))
    })
}

/// What steps refer to.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) targets: &'a [Target],
    /// The probes of the file.
    pub(super) probes: &'a [(Word, Node)],
    pub(super) unnamed: Unnamed,
}

/// What a step is called to which the file gives no name.
#[derive(Clone, Copy)]
pub(super) enum Unnamed {
    /// By its number, or by what it is.
    Numbered,
    /// Nothing: the step of a branch, which the names of other branches stand for.
    Blank,
}

impl Unnamed {
    fn name(self, usual: impl Into<String>) -> String {
        match self {
            Self::Numbered => usual.into(),
            Self::Blank => String::new(),
        }
    }
}

/// The name of one of several steps that come of one; one without a name stays without.
fn numbered(name: &str, number: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!("{name} ({number})")
    }
}

/// What an item of the list is.
#[derive(Clone, Copy)]
enum Shape {
    Step,
    Pause,
    Repeat,
    Parallel,
    Gate,
    Run,
}

impl Shape {
    fn of(node: &Node) -> Self {
        let has = |key| node.get(key).is_some();
        if has("parallel") {
            Self::Parallel
        } else if has("repeat") || has("steps") {
            Self::Repeat
        } else if has("gate") {
            Self::Gate
        } else if has("run") {
            Self::Run
        } else if has("pause") {
            Self::Pause
        } else {
            Self::Step
        }
    }
}

/// Each item of a list with the steps that it becomes.
fn written<'n>(
    node: &'n Node,
    around: &Around<'_>,
) -> Result<Vec<(&'n Node, Vec<Step>)>, Complaint> {
    let items = node.list().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| {
        let sentence = "`steps` is a list of at least one step, each with a `duration`; write one";
        Complaint::at(node.at, sentence)
    })?;
    let read = |(index, node): (usize, &'n Node)| {
        let steps = match Shape::of(node) {
            Shape::Repeat => repeat::block(node, around)?,
            Shape::Parallel => parallel::block(node, index, around)?,
            Shape::Pause => vec![pause(node, around.unnamed)?],
            Shape::Gate => vec![gate::step(node, around.probes)?],
            Shape::Run => vec![run::step(node)?],
            Shape::Step => {
                let fields = Fields::of(node, "a step", &STEP)?;
                let name = fields.text("name")?;
                let usual = || around.unnamed.name(format!("step {}", index + 1));
                let name = name.unwrap_or_else(usual);
                pulse::step(&fields, name, around.targets)?
            }
        };
        Ok((node, steps))
    };
    items.iter().enumerate().map(read).collect()
}

/// `- pause: 30s`
fn pause(node: &Node, unnamed: Unnamed) -> Result<Step, Complaint> {
    let fields = Fields::of(node, "a pause", &PAUSE)?;
    let name = fields.text("name")?;
    let name = name.unwrap_or_else(|| unnamed.name("pause"));
    // It is there: that made it a pause.
    let duration = time_of(&fields, "pause")?.unwrap_or_default();
    Ok(quiet(name, duration))
}

fn quiet(name: String, duration: std::time::Duration) -> Step {
    Step {
        name,
        duration,
        faults: Vec::new(),
        gate: None,
    }
}

/// A step that waits, at most for so long.
fn waiting(name: String, longest: std::time::Duration, gate: Gate) -> Step {
    Step {
        gate: Some(gate),
        ..quiet(name, longest)
    }
}

/// A step without `pulse`; one without `faults` is a quiet time, and one with an empty list was not thought to its end.
pub(super) fn step(
    fields: &Fields<'_>,
    name: String,
    targets: &[Target],
) -> Result<Step, Complaint> {
    let duration = time(fields)?;
    Ok(Step {
        name,
        duration,
        faults: faults(fields, targets, duration)?,
        gate: None,
    })
}

/// The faults of a step, which are on for so long.
fn faults(
    fields: &Fields<'_>,
    targets: &[Target],
    on: std::time::Duration,
) -> Result<Vec<Fault>, Complaint> {
    let Some(node) = fields.get("faults") else {
        return Ok(Vec::new());
    };
    let items = node.list().filter(|items| !items.is_empty()).ok_or_else(|| {
        let sentence = "`faults` is a list of at least one fault, as in `- net.delay: {latency: 500ms}`; write \
                        one, or leave `faults` out for a quiet time";
        Complaint::at(node.at, sentence)
    })?;
    items.iter().map(|node| fault(node, targets, on)).collect()
}

/// Refuses what has become too much, at the place where it did.
fn check(steps: &[Step], at: Place, targets: &[Target]) -> Result<(), Complaint> {
    if steps.len() > MOST_STEPS {
        return Err(too_many(steps.len(), at));
    }
    let is_long = |step: &&Step| step.name.chars().count() > LONGEST_NAME;
    if steps.iter().any(|step| is_long(&step)) {
        let sentence = format!(
            "the name of a step has more than {LONGEST_NAME} characters, with the number of its repetition or the \
             names of the branches beside it; give it a shorter one"
        );
        return Err(Complaint::at(at, sentence));
    }
    for (index, target) in targets.iter().enumerate() {
        let faults = steps.iter().flat_map(|step| &step.faults);
        let count = faults.filter(|fault| fault.target == index).count();
        if count > SLOTS {
            let sentence = format!(
                "target `{}` has {count} faults up to here, and at most {SLOTS} over all steps; a fault that is \
                 repeated counts each time, so repeat it less often, or split the experiment",
                target.name
            );
            return Err(Complaint::at(at, sentence));
        }
    }
    Ok(())
}

fn too_many(count: usize, at: Place) -> Complaint {
    let sentence = format!(
        "that makes {count} steps, and an experiment has at most {MOST_STEPS}; repeat less often, or split it"
    );
    Complaint::at(at, sentence)
}
