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
use injector_record::journal::{self, ListedRun, Record, Replay};
use injector_spec::{
    error::Refusal,
    experiment::{ActsOn, Experiment, FaultKind, OnProcesses, Selector, Target},
};

/// Refuses a plan that holds frames of a target that another run acts on at its devices, or that wants a state of
/// processes that another run has.
pub(super) fn check(
    plan: &Plan,
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
        let why = if holds && acts_on_packets(experiment) {
            "acts on packets of the same target, and frames that this run holds would pass it by"
        } else if let Some(state) = common_state(experiment, &states) {
            state.clash()
        } else {
            continue;
        };
        let theirs = resolved(experiment, picks_of(&replay), guard);
        let has = |state| states_of(experiment).any(|their| their == state);
        // A plug-in is a descendant of its target, and may itself be what another run pauses.
        let is_shared = share(targets, &theirs)
            || (states.contains(&State::Plugins) && has(State::Pause) && starts(targets, &theirs))
            || (states.contains(&State::Pause) && has(State::Plugins) && starts(&theirs, targets));
        if is_shared {
            return Err(Refusal::clash(format!(
                "run {} ({}) {why}; stop it with `injector stop {}`, or put both into one experiment file.",
                listed.run, listed.name, listed.run
            )));
        }
    }
    Ok(())
}

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

    /// Whether two runs may not have both. What stands still goes on when the first that stopped it ends.
    fn clashes_with(self, other: Self) -> bool {
        let stands = |state| matches!(state, Self::Pause | Self::Plugins);
        self == other || (stands(self) && stands(other))
    }

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
}

fn states_of(experiment: &Experiment) -> impl Iterator<Item = State> {
    let faults = experiment.faults();
    faults.filter_map(|(_, fault)| State::of(&fault.kind))
}

/// A state of theirs that is one of ours, or undoes one.
fn common_state(experiment: &Experiment, ours: &BTreeSet<State>) -> Option<State> {
    states_of(experiment).find(|their| ours.iter().any(|our| our.clashes_with(*their)))
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
