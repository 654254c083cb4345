//! `parallel`: branches of steps that begin together.
//!
//! ```yaml
//! - parallel:
//!     - - { name: slow model, duration: 40s, faults: [net.delay: { target: agent, latency: 1s }] }
//!     - - pause: 10s
//!       - { name: full disk, duration: 15s, faults: [io.error: { target: store, path: /data, errno: ENOSPC }] }
//! ```
//! The block becomes plain steps here, one for each time in which nothing begins or ends: `slow model` for 10 s,
//! `slow model + full disk` for 15 s, `slow model (2)` for the rest. A fault that goes on over such a border stays on:
//! it is one fault, with one set of counters, in all of them ([`Fault::stays_on`](crate::experiment::Fault)).
//!
//! Rejected: a tree of steps that the run walks with a thread for each branch. Limits, measures, report and dashboard
//! would each need to know which leaves are on; a list whose faults may stay on says the same.

use std::{collections::BTreeSet, time::Duration};

use super::{Around, Node, Step, Unnamed, too_many, written};
use crate::{
    experiment::{
        Fault, MOST_STEPS,
        file::{complaint::Complaint, fields::Fields},
    },
    printable,
};

/// The keys of a block of branches.
pub(in crate::experiment::file) const PARALLEL: [&str; 1] = ["parallel"];

/// The steps that the branches become.
///
/// `place` is where it stands in its list, from 0: a time in which no branch has a step with a name is called by it.
pub(super) fn block(
    node: &Node,
    place: usize,
    around: &Around<'_>,
) -> Result<Vec<Step>, Complaint> {
    let fields = Fields::of(node, "a block of branches", &PARALLEL)?;
    let list = fields.get("parallel").unwrap_or(node);
    let items = list.list().filter(|items| items.len() > 1).ok_or_else(|| {
        let sentence = "`parallel` is a list of at least two branches, each a list of steps, as in `[[{duration: 5s, \
                        faults: [net.blackhole]}], [{pause: 2s}]]`; write two, or leave `parallel` out";
        Complaint::at(list.at, sentence)
    })?;
    let inside = Around {
        unnamed: Unnamed::Blank,
        ..*around
    };
    let mut branches: Vec<Branch> = Vec::new();
    for item in items {
        let mut steps = Vec::new();
        for (node, more) in written(item, &inside)? {
            if more.iter().any(|step| step.gate.is_some()) {
                let sentence = "a gate in a branch would leave open when the other branches are over; put it in front \
                                of `parallel`, or behind it";
                return Err(Complaint::at(node.at, sentence));
            }
            steps.extend(more);
            if steps.len() > MOST_STEPS {
                return Err(too_many(steps.len(), node.at));
            }
        }
        let branch = Branch::of(steps);
        if let Some(target) = branches.iter().find_map(|other| other.shares(&branch)) {
            let name = around.targets.get(target).map_or("", |target| &target.name);
            let sentence = format!(
                "this branch has a fault on target `{}` while another branch has one on it, too; put both into one \
                 step, where their order is defined, or let one begin when the other is over",
                printable::line(name)
            );
            return Err(Complaint::at(item.at, sentence));
        }
        branches.push(branch);
    }
    let borders: BTreeSet<Duration> = branches
        .iter()
        .flat_map(|branch| branch.borders.iter().copied())
        .collect();
    if borders.len() > MOST_STEPS {
        return Err(too_many(borders.len() - 1, node.at));
    }
    let borders: Vec<Duration> = borders.into_iter().collect();
    let unnamed = around.unnamed.name(format!("parallel {}", place + 1));
    Ok(merged(branches, &borders, &unnamed))
}

/// A branch on the clock of its block.
struct Branch {
    /// Where its steps begin; the last is where it ends.
    borders: Vec<Duration>,
    names: Vec<String>,
    faults: Vec<Lasting>,
}

/// A fault with its time on the clock of the block.
struct Lasting {
    from: Duration,
    to: Duration,
    fault: Fault,
}

impl Branch {
    fn of(steps: Vec<Step>) -> Self {
        let mut borders = vec![Duration::ZERO];
        for step in &steps {
            borders.push(borders[borders.len() - 1] + step.duration);
        }
        let (mut names, mut faults) = (Vec::new(), Vec::new());
        for (index, step) in steps.into_iter().enumerate() {
            names.push(step.name);
            faults.extend(step.faults.into_iter().map(|fault| Lasting {
                from: borders[index],
                to: borders[(index + 1 + fault.stays_on).min(borders.len() - 1)],
                fault,
            }));
        }
        Self {
            borders,
            names,
            faults,
        }
    }

    /// The first target that both have a fault on at one time.
    fn shares(&self, other: &Self) -> Option<usize> {
        let meets = |mine: &Lasting| {
            other.faults.iter().any(|theirs| {
                theirs.fault.target == mine.fault.target
                    && theirs.from < mine.to
                    && mine.from < theirs.to
            })
        };
        let shared = self.faults.iter().find(|mine| meets(mine));
        shared.map(|mine| mine.fault.target)
    }

    /// The name of its step that is on at this time.
    fn name_at(&self, time: Duration) -> Option<&str> {
        let index = self.borders.partition_point(|border| *border <= time);
        let name = self.names.get(index.checked_sub(1)?)?;
        (!name.is_empty()).then_some(name)
    }
}

/// One step for each time between two borders of any branch.
fn merged(branches: Vec<Branch>, borders: &[Duration], unnamed: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for time in borders.windows(2) {
        let named: Vec<&str> = branches
            .iter()
            .filter_map(|branch| branch.name_at(time[0]))
            .collect();
        let name = if named.is_empty() {
            unnamed.to_owned()
        } else {
            named.join(" + ")
        };
        steps.push(Step {
            name: unlike(&steps, name),
            duration: time[1].saturating_sub(time[0]),
            faults: Vec::new(),
            gate: None,
        });
    }
    for lasting in branches.into_iter().flat_map(|branch| branch.faults) {
        let first = borders.partition_point(|border| *border < lasting.from);
        let last = borders.partition_point(|border| *border < lasting.to);
        let stays_on = last.saturating_sub(first + 1);
        steps[first].faults.push(Fault {
            stays_on,
            ..lasting.fault
        });
    }
    for step in &mut steps {
        // By their ends, so that the file which is written for it, a branch for each end, is read as the same.
        step.faults.sort_by_key(|fault| fault.stays_on);
    }
    steps
}

/// The name, with a number where a step of the block has it already: reports find a fault's time by its step's name.
fn unlike(steps: &[Step], name: String) -> String {
    let is_taken = |name: &str| steps.iter().any(|step| step.name == name);
    if name.is_empty() || !is_taken(&name) {
        return name;
    }
    let numbered = |number: usize| format!("{name} ({number})");
    // One of so many is free.
    let free = (2..steps.len() + 3)
        .map(numbered)
        .find(|name| !is_taken(name));
    free.unwrap_or(name)
}
