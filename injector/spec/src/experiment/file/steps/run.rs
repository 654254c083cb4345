//! `run`: a step that runs a command, and goes on when it has ended with 0.
//!
//! ```yaml
//! - run: { command: ["/usr/bin/systemctl", "restart", "my-agent"], timeout: 10s }
//! ```

use super::{Node, Step, waiting};
use crate::experiment::{
    Gate,
    file::{command, complaint::Complaint, fields::Fields, time_of},
};

/// The keys of a step that runs a command.
pub(in crate::experiment::file) const STEP: [&str; 2] = ["name", "run"];

/// The keys of `run`, all of which have to be there.
pub(in crate::experiment::file) const RUN: [&str; 2] = ["command", "timeout"];

/// The step.
pub(super) fn step(node: &Node) -> Result<Step, Complaint> {
    let fields = Fields::of(node, "a step that runs a command", &STEP)?;
    let name = fields.text("name")?.unwrap_or_else(|| "run".to_owned());
    let node = fields.get("run").unwrap_or(node);
    let run = Fields::of(node, "`run`", &RUN)?;
    let words = run.get("command").ok_or_else(|| {
        let sentence = "`run` needs `command`, the program by its whole path with its arguments, as in `{command: \
                        [\"/bin/true\"], timeout: 10s}`; add it";
        Complaint::at(node.at, sentence)
    })?;
    let gate = Gate::Run(command::words(words)?);
    gate.check()
        .map_err(|error| Complaint::at(words.at, error))?;
    let duration = time_of(&run, "timeout")?.ok_or_else(|| {
        let sentence = "`run` without `timeout` could run for ever; add one, as in `timeout: 10s`";
        Complaint::at(node.at, sentence)
    })?;
    Ok(waiting(name, duration, gate))
}
