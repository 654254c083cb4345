//! `gate`: a step that waits.
//!
//! ```yaml
//! - gate: { until: warm, timeout: 2m }
//! - gate: { until: tcp 127.0.0.1:5432, timeout: 2m }
//! - gate: { approve: true, timeout: 10m }
//! ```

use super::{Node, Step, waiting};
use crate::{
    condition::Question,
    experiment::{
        Gate,
        file::{
            complaint::Complaint,
            fields::Fields,
            node::{Content, Word},
            probe, time_of,
        },
    },
    nearest, printable,
};

/// The keys of a step that waits.
pub(in crate::experiment::file) const STEP: [&str; 2] = ["name", "gate"];

/// The keys of a gate.
pub(in crate::experiment::file) const GATE: [&str; 3] = ["until", "approve", "timeout"];

/// The step; `probes` are those of the file, which a gate may name.
pub(super) fn step(node: &Node, probes: &[(Word, Node)]) -> Result<Step, Complaint> {
    let fields = Fields::of(node, "a gate step", &STEP)?;
    let name = fields.text("name")?.unwrap_or_else(|| "gate".to_owned());
    let node = fields.get("gate").unwrap_or(node);
    let gate = Fields::of(node, "a gate", &GATE)?;
    let opens = match (gate.get("until"), gate.get("approve")) {
        (Some(until), None) => Gate::Until(Box::new(question(until, probes)?)),
        (None, Some(approve)) => {
            if approve.text("approve")? != "true" {
                let sentence = "`approve` is true, for a gate that waits for nothing is none; write that, or `until`";
                return Err(Complaint::at(approve.at, sentence));
            }
            Gate::Approve
        }
        (None, None) | (Some(_), Some(_)) => {
            let sentence = "a gate waits for one of `until`, a probe, and `approve: true`, a person, as in `{until: tcp \
                            127.0.0.1:5432, timeout: 2m}`; write one of them";
            return Err(Complaint::at(node.at, sentence));
        }
    };
    let duration = time_of(&gate, "timeout")?.ok_or_else(|| {
        let sentence =
            "a gate without `timeout` could wait for ever; add one, as in `timeout: 10m`";
        Complaint::at(node.at, sentence)
    })?;
    Ok(waiting(name, duration, opens))
}

/// A probe by its name, by its line, or as a map.
fn question(until: &Node, probes: &[(Word, Node)]) -> Result<Question, Complaint> {
    let Content::Scalar(text) = &until.content else {
        return probe::question("until", until);
    };
    let text = text.trim();
    if let Some((name, node)) = probes.iter().find(|(name, _)| name.text == text) {
        return probe::question(&name.text, node);
    }
    if !text.contains(char::is_whitespace) && !text.is_empty() {
        let known: Vec<&str> = probes.iter().map(|(name, _)| name.text.as_str()).collect();
        let hint = if known.is_empty() {
            "the file has none, so write what is asked, as in `until: tcp 127.0.0.1:5432`"
                .to_owned()
        } else {
            nearest::hint(text, known)
        };
        let text = printable::line(text);
        let sentence = format!("no probe is called `{text}`; {hint}");
        return Err(Complaint::at(until.at, sentence));
    }
    probe::question("until", until)
}

/// The names that the gates of a list of steps give, so that a probe which a gate alone asks is used.
pub(in crate::experiment::file) fn named(steps: &Node) -> Vec<&str> {
    let mut names = Vec::new();
    for item in steps.list().unwrap_or_default() {
        if let Some(until) = item.get("gate").and_then(|gate| gate.get("until"))
            && let Content::Scalar(text) = &until.content
        {
            names.push(text.trim());
        }
        if let Some(inner) = item.get("steps") {
            names.extend(named(inner));
        }
    }
    names
}
