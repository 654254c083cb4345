//! `notify`: which notifiers of the configuration hear of the run.
//!
//! ```yaml
//! notify: [webhook, journald]
//! ```
//! That the host's configuration has them is for its preflight to find out.

use super::{complaint::Complaint, fields::Fields};
use crate::{config::Channel, nearest, printable};

/// Their names, in the order of the file; none where it names none, which means all.
pub(super) fn notify(fields: &Fields<'_>) -> Result<Vec<Channel>, Complaint> {
    let Some(node) = fields.get("notify") else {
        return Ok(Vec::new());
    };
    let items = node.list().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| {
        let sentence = "`notify` is a list of at least one notifier, as in `notify: [webhook]`; write one, or leave \
                        `notify` out, and all that the configuration has hear of the run";
        Complaint::at(node.at, sentence)
    })?;
    let mut named = Vec::new();
    for node in items {
        let name = node.text("notify")?;
        let known = || Channel::ALL.iter().map(|channel| channel.name());
        let found = Channel::ALL.into_iter().find(|one| one.name() == name);
        let channel = found.ok_or_else(|| {
            let hint = nearest::hint(name, known());
            let name = printable::line(name);
            Complaint::at(node.at, format!("no notifier is called `{name}`; {hint}"))
        })?;
        if named.contains(&channel) {
            let sentence = format!("`notify` names `{name}` twice; leave one of them");
            return Err(Complaint::at(node.at, sentence));
        }
        named.push(channel);
    }
    Ok(named)
}
