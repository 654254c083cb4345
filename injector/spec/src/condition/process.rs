//! What is asked about processes: whether they are there, how often they came back, and what each of them holds.

use std::{fmt, path::Path};

use super::{ConditionError, number::Wanted, words};
use crate::{
    experiment::{Follow, Many, Selector},
    quantity::bytes,
};

/// What is asked about processes; each bound says what is right. That at least one is there is always asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessProbe {
    /// Which.
    pub selector: Selector,
    /// How often one of the same name came back after an end, since the first question.
    pub restarts: Option<Wanted<u64>>,
    /// How many files and sockets each of them has open.
    pub descriptors: Option<Wanted<u64>>,
    /// How much memory each of them has resident, in bytes.
    pub rss: Option<Wanted<u64>>,
}

impl ProcessProbe {
    /// Checks what the types alone do not say.
    pub(crate) fn check(&self) -> Result<(), ConditionError> {
        match (&self.selector, &self.restarts) {
            (Selector::Pids { .. }, Some(_)) => Err(ConditionError::NoRestarts),
            (
                Selector::Pids { .. }
                | Selector::Process { .. }
                | Selector::Cgroup(_)
                | Selector::Unit(_)
                | Selector::Container(_),
                _,
            ) => Ok(()),
        }
    }
}

impl fmt::Display for ProcessProbe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |path: &Path| words::word(&path.to_string_lossy());
        let (by, value, many, follow) = match &self.selector {
            Selector::Pids { pids, follow, .. } => {
                let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
                ("pid", pids.join(","), Many::ExactlyOne, *follow)
            }
            Selector::Cgroup(cgroup) => ("cgroup", path(cgroup), Many::ExactlyOne, Follow::Process),
            Selector::Unit(name) => ("unit", words::word(name), Many::ExactlyOne, Follow::Process),
            Selector::Container(id) => {
                let id = words::word(id);
                ("container", id, Many::ExactlyOne, Follow::Process)
            }
            Selector::Process {
                pattern,
                many,
                follow,
                ..
            } => ("process", words::quoted(pattern), *many, *follow),
        };
        write!(out, "process {by} {value}")?;
        if many == Many::All {
            out.write_str(" all")?;
        }
        if follow == Follow::Tree {
            out.write_str(" tree")?;
        }
        for (name, wanted) in [
            ("restarts", &self.restarts),
            ("descriptors", &self.descriptors),
        ] {
            if let Some(wanted) = wanted {
                write!(out, " {name} {wanted}")?;
            }
        }
        match &self.rss {
            Some(Wanted { comparator, number }) => {
                write!(out, " rss {} {}", comparator.sign(), bytes::format(*number))
            }
            None => Ok(()),
        }
    }
}
