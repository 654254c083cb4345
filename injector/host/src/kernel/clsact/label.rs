//! What a run writes on its filters: whose they are, and where the qdisc comes from.
//!
//! The kernel keeps it with the filter (`tc filter show` prints it as its name), so other runs and the cleanup read it
//! without a disk.

use std::{fmt, str::FromStr};

use injector_plan::at_devices::Clsact;

/// What a label begins with; the run's name follows.
const PREFIX: &str = "injector run ";

/// What follows the run's name, by where the qdisc comes from.
const MADE: &str = "clsact-made";
const FOUND: &str = "clsact-found";

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The run's name.
    pub run: String,
    /// Where the qdisc comes from.
    pub clsact: Clsact,
}

/// A text that is no label of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a label of injector's")]
pub struct NotOurs;

impl fmt::Display for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clsact = match self.clsact {
            Clsact::Made => MADE,
            Clsact::Found => FOUND,
        };
        write!(out, "{PREFIX}{} {clsact}", self.run)
    }
}

impl FromStr for Label {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(PREFIX).ok_or(NotOurs)?;
        let (run, clsact) = rest.split_once(' ').ok_or(NotOurs)?;
        let clsact = match clsact {
            MADE => Clsact::Made,
            FOUND => Clsact::Found,
            _ => return Err(NotOurs),
        };
        if run.is_empty() {
            return Err(NotOurs);
        }
        Ok(Self {
            run: run.to_owned(),
            clsact,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_reads_as_it_was_written() {
        for clsact in [Clsact::Made, Clsact::Found] {
            let label = Label {
                run: "r000000010001".into(),
                clsact,
            };
            // CLS_BPF_NAME_LEN of net/sched/cls_bpf.c, its closing zero included.
            assert!(label.to_string().len() < 256);
            assert_eq!(label.to_string().parse(), Ok(label));
        }
        for foreign in [
            "",
            "bpf_lxc.o:[from-container]",
            "injector run ",
            "injector run  clsact-made",
            "injector run r1",
            "injector run r1 clsact-made too",
        ] {
            assert_eq!(foreign.parse::<Label>(), Err(NotOurs), "{foreign}");
        }
    }
}
