//! The blast radius: how far a run reaches, in the terms of the limits.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use injector_common::threshold::Threshold;
use serde::{Serialize, Serializer};

use super::Case;
use crate::Picked;
use injector_spec::{printable, quantity::duration};

/// How far a run reaches, as its targets are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Radius {
    /// Different processes, of all targets together.
    pub processes: usize,
    /// Of which cgroups, and how much of each.
    pub shares: Vec<Share>,
    /// What random picks came to, in the order of the targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub picked: Vec<Picked>,
    /// Names of the faults.
    pub faults: BTreeSet<&'static str>,
    /// The most hits, of all faults together.
    pub max_hits: u64,
    /// From the first step to the last.
    #[serde(with = "duration")]
    pub duration: Duration,
}

/// How much of a cgroup a run reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The cgroup, from the root of the hierarchy; what is not UTF-8 in it is shown byte by byte.
    #[serde(serialize_with = "shown")]
    pub cgroup: PathBuf,
    /// Processes of targets in it and below it.
    pub processes: usize,
    /// All processes in it and below it.
    pub of: usize,
}

impl Radius {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let members = || case.footprints.iter().flat_map(|target| &target.members);
        let processes: BTreeSet<u32> = members().map(|member| member.pid).collect();
        let mut cgroups = BTreeMap::<PathBuf, BTreeSet<u32>>::new();
        for target in case.footprints {
            match &target.cgroup {
                // A target that is a cgroup is all of it.
                Some(path) => cgroups
                    .entry(path.clone())
                    .or_default()
                    .extend(target.members.iter().map(|member| member.pid)),
                None => {
                    for member in &target.members {
                        cgroups.entry(member.cgroup.clone()).or_default();
                    }
                }
            }
        }
        for (path, inside) in &mut cgroups {
            let below = members().filter(|member| member.cgroup.starts_with(path));
            inside.extend(below.map(|member| member.pid));
        }
        let shares = cgroups.into_iter().map(|(cgroup, inside)| {
            let population = case.populations.get(&cgroup).copied().unwrap_or_default();
            Share {
                processes: inside.len(),
                // One that ended between two looks counts in both.
                of: population.max(inside.len()),
                cgroup,
            }
        });
        let budgets = case
            .experiment
            .faults()
            .map(|(_, fault)| fault.chance.max_hits.unwrap_or(u64::MAX));
        Self {
            processes: processes.len(),
            shares: shares.collect(),
            picked: case
                .footprints
                .iter()
                .filter_map(|target| target.picked.clone())
                .collect(),
            faults: case
                .experiment
                .faults()
                .map(|(_, fault)| fault.kind.name())
                .collect(),
            max_hits: budgets.fold(0, u64::saturating_add),
            duration: case.experiment.duration(),
        }
    }
}

/// serde's own form refuses a path that is not UTF-8, and the whole answer with it.
fn shown<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&printable::path(path))
}

impl Share {
    /// Whether it is more than this share.
    pub(super) fn exceeds(&self, most: Threshold) -> bool {
        // The largest threshold means everything.
        if most == Threshold::ALWAYS || self.processes == 0 {
            return false;
        }
        // A percentage was rounded down to become a threshold: one in five is not more than 20 %.
        let above = u128::from(most.0) + 1;
        (self.processes as u128) << 32 >= above * self.of as u128
    }
}

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cgroup,
            processes,
            of,
        } = self;
        // Rounded up: a share is never shown smaller than it is.
        let percent = (processes * 100).checked_div(*of).map_or(0, |whole| {
            whole + usize::from(!(processes * 100).is_multiple_of(*of))
        });
        write!(
            out,
            "{percent}% of cgroup {} ({processes} of {of} processes)",
            printable::path(cgroup)
        )
    }
}

/// A few lines for the dry run.
impl fmt::Display for Radius {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.processes == 1 { "" } else { "es" };
        writeln!(out, "  radius      {} process{plural}", self.processes)?;
        for share in &self.shares {
            writeln!(out, "              {share}")?;
        }
        for picked in &self.picked {
            writeln!(out, "              {picked}")?;
        }
        let faults: Vec<_> = self.faults.iter().copied().collect();
        // Commands may be all that is tried.
        let faults = match &faults[..] {
            [] => "no fault".to_owned(),
            names => names.join(", "),
        };
        writeln!(
            out,
            "              {faults}; at most {} hits; at most {}",
            self.max_hits,
            duration::format(self.duration)
        )
    }
}
