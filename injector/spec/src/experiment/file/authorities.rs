//! Files of authorities that probes name: whether the process that reads the file can read them.
//!
//! It is asked here for the place in the file. The run asks again, for it may be another process that carries it out, and
//! for conditions and gates, which name a probe in a line.

use std::path::Path;

use super::{
    complaint::Complaint,
    node::{Content, Node},
    probe,
};

/// Asks for each file that a probe under `probes` names.
pub(super) fn check(
    root: &Node,
    is_readable: fn(&Path) -> Result<(), String>,
) -> Result<(), Complaint> {
    let Some(Content::Map(probes)) = root.get("probes").map(|node| &node.content) else {
        return Ok(());
    };
    for (name, node) in probes {
        let question = probe::question(&name.text, node)?;
        if let Some(ca) = question.probe.ca() {
            let at = node.get("ca").map_or(node.at, |node| node.at);
            is_readable(ca).map_err(|why| Complaint::at(at, why))?;
        }
    }
    Ok(())
}
