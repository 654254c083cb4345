//! A program with its arguments, as `["/usr/local/bin/check", "--fast"]`.

use super::{complaint::Complaint, node::Node};

/// The words; that they name a program is for the caller to check.
pub(super) fn words(node: &Node) -> Result<Vec<String>, Complaint> {
    let Some(items) = node.list() else {
        let sentence = "`command` is a list of the program and its arguments, as in \
                        `[\"/usr/local/bin/check\", \"--fast\"]`; write it so";
        return Err(Complaint::at(node.at, sentence));
    };
    items
        .iter()
        .map(|item| item.text("command").map(str::to_owned))
        .collect()
}
