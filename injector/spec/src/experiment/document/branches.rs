//! Steps whose faults stay on, written as the branches that a file has for them.

use std::time::Duration;

use super::{
    Document,
    write::{Fields, put},
};
use crate::{
    experiment::{Experiment, Fault, Step},
    quantity::duration,
};

/// A fault with the place of its step, and what stands for it in the document.
pub(super) type Written<'a> = (usize, &'a Fault, Document);

/// A branch in the making: faults that begin and end together.
struct Branch {
    first: usize,
    last: usize,
    faults: Vec<Document>,
}

/// Where the block ends that begins with this step: the step itself, where none of its faults stays on.
pub(super) fn end_of_block(experiment: &Experiment, first: usize) -> usize {
    let mut last = first;
    for (index, step) in experiment.steps.iter().enumerate().skip(first) {
        if index > last {
            break;
        }
        let until = step.faults.iter().map(|fault| fault.last_step(index)).max();
        last = until.map_or(last, |until| until.max(last));
    }
    // An experiment that was not checked may say more steps than there are.
    last.min(experiment.steps.len().saturating_sub(1))
}

/// The block of these steps: one branch has all their names and what ends with its step, and one more each the faults
/// that have a longer time in common.
pub(super) fn block(steps: &[Step], first: usize, faults: Vec<Written<'_>>) -> Document {
    let mut own: Vec<Vec<Document>> = steps.iter().map(|_| Vec::new()).collect();
    let mut branches: Vec<Branch> = Vec::new();
    for (step, fault, document) in faults {
        let from = step - first;
        let last = (fault.last_step(step) - first).min(steps.len().saturating_sub(1));
        if from == last {
            own[from].push(document);
            continue;
        }
        match branches
            .iter_mut()
            .find(|one| (one.first, one.last) == (from, last))
        {
            Some(branch) => branch.faults.push(document),
            None => branches.push(Branch {
                first: from,
                last,
                faults: vec![document],
            }),
        }
    }
    let named = steps.iter().zip(own);
    let named = named.map(|(step, faults)| written(Some(&step.name), step.duration, faults));
    let others = branches.into_iter().map(|branch| {
        let (before, on) = steps[..=branch.last].split_at(branch.first);
        // One pause for each step of the first branch: none is longer than a step may be.
        let pauses = before.iter().map(|step| {
            let pause = Document::text(duration::format(step.duration));
            Document::object([("pause", pause)])
        });
        let on = on.iter().map(|step| step.duration).sum();
        let step = written(None, on, branch.faults);
        Document::List(pauses.chain([step]).collect())
    });
    let branches = std::iter::once(Document::List(named.collect())).chain(others);
    Document::object([("parallel", Document::List(branches.collect()))])
}

/// A step that is no gate.
pub(super) fn written(name: Option<&str>, length: Duration, faults: Vec<Document>) -> Document {
    let mut fields = Fields::new();
    if let Some(name) = name {
        put(&mut fields, "name", Document::text(name));
    }
    put(
        &mut fields,
        "duration",
        Document::text(duration::format(length)),
    );
    if !faults.is_empty() {
        put(&mut fields, "faults", Document::List(faults));
    }
    Document::Object(fields)
}
