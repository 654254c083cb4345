//! Whether a run may start: what this host allows, and how far the run would reach.
//!
//! [`decide`] is pure: the configuration, the experiment, its targets as they are now, the runs that go on
//! and the time of day make a [`Verdict`], which carries the blast radius whether or not it is a
//! refusal. [`survey`] gathers the facts. `prepare` asks before anything is touched, for the daemon
//! and for one-shot commands alike.
//!
//! Invariants: every limit is exceeded or kept, never skipped because another one was exceeded; an
//! override lifts one limit and no other; the daemon's two gates and an override by a user other than root are
//! lifted by nothing.
//!
//! What can be counted only while a run goes on (hits a second, bytes, processes that join later) is in
//! `executor::budget`.

mod overrides;
mod radius;
mod violation;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

pub use overrides::Override;
pub use radius::{Radius, Share};
pub use violation::Violation;

use crate::Picked;
use injector_spec::{
    config::{CgroupRoot, Config, Moment, is_of_unit},
    error::Refusal,
    experiment::{BlastRadius, Experiment},
    quantity::count,
};

/// By which door a run comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    /// A command that root runs: it names its targets itself.
    OneShot,
    /// The daemon, on a caller's behalf: its two gates count.
    Daemon,
}

/// A target as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Its name in the experiment.
    pub target: String,
    /// Its cgroup, from the root of the hierarchy, where it is chosen by one.
    pub cgroup: Option<PathBuf>,
    /// Its processes.
    pub members: Vec<Member>,
    /// What a random pick came to, where it has one.
    pub picked: Option<Picked>,
}

/// A process of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub pid: u32,
    /// Its name, as in /proc/PID/comm, with odd bytes escaped.
    pub comm: String,
    /// Its cgroup, from the root of the hierarchy.
    pub cgroup: PathBuf,
}

/// Everything that a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What this host allows.
    pub config: &'a Config,
    /// What is asked for, bounded by [`bound`].
    pub experiment: &'a Experiment,
    /// Its targets, as far as they were found.
    pub footprints: &'a [Footprint],
    /// How many processes each cgroup has, with all below it.
    pub populations: &'a BTreeMap<PathBuf, usize>,
    /// Runs that go on.
    pub running: usize,
    /// The time of day here.
    pub now: Moment,
    /// Who asks.
    pub door: Door,
    /// The user id of the caller.
    pub uid: u32,
    /// Which limits they lift.
    pub overrides: &'a [Override],
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How far the run reaches.
    pub radius: Radius,
    /// Limits that stand in its way.
    pub refused: Vec<Violation>,
    /// Limits that would have, and by which override they do not.
    pub lifted: Vec<(Override, Violation)>,
}

impl Verdict {
    /// The refusal, if it is one: every limit in its way, so that the caller does not have to find them one by one.
    pub fn refusal(&self) -> Option<Refusal> {
        let sentences: Vec<_> = self.refused.iter().map(ToString::to_string).collect();
        (!sentences.is_empty()).then(|| Refusal::endangers(sentences.join(" ")))
    }

    /// What an override lifted in this run; `None` where it was asked for and not needed.
    pub fn lifted_by(&self, wanted: &Override) -> Option<String> {
        let sentences: Vec<_> = self
            .lifted
            .iter()
            .filter(|(by, _)| by == wanted)
            .map(|(_, violation)| violation.fact())
            .collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }
}

/// The experiment with a budget for each fault that was given none, and the host's halt conditions.
#[must_use]
pub fn bound(mut experiment: Experiment, config: &Config) -> Experiment {
    let own = experiment.blast_radius.as_deref();
    let own = own.and_then(|radius| radius.hits);
    let usual = own.map_or(config.limits.max_hits, |own| {
        own.min(config.limits.max_hits)
    });
    let faults = experiment
        .steps
        .iter_mut()
        .flat_map(|step| &mut step.faults);
    for fault in faults {
        fault.chance.max_hits.get_or_insert(usual);
    }
    for condition in &config.halt.conditions {
        if !experiment.halt.contains(condition) {
            experiment.halt.push(condition.clone());
        }
    }
    experiment
}

/// Decides.
pub fn decide(case: &Case<'_>) -> Verdict {
    let radius = Radius::of(case);
    let violations = [
        overriding(case),
        gates(case),
        reach(case, &radius),
        amount(case),
        protection(case),
    ];
    weighed(case, radius, violations.into_iter().flatten())
}

/// What is asked again of targets while a run goes on: which processes it reaches, and what is protected.
pub fn once_more(case: &Case<'_>) -> Verdict {
    let radius = Radius::of(case);
    let found = [gates(case), reach(case, &radius), protection(case)];
    weighed(case, radius, found.into_iter().flatten())
}

/// What is asked of processes that a fault reaches beside its targets, as plug-ins: where they may be, and what is protected.
pub fn beside(case: &Case<'_>) -> Verdict {
    let found = [gates(case), protection(case)];
    weighed(case, Radius::of(case), found.into_iter().flatten())
}

/// Parts what stands in the way from what was lifted.
fn weighed(
    case: &Case<'_>,
    radius: Radius,
    violations: impl Iterator<Item = Violation>,
) -> Verdict {
    let mut verdict = Verdict {
        radius,
        refused: Vec::new(),
        lifted: Vec::new(),
    };
    for violation in violations {
        match violation
            .lifted_by()
            .filter(|by| case.overrides.contains(by))
        {
            Some(by) => verdict.lifted.push((by, violation)),
            None => verdict.refused.push(violation),
        }
    }
    verdict
}

/// Overrides are root's, whichever other users may ask for runs.
fn overriding(case: &Case<'_>) -> Vec<Violation> {
    match case.overrides.first() {
        Some(first) if case.uid != 0 => vec![Violation::OverrideByOthers {
            uid: case.uid,
            first: first.clone(),
        }],
        _ => Vec::new(),
    }
}

/// The daemon's two gates.
fn gates(case: &Case<'_>) -> Vec<Violation> {
    if case.door == Door::OneShot {
        return Vec::new();
    }
    let gates = &case.config.daemon;
    if !gates.enabled {
        return vec![Violation::DaemonDisabled];
    }
    let is_allowed = |path: &PathBuf| gates.allow.iter().any(|root| root.holds(path));
    let outside = |footprint: &Footprint| {
        let own = footprint.cgroup.iter();
        let of_members = footprint.members.iter().map(|member| &member.cgroup);
        let cgroup = own.chain(of_members).find(|path| !is_allowed(path))?;
        Some(Violation::OutsideAllowed {
            target: footprint.target.clone(),
            cgroup: cgroup.clone(),
        })
    };
    case.footprints.iter().filter_map(outside).collect()
}

/// How many processes, which share of each cgroup, and how many runs at once.
fn reach(case: &Case<'_>, radius: &Radius) -> Vec<Violation> {
    let limits = &case.config.limits;
    let mut found = Vec::new();
    let most = limits.max_processes.get() as usize;
    if radius.processes > most {
        found.push(Violation::ManyProcesses {
            found: radius.processes,
            most,
        });
    }
    for share in &radius.shares {
        if share.exceeds(limits.max_share) {
            found.push(Violation::LargeShare {
                share: share.clone(),
                most: limits.max_share,
            });
        }
    }
    if let Some(own) = case.experiment.blast_radius.as_deref() {
        found.extend(beyond(own, radius));
    }
    let most = limits.max_experiments.get() as usize;
    if case.running >= most {
        found.push(Violation::ManyExperiments {
            running: case.running,
            most,
        });
    }
    found
}

/// Where more is reached than the file itself allows.
fn beyond(own: &BlastRadius, radius: &Radius) -> Vec<Violation> {
    let most = own.processes.map(|most| most.get() as usize);
    let many = most.filter(|most| radius.processes > *most);
    let many = many.map(|most| Violation::BeyondRadius {
        found: format!(
            "the targets have {}",
            count(radius.processes, "process", "processes")
        ),
        most: most.to_string(),
    });
    let large = own.share.into_iter().flat_map(|most| {
        let shares = radius.shares.iter();
        let shares = shares.filter(move |share| share.exceeds(most.0));
        shares.map(move |share| Violation::BeyondRadius {
            found: format!("the run reaches {share}"),
            most: most.to_string(),
        })
    });
    many.into_iter().chain(large).collect()
}

/// What, how often, how long and when.
fn amount(case: &Case<'_>) -> Vec<Violation> {
    let Config {
        limits,
        faults,
        hours,
        ..
    } = case.config;
    let mut found = Vec::new();
    for (_, fault) in case.experiment.faults() {
        let name = fault.kind.name();
        let unused = Violation::FaultNotAllowed { fault: name };
        if !faults.includes(name) && !found.contains(&unused) {
            found.push(unused);
        }
        let asked = fault.chance.max_hits.unwrap_or(u64::MAX);
        let own = case.experiment.blast_radius.as_deref();
        let own = own.and_then(|own| own.hits);
        if let Some(most) = own.filter(|most| asked > *most) {
            found.push(Violation::BeyondRadius {
                found: format!("{name} may hit {asked} times"),
                most: most.to_string(),
            });
        }
        if asked > limits.max_hits {
            found.push(Violation::ManyHits {
                fault: name,
                asked,
                most: limits.max_hits,
            });
        }
    }
    let asked = case.experiment.duration();
    if asked > limits.max_duration {
        found.push(Violation::Long {
            asked,
            most: limits.max_duration,
        });
    }
    if !hours.include(case.now) {
        found.push(Violation::OutsideHours {
            now: case.now,
            hours: hours.clone(),
        });
    }
    found
}

/// What the host's owner keeps out of it.
fn protection(case: &Case<'_>) -> Vec<Violation> {
    let protected = &case.config.protected;
    let mut found = Vec::new();
    for footprint in case.footprints {
        // One sentence for each name, however many processes have it.
        let mut named = BTreeSet::new();
        let mut note = |name: &str, what: String| {
            if named.insert(name.to_owned()) {
                found.push(Violation::Protected {
                    target: footprint.target.clone(),
                    name: name.to_owned(),
                    what,
                });
            }
        };
        for member in &footprint.members {
            // As /proc/PID/comm has it, escaped: so is the member's.
            let is_member = |name: &String| name.escape_default().to_string() == member.comm;
            if protected.processes.iter().any(is_member) {
                note(&member.comm, format!("process {}", member.pid));
            }
        }
        let paths = || {
            let own = footprint.cgroup.iter();
            own.chain(footprint.members.iter().map(|member| &member.cgroup))
        };
        for unit in &protected.units {
            if let Some(path) = paths().find(|path| is_of_unit(path, unit)) {
                note(unit, format!("cgroup {}", path.display()));
            }
        }
        for root in &protected.cgroups {
            let holds_it = |root: &CgroupRoot| {
                let own = footprint.cgroup.iter();
                own.into_iter().any(|path| root.is_within(path))
            };
            if holds_it(root) {
                note(&root.to_string(), format!("cgroup {root}"));
            } else if let Some(path) = paths().find(|path| root.holds(path)) {
                note(&root.to_string(), format!("cgroup {}", path.display()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
