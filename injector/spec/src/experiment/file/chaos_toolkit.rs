//! Experiments of Chaos Toolkit (<https://chaostoolkit.org/reference/api/experiment>): read, and written.
//!
//! A document of theirs is turned into the nodes of a file of ours, each with its place in the document, and the reader of
//! files reads those. So every refusal of a file is one of a document, too, with line and column, and no part of an
//! experiment has a second reader.
//!
//! Invariants: what would mean something else here is refused by name; what has no effect on a run there either
//! (`version`, `contributions`, the extensions of others) is left out. Reading asks nothing of this machine but what
//! [`Surroundings`] gives.
//!
//! Rejected: their providers in Python, and a shell for arguments that are one text. The one would make an interpreter a
//! part of a process with these privileges, the other what a blank in a name does.

mod activity;
mod configuration;
mod fault;
mod hypothesis;
mod method;
mod nodes;
mod own;
mod provider;
mod rollbacks;
mod surroundings;
mod tags;
#[cfg(test)]
mod tests;
mod tolerance;
mod write;

pub use self::{surroundings::Surroundings, write::ChaosToolkitError};

use self::{
    nodes::{entry, is_empty, map},
    own::Own,
};
use super::{complaint::Complaint, fields::Fields, head, node::Node};

/// The keys of an experiment there.
const EXPERIMENT: [&str; 13] = [
    "version",
    "title",
    "description",
    "tags",
    "contributions",
    "configuration",
    "secrets",
    "steady-state-hypothesis",
    METHOD,
    "rollbacks",
    "runtime",
    "controls",
    "extensions",
];

const METHOD: &str = "method";
const HYPOTHESIS: &str = "steady-state-hypothesis";

/// A document that is being read.
#[derive(Clone, Copy)]
struct Source<'s> {
    text: &'s str,
    surroundings: Surroundings,
    /// Whether `${name}` stands for a value.
    has_variables: bool,
}

/// Whether a document is one of theirs: it has their keys, and does not say that it is one of ours.
pub(super) fn is_one(root: &Node) -> bool {
    root.get(head::KEY).is_none() && (root.get(METHOD).is_some() || root.get(HYPOTHESIS).is_some())
}

/// The file of ours that says the same as a document of theirs.
pub(super) fn translated(
    root: &Node,
    source: &str,
    surroundings: Surroundings,
) -> Result<Node, Complaint> {
    let source = Source {
        text: source,
        surroundings,
        has_variables: root
            .get("configuration")
            .is_some_and(|node| !is_empty(node)),
    };
    let fields = Fields::of(root, "an experiment of Chaos Toolkit", &EXPERIMENT)?;
    refuse(
        &fields,
        "controls",
        "`controls` run code of Chaos Toolkit around each activity, which injector does not do; leave them out",
    )?;
    refuse(
        &fields,
        "secrets",
        "`secrets` come from a store that injector does not ask, and would stand in its journal; leave them out, and \
         let the programs that need one get it themselves",
    )?;
    let at = root.at;
    let own = Own::read(&fields)?;
    let hypothesis = hypothesis::read(&fields, &own, source)?;
    let method = method::read(&fields, &hypothesis, source)?;
    let rollbacks = rollbacks::read(&fields, source)?;
    let mut entries = Vec::new();
    if let Some(title) = fields.get("title") {
        entries.push(entry(title.at, "name", source.literal(title, "title")?));
    }
    let described = fields.get("description").map(|node| (node, "description"));
    if let Some((node, key)) = described.or(hypothesis.title.map(|node| (node, "title"))) {
        entries.push(entry(node.at, "hypothesis", source.literal(node, key)?));
    }
    entries.extend(tags::labels(&fields, source)?);
    entries.extend(configuration::variables(&fields, source)?);
    let is_judged = hypothesis.is_judged();
    entries.extend(hypothesis.entries(&own, source));
    if !method.targets.is_empty() {
        entries.push(entry(at, "targets", map(at, method.targets)));
    }
    if !method.halt.is_empty() {
        entries.push(entry(at, "halt", nodes::list(at, method.halt)));
    }
    let mut steps = method.steps;
    if !rollbacks.steps.is_empty() {
        // What is measured behind the last action comes first, as there.
        if is_judged {
            steps.push(own.recovery_step(at));
        }
        steps.extend(rollbacks.steps);
    } else if is_judged {
        let recovery = own.recovery(at);
        entries.push(entry(recovery.at, "recovery", recovery));
    }
    entries.push(entry(at, "steps", nodes::list(at, steps)));
    if !rollbacks.commands.is_empty() {
        entries.push(entry(at, "rollback", nodes::list(at, rollbacks.commands)));
    }
    Ok(map(at, entries))
}

/// Refuses a key that has something in it.
fn refuse(fields: &Fields<'_>, key: &str, sentence: &str) -> Result<(), Complaint> {
    match (fields.get(key), fields.key_place(key)) {
        (Some(node), Some(at)) if !is_empty(node) => Err(Complaint::at(at, sentence)),
        _ => Ok(()),
    }
}

/// The items of a list that may be missing.
fn items<'n>(fields: &Fields<'n>, key: &str) -> Result<&'n [Node], Complaint> {
    match fields.get(key) {
        None => Ok(&[]),
        Some(node) if is_empty(node) => Ok(&[]),
        Some(node) => node.list().ok_or_else(|| {
            let sentence = format!("`{key}` is a list; write it as one, or leave it out");
            Complaint::at(node.at, sentence)
        }),
    }
}
