//! Effects: the ways in which a run acts on its targets, behind one interface.
//!
//! The run's loop holds a list of them and knows none by name; a fault's mechanism says which one carries it out
//! (`injector_plan::Mechanism::carrier`). Four there are: [`programs`] in the kernel ([`in_place`] has what answers inside TLS need besides), [`resets`] of connections, [`relays`]
//! of requests, and signals, stops and limits of [`processes`]. All stand on the same [`ground`]: the network namespaces in which
//! programs are attached and sockets are known.
//!
//! Invariants:
//! - Nothing acts before the lease is live and the step is on, and nothing after [`Effect::quiet`] has returned.
//! - What outlives this process is one of the run's [`crate::changes`], handed over before the act;
//!   [`Effect::undo`] is the orderly end, not the only one.
//! - A counter never goes back: [`Effect::set`] may be called again for the same step.
//!
//! Rejected: one effect per fault, each with programs of its own. Faults of one target share programs, counters and
//! the delay line, and their order at one packet is part of what was asked.

pub(crate) mod ground;
mod in_place;
pub mod namespace;
mod processes;
mod programs;
mod relays;
mod resets;

use std::time::Duration;

use injector_common::rule::Counters;
use injector_host::{kernel::clock::boot_ns, targets::ResolvedTarget};
use injector_plan::Plan;
use injector_record::{
    event::{EventKind, RunEvent},
    journal::RunId,
    report::FaultReport,
};
use injector_spec::{
    error::Refusal,
    experiment::{Experiment, Flaw},
};

use self::ground::Ground;
use crate::{admission::Admission, changes::Changes, recorder::RunJournal, watchdog::Watchdog};

/// A way to act on targets, for a whole run. A rule is named by its place in the plan.
pub(crate) trait Effect {
    /// Switches to the faults of a step as they are at this time of it, or to none. Called again for the same step
    /// where a parameter ramps, and takes effect without anything being armed anew.
    fn set(&mut self, time: Option<StepTime>, scene: &mut Scene<'_>) -> Result<(), Refusal>;

    /// Takes in what has changed around the targets: sockets and devices that came, once a second.
    fn keep_up(&mut self, scene: &mut Scene<'_>);

    /// Does what is due now from this process.
    fn act(&mut self, step: Step, scene: &mut Scene<'_>) -> Result<(), Refusal>;

    /// Lets the faults of a target follow it to what it is now; it is not among the scene's targets yet.
    fn follow(
        &mut self,
        scope: u32,
        target: &ResolvedTarget,
        scene: &mut Scene<'_>,
    ) -> Result<(), Refusal>;

    /// Looks once more at a target that has just come back and may not be complete yet.
    fn settle(&mut self, scope: u32, scene: &mut Scene<'_>);

    /// Why it can act no more, where something that it needs beside this process is gone.
    fn broken(&self, ground: &Ground) -> Option<&'static str>;

    /// Puts back what it has changed from this process, but for faults that stay on in the step that follows.
    fn undo(&mut self, next: Option<usize>, scene: &mut Scene<'_>);

    /// Waits until nothing that is in flight can act any more; the lease has ended. What went wrong, in words.
    fn quiet(&mut self, scene: &mut Scene<'_>) -> Vec<String>;

    /// Tells of the single acts that have not been told of.
    fn events(&mut self, scene: &mut Scene<'_>);

    /// What it has done for a rule.
    fn counters(&self, rule: usize, plan: &Plan, ground: &Ground) -> Counters;

    /// Hits of all rules that no program in the kernel counts.
    fn own_hits(&self) -> u64;

    /// When its first hit was, on the boot clock in nanoseconds, where it hears of hits later than they are counted elsewhere.
    fn first_hit_boot_ns(&self, _: &Ground) -> Option<u64> {
        None
    }

    /// Flaws that the targets have shown so far.
    fn flaws(&self) -> Vec<Flaw> {
        Vec::new()
    }

    /// Adds to the report of a rule what its counters do not say.
    fn report(&self, rule: usize, report: &mut FaultReport);

    /// What a person should know of the run as a whole.
    fn remarks(&self, plan: &Plan, ground: &Ground) -> Vec<String>;
}

/// The step that is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Its place in the experiment.
    pub(crate) index: usize,
    /// When it began, on the boot clock, in nanoseconds.
    pub(crate) began_at: u64,
    /// When it ends, on the boot clock, in nanoseconds.
    pub(crate) ends_at: u64,
}

impl Step {
    /// The time within it that is now.
    pub(crate) fn now(self) -> StepTime {
        StepTime {
            step: self.index,
            elapsed: Duration::from_nanos(boot_ns().saturating_sub(self.began_at)),
        }
    }
}

/// A time within a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepTime {
    /// The step's place in the experiment.
    pub(crate) step: usize,
    /// How long it has been on.
    pub(crate) elapsed: Duration,
}

/// The run as an effect sees it.
pub(crate) struct Scene<'r> {
    pub(crate) experiment: &'r Experiment,
    pub(crate) plan: &'r Plan,
    /// By scope.
    pub(crate) targets: &'r [ResolvedTarget],
    pub(crate) ground: &'r mut Ground,
    /// Knows whether the lease is live.
    pub(crate) watchdog: &'r Watchdog,
    /// Where changes are made and written down.
    pub(crate) changes: &'r mut Changes,
    pub(crate) journal: &'r mut RunJournal,
    /// Tells listeners.
    pub(crate) listeners: &'r mut dyn FnMut(Seen),
}

/// What an effect saw, and when, on the boot clock.
pub(crate) struct Seen {
    pub(crate) boot_ns: u64,
    pub(crate) what: EventKind,
}

impl Seen {
    /// The event of this run.
    pub(crate) fn of(self, run: &RunId) -> RunEvent {
        RunEvent {
            run: run.clone(),
            boot_ns: self.boot_ns,
            what: self.what,
        }
    }
}

impl Scene<'_> {
    /// Tells of what happened now.
    fn tell(&mut self, what: EventKind) {
        (self.listeners)(Seen {
            boot_ns: boot_ns(),
            what,
        });
    }
}

/// The effects of a run that this process asked for on these terms, in the order in which they are switched and act. One that has no
/// rule has nothing to do.
pub(crate) fn of_run(caller: u32, admission: Admission) -> Vec<Box<dyn Effect>> {
    vec![
        Box::new(programs::Programs::default()),
        Box::new(in_place::InPlace::default()),
        Box::new(relays::Relays::default()),
        Box::new(resets::Resets::default()),
        Box::new(processes::Processes::asked_by(caller, admission)),
    ]
}
