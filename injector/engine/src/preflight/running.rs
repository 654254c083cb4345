//! Runs that go on already, in this process or another.
//!
//! Two runs may share a target, with one exception: frames that the newer one holds come back without
//! their socket, so the older one's packet programs, which stand behind it (newest first, by links as by filters), would
//! never see them as the target's.

use std::collections::BTreeSet;

use injector_host::targets::{
    self, ResolvedTarget,
    guard::Guard,
    overlap,
    process::{self, TaskKey},
};
use injector_plan::{Picked, Plan};
use injector_record::journal::{self, ListedRun, Record, Replay, RunId};
use injector_spec::{
    error::Refusal,
    experiment::{ActsOn, Experiment, FaultKind, OnProcesses, Selector, Target},
    printable,
};

/// Refuses a plan of an experiment of this name that holds frames of a target that another run acts on at its devices, or that
/// wants a state of processes that another run has.
pub(super) fn check(
    plan: &Plan,
    name: &str,
    targets: &[ResolvedTarget],
    guard: &Guard,
    running: &[ListedRun],
) -> Result<(), Refusal> {
    let holds = plan.rules.iter().any(|rule| rule.compiled.line.is_some());
    let kinds = plan.rules.iter().map(|rule| &rule.fault.kind);
    let states: BTreeSet<State> = kinds.filter_map(State::of).collect();
    if !holds && states.is_empty() {
        return Ok(());
    }
    let directory = journal::directory();
    for listed in running {
        let path = journal::file(&directory, &listed.run);
        let Ok(replay) = journal::replay(&path) else {
            continue;
        };
        let Some(experiment) = replay.experiment() else {
            continue;
        };
        let hides = holds && acts_on_packets(experiment);
        let theirs: BTreeSet<State> = states_of(experiment).collect();
        if !hides && pairs(&states, &theirs).next().is_none() {
            continue;
        }
        let resolved = resolved(experiment, picks_of(&replay), guard);
        let why = if hides && share(targets, &resolved) {
            Some(HIDDEN)
        } else {
            clash((targets, &states), (&resolved, &theirs))
        };
        if let Some(why) = why {
            return Err(refusal(name, (&listed.run, &listed.name), why));
        }
    }
    Ok(())
}

/// Two runs that cannot go on beside each other.
fn refusal(name: &str, (run, theirs): (&RunId, &str), why: &str) -> Refusal {
    Refusal::clash(format!(
        "`{}` cannot begin while run {} (`{}`) goes on, which {why}; stop that run with `injector stop {run}`, wait for its end, or put both into one experiment file.",
        printable::line(name),
        run,
        printable::line(theirs),
    ))
}

/// Why frames that one run holds cannot go beside another run's packet programs.
const HIDDEN: &str =
    "acts on packets of the same target, and frames that the new run holds would pass it by";

/// A state of processes, or of what they do, that one run has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// They stand still, or go on.
    Pause,
    /// Their plug-ins stand still, or go on.
    Plugins,
    /// Their cgroup's limits.
    Limits,
    /// What answers their requests, or what their connections go through.
    Relay,
}

impl State {
    /// The state that a fault changes, if it does.
    fn of(kind: &FaultKind) -> Option<Self> {
        match kind.acts_on() {
            ActsOn::Processes(OnProcesses::Pause(_)) => Some(Self::Pause),
            ActsOn::Processes(OnProcesses::Starve(_)) => Some(Self::Limits),
            ActsOn::Processes(OnProcesses::Plugins(on)) => on.stops().then_some(Self::Plugins),
            ActsOn::Requests(_) => Some(Self::Relay),
            // A signal leaves no state.
            ActsOn::Processes(OnProcesses::Kill(_))
            | ActsOn::Packets(_)
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Calls(..) => None,
        }
    }

    /// How two runs with these states may not meet, if there is a way.
    fn forbids(self, theirs: Self) -> Option<Meeting> {
        match (self, theirs) {
            // What stands still goes on when the first that stopped it ends.
            (Self::Plugins, Self::Plugins) => Some(Meeting::AboveOrBelow),
            (Self::Plugins, Self::Pause) => Some(Meeting::Below),
            (Self::Pause, Self::Plugins) => Some(Meeting::Above),
            (Self::Pause, Self::Pause)
            | (Self::Limits, Self::Limits)
            | (Self::Relay, Self::Relay) => Some(Meeting::Same),
            (Self::Pause | Self::Plugins, Self::Limits | Self::Relay)
            | (Self::Limits, Self::Pause | Self::Plugins | Self::Relay)
            | (Self::Relay, Self::Pause | Self::Plugins | Self::Limits) => None,
        }
    }

    /// What a run with it does, where it has a process of the same target.
    const fn clash(self) -> &'static str {
        match self {
            Self::Pause => "pauses processes of the same target",
            Self::Plugins => "stops plug-ins of the same target",
            Self::Limits => "limits the cgroup of the same target",
            Self::Relay => {
                "answers requests of the same target, or sends its connections through a relay, and there is one way"
            }
        }
    }

    /// The same, where a process of one target is a descendant of one of the other.
    const fn clash_by_descent(self) -> &'static str {
        match self {
            Self::Pause => "pauses processes that were started by a target of the new run",
            Self::Plugins => {
                "stops plug-ins of a process that has started a target of the new run, or was started by one"
            }
            // They clash by no descent.
            Self::Limits | Self::Relay => self.clash(),
        }
    }
}

/// How targets of two runs lie to each other, beyond that they share a process. A plug-in is a descendant of its target, and may
/// itself be what another run pauses, or have plug-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meeting {
    /// In no other way.
    Same,
    /// Theirs has a descendant of ours.
    Below,
    /// Ours has a descendant of theirs.
    Above,
    /// Either.
    AboveOrBelow,
}

impl Meeting {
    /// Whether these targets of ours and those of theirs meet so.
    fn is_of(self, ours: &[ResolvedTarget], theirs: &[ResolvedTarget]) -> bool {
        match self {
            Self::Same => false,
            Self::Below => starts(ours, theirs),
            Self::Above => starts(theirs, ours),
            Self::AboveOrBelow => starts(ours, theirs) || starts(theirs, ours),
        }
    }
}

/// The states of two runs that those may not have where they meet so.
fn pairs<'s>(
    ours: &'s BTreeSet<State>,
    theirs: &'s BTreeSet<State>,
) -> impl Iterator<Item = (State, Meeting)> + 's {
    let both = ours
        .iter()
        .flat_map(|our| theirs.iter().map(|their| (*our, *their)));
    both.filter_map(|(our, their)| Some((their, our.forbids(their)?)))
}

/// Why two runs with these targets and states may not go on beside each other, if they may not.
fn clash(
    (our_targets, ours): (&[ResolvedTarget], &BTreeSet<State>),
    (their_targets, theirs): (&[ResolvedTarget], &BTreeSet<State>),
) -> Option<&'static str> {
    let shares = share(our_targets, their_targets);
    let mut pairs = pairs(ours, theirs);
    pairs.find_map(|(their, meeting)| {
        if shares {
            return Some(their.clash());
        }
        meeting
            .is_of(our_targets, their_targets)
            .then(|| their.clash_by_descent())
    })
}

fn states_of(experiment: &Experiment) -> impl Iterator<Item = State> {
    let faults = experiment.faults();
    faults.filter_map(|(_, fault)| State::of(&fault.kind))
}

/// What its picks have come to; none as long as it has not made its plan.
fn picks_of(replay: &Replay) -> &[Picked] {
    let planned = replay
        .records
        .iter()
        .find_map(|stamped| match &stamped.record {
            Record::Planned { picked, .. } => Some(picked.as_slice()),
            _ => None,
        });
    planned.unwrap_or_default()
}

fn acts_on_packets(experiment: &Experiment) -> bool {
    experiment
        .faults()
        .any(|(_, fault)| match fault.kind.acts_on() {
            ActsOn::Packets(_) | ActsOn::LookUps(_) => true,
            ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Requests(_)
            | ActsOn::Calls(..)
            | ActsOn::Processes(_) => false,
        })
}

/// The targets of the other run as they are now.
fn resolved(other: &Experiment, picks: &[Picked], guard: &Guard) -> Vec<ResolvedTarget> {
    let theirs = other.targets.iter();
    theirs
        .filter_map(|target| targets::resolve(&as_picked(target, picks), guard).ok())
        .collect()
}

/// Whether any of these targets shares processes with any of those.
fn share(ours: &[ResolvedTarget], theirs: &[ResolvedTarget]) -> bool {
    theirs
        .iter()
        .any(|their| ours.iter().any(|our| overlap::overlap(our, their)))
}

/// Whether a process of those targets is a descendant of a process of these.
fn starts(agents: &[ResolvedTarget], others: &[ResolvedTarget]) -> bool {
    let pids = |targets: &[ResolvedTarget]| -> Vec<u32> {
        let members = targets.iter().flat_map(ResolvedTarget::members);
        members.map(|key| key.tgid).collect()
    };
    // Where the processes cannot be read the runs are taken to meet.
    process::trees(&pids(agents)).map_or(true, |tree| {
        pids(others).iter().any(|pid| tree.contains(pid))
    })
}

/// The target with those of its picked processes that are left: to pick again would find another for each that ended.
fn as_picked(target: &Target, picks: &[Picked]) -> Target {
    let mut target = target.clone();
    if let Some(picked) = picks.iter().find(|picked| picked.target == target.name) {
        let living = picked.pids.iter().filter(|pid| TaskKey::of(**pid).is_ok());
        let follow = match &target.selector {
            Selector::Pids { follow, .. } | Selector::Process { follow, .. } => *follow,
            Selector::Cgroup(_) | Selector::Unit(_) | Selector::Container(_) => return target,
        };
        target.selector = Selector::Pids {
            pids: living.copied().collect(),
            follow,
            pick: None,
        };
    }
    target
}

#[cfg(test)]
mod tests;
