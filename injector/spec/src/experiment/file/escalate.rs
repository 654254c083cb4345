//! `escalate`: whom a decision is asked of, one after the other.
//!
//! ```yaml
//! escalate: [ {to: on-call, within: 5m}, {to: team-lead, within: 10m} ]
//! ```
//! That the host's configuration has notifiers of these names is for its preflight to find out.

use super::{complaint::Complaint, fields::Fields, node::Node, time_of};
use crate::escalation::{EscalationError, EscalationStep, MOST_STEPS, NotifierName};

/// The keys of a step.
pub(super) const STEP: [&str; 2] = ["to", "within"];

/// The steps in their order; none where the file has none.
pub(super) fn escalate(fields: &Fields<'_>) -> Result<Vec<EscalationStep>, Complaint> {
    let Some(node) = fields.get("escalate") else {
        return Ok(Vec::new());
    };
    let items = node.list().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| {
        let sentence = "`escalate` is a list of at least one step, as in `[{to: on-call, within: 5m}]`; write one, or \
                        leave `escalate` out, and that of the configuration is taken";
        Complaint::at(node.at, sentence)
    })?;
    if items.len() > MOST_STEPS {
        return Err(Complaint::at(
            node.at,
            EscalationError::TooMany(items.len()),
        ));
    }
    let mut steps: Vec<EscalationStep> = Vec::new();
    for node in items {
        let (step, to) = one(node)?;
        if steps.iter().any(|before| before.to == step.to) {
            return Err(Complaint::at(to.at, EscalationError::Twice(step.to)));
        }
        steps.push(step);
    }
    Ok(steps)
}

/// A step, and where its name stands.
fn one(node: &Node) -> Result<(EscalationStep, &Node), Complaint> {
    let fields = Fields::of(node, "a step of `escalate`", &STEP)?;
    let missing = |key: &str| {
        let sentence = format!(
            "a step of `escalate` needs `{key}`, as in `{{to: on-call, within: 5m}}`; add it"
        );
        Complaint::at(node.at, sentence)
    };
    let to = fields.get("to").ok_or_else(|| missing("to"))?;
    let name: NotifierName = to
        .text("to")?
        .parse()
        .map_err(|error| Complaint::at(to.at, error))?;
    let within = fields.get("within").ok_or_else(|| missing("within"))?;
    let step = EscalationStep {
        to: name,
        within: time_of(&fields, "within")?.ok_or_else(|| missing("within"))?,
    };
    step.check_within()
        .map_err(|error| Complaint::at(within.at, error))?;
    Ok((step, to))
}
