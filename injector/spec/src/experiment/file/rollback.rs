//! `rollback`: programs that are run where the run ends by a breach.
//!
//! ```yaml
//! rollback:
//!   - ["/usr/bin/systemctl", "restart", "my-agent"]
//!   - { command: ["/usr/local/bin/drain", "--stop"], within: 30s }
//! ```

use super::{
    command,
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node},
    time_of,
};
use crate::experiment::rollback::{MOST_COMMANDS, RollbackCommand, RollbackError, USUAL_COMMAND};

/// The keys of a command.
pub(super) const COMMAND: [&str; 2] = ["command", "within"];

/// The commands in their order; none where the file has none.
pub(super) fn rollback(fields: &Fields<'_>) -> Result<Vec<RollbackCommand>, Complaint> {
    let Some(node) = fields.get("rollback") else {
        return Ok(Vec::new());
    };
    let items = node.list().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| {
        let sentence = "`rollback` is a list of at least one command, as in \
                        `- [\"/usr/bin/systemctl\", \"restart\", \"my-agent\"]`; write one, or leave `rollback` out";
        Complaint::at(node.at, sentence)
    })?;
    if items.len() > MOST_COMMANDS {
        return Err(Complaint::at(node.at, RollbackError::TooMany(items.len())));
    }
    items.iter().map(one).collect()
}

/// A list of words, or a map that has one.
fn one(node: &Node) -> Result<RollbackCommand, Complaint> {
    let (words, within) = match &node.content {
        Content::List(_) => (node, None),
        Content::Map(_) => {
            let fields = Fields::of(node, "a command of `rollback`", &COMMAND)?;
            let words = fields.get("command").ok_or_else(|| {
                let sentence = "a command of `rollback` needs `command`, as in `{command: [\"/bin/true\"], within: \
                                10s}`; add it";
                Complaint::at(node.at, sentence)
            })?;
            let within = time_of(&fields, "within")?;
            (words, within.zip(fields.get("within")))
        }
        Content::Null | Content::Scalar(_) => {
            let sentence = "a command of `rollback` is a list of the program and its arguments, which no shell reads, \
                            as in `[\"/usr/bin/systemctl\", \"restart\", \"my-agent\"]`; write it so";
            return Err(Complaint::at(node.at, sentence));
        }
    };
    let command = RollbackCommand {
        command: command::words(words)?,
        within: within.map_or(USUAL_COMMAND, |(time, _)| time),
    };
    command
        .check_command()
        .map_err(|error| Complaint::at(words.at, error))?;
    let at = within.map_or(node.at, |(_, node)| node.at);
    command
        .check_within()
        .map_err(|error| Complaint::at(at, error))?;
    Ok(command)
}
