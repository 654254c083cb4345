//! `handoff` and `success`: what is declared of a target so that two verdicts can be said.
//!
//! ```yaml
//! handoff: { file: /var/log/agent/alerts.log }
//! success:
//!   claim: { file: /var/log/agent/agent.log, lines: "all tests passed" }
//!   effects: [ { file: /srv/out/report.json }, { connect-to: "db.example.com:5432" } ]
//! ```

use super::{complaint::Complaint, fields::Fields, node::Node, operations};
use crate::experiment::sign::{Declared, Sign, SignError, Success};

/// The keys of a sign.
pub(super) const SIGN: [&str; 3] = ["file", "lines", "connect-to"];

/// The keys of `success`.
pub(super) const SUCCESS: [&str; 2] = ["claim", "effects"];

/// What is declared, where something is.
pub(super) fn declared(fields: &Fields<'_>) -> Result<Option<Declared>, Complaint> {
    let handoff = fields.get("handoff").map(sign).transpose()?;
    let success = success(fields)?;
    let is_something = handoff.is_some() || success.is_some();
    Ok(is_something.then_some(Declared { handoff, success }))
}

/// What the target's success is.
fn success(fields: &Fields<'_>) -> Result<Option<Success>, Complaint> {
    let Some(node) = fields.get("success") else {
        return Ok(None);
    };
    let fields = Fields::of(node, "`success`", &SUCCESS)?;
    let effects = match fields.get("effects") {
        None => return Err(Complaint::at(node.at, SignError::Effects(0))),
        Some(node) => {
            let items = node.list().unwrap_or(std::slice::from_ref(node));
            items.iter().map(sign).collect::<Result<_, _>>()?
        }
    };
    let claim = fields.get("claim").map(sign).transpose()?;
    Ok(Some(Success { claim, effects }))
}

fn sign(node: &Node) -> Result<Sign, Complaint> {
    let fields = Fields::of(node, "a sign", &SIGN)?;
    let hosts = match fields.get("connect-to") {
        Some(_) => Some(operations::connect_to(&fields)?),
        None => None,
    };
    let (file, lines) = (fields.text("file")?, fields.text("lines")?);
    Sign::of(file.as_deref(), lines.as_deref(), hosts)
        .map_err(|error| Complaint::at(node.at, error))
}
