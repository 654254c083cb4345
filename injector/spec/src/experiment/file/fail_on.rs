//! `fail-on`: flaws of a target on which the run fails.
//!
//! ```yaml
//! fail-on: [retry-storm, hung]
//! ```

use super::{complaint::Complaint, fields::Fields};
use crate::{experiment::Flaw, nearest, printable};

/// Their names, in the order of the file.
pub(super) fn fail_on(fields: &Fields<'_>) -> Result<Vec<Flaw>, Complaint> {
    let Some(node) = fields.get("fail-on") else {
        return Ok(Vec::new());
    };
    let items = node.list().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| {
        let sentence = "`fail-on` is a list of at least one flaw, as in `fail-on: [retry-storm]`; write one, or leave \
                        `fail-on` out";
        Complaint::at(node.at, sentence)
    })?;
    let mut named = Vec::new();
    for node in items {
        let name = node.text("fail-on")?;
        let known = || Flaw::ALL.iter().map(|flaw| flaw.name());
        let found = Flaw::ALL.into_iter().find(|one| one.name() == name);
        let flaw = found.ok_or_else(|| {
            let hint = nearest::hint(name, known());
            let name = printable::line(name);
            Complaint::at(node.at, format!("no flaw is called `{name}`; {hint}"))
        })?;
        if named.contains(&flaw) {
            let sentence = format!("`fail-on` names `{name}` twice; leave one of them");
            return Err(Complaint::at(node.at, sentence));
        }
        named.push(flaw);
    }
    Ok(named)
}
