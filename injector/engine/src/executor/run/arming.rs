//! Arms a run: every namespace in which a target lives, the halt monitor, the watchdog, and the first step.

use std::{collections::BTreeMap, time::Duration};

use injector_host::{
    kernel::clock::boot_ns,
    targets::{ResolvedTarget, guard::Guard},
};
use injector_record::{event::EventKind, journal::Record};
use injector_spec::{error::Refusal, experiment::Follow, quantity::duration::nanos};

use super::{Armed, Run};
use crate::{
    effects::{
        self, Step,
        ground::Ground,
        namespace::{ArmedNamespace, Context},
    },
    executor::budget::Spending,
    fd_store::FdStore,
    halt_monitor::{self, HaltMonitor, OwnHits, ShownFlaws},
    kill_switch::KillSwitch,
    measures::Measures,
    watchdog::Watchdog,
};

/// How long a run may overstep its duration before the lease itself ends it.
const GRACE_NS: u64 = 1_000_000_000;

/// How long arming may take before the guardian puts the settings back that it has changed.
const ARMING_NS: u64 = 60_000_000_000;

/// What a run has when it is on, beside its ground.
struct Begun {
    watchdog: Watchdog,
    halt_monitor: HaltMonitor,
    measures: Measures,
    own_hits: OwnHits,
    flaws: ShownFlaws,
    /// When it was, on the boot clock, in nanoseconds.
    at: u64,
    /// What attaching has to tell.
    told: Vec<EventKind>,
}

impl Run<'_> {
    pub(super) fn arm(
        &mut self,
        fd_store: &dyn FdStore,
        kill_switch: KillSwitch,
    ) -> Result<Armed, Refusal> {
        // From the start, whatever is refused later: all of it is let go of at once then, and what is left is told.
        let mut ground = Ground::default();
        let begun = match self.begin(fd_store, kill_switch, &mut ground) {
            Ok(begun) => begun,
            Err(refusal) => return Err(ground.refused(refusal)),
        };
        let armed_at = begun.at;
        let mut armed = Armed {
            ground,
            effects: effects::of_run(self.request.asked_by.1, self.request.admission.clone()),
            watchdog: begun.watchdog,
            halt_monitor: begun.halt_monitor,
            measures: begun.measures,
            own_hits: begun.own_hits,
            flaws: begun.flaws,
            since: armed_at,
            set_at: Duration::ZERO,
            spending: Spending::begin(self.request.budget, armed_at),
            hits_by_rule: vec![0; self.request.plan.rules.len()],
            roster: self.roster(armed_at),
        };
        if let Err(refusal) = self.first_step(&mut armed, begun.told) {
            // A lease that cannot be ended runs out.
            let _ = armed.watchdog.disarm();
            drop(armed.effects);
            return Err(armed.ground.refused(refusal));
        }
        Ok(armed)
    }

    /// Attaches in all namespaces, has the leases live, and makes the targets known.
    fn begin(
        &mut self,
        fd_store: &dyn FdStore,
        kill_switch: KillSwitch,
        ground: &mut Ground,
    ) -> Result<Begun, Refusal> {
        let length = nanos(self.request.experiment.duration());
        let mut leases = Vec::new();
        let mut told = Vec::new();
        let mut counting = Vec::new();
        for (inode, scopes) in by_namespace(&self.request.targets) {
            if !self.needs_programs(&scopes) {
                continue;
            }
            let namespace = self
                .request
                .targets
                .iter()
                .find(|t| t.namespace.inode() == inode);
            let Some(namespace) = namespace.map(|target| &target.namespace) else {
                continue;
            };
            let until = boot_ns()
                .saturating_add(ARMING_NS)
                .saturating_add(length)
                .saturating_add(GRACE_NS);
            self.changes.expect_end(until);
            let mut context = Context {
                plan: &self.request.plan,
                targets: &self.request.targets,
                journal: &mut self.journal,
                changes: &mut self.changes,
                fd_store,
                listening: self.request.listening,
                conditions: &self.request.experiment.halt,
                opens_tls: self.request.opens_tls.as_ref(),
                caller: self.request.asked_by.1,
            };
            let (opened, news) =
                ArmedNamespace::attach(namespace, scopes.clone(), &mut context, ground)?;
            counting.push(self.counting(&scopes, opened.counters));
            leases.push(opened.lease);
            told.extend(news);
        }
        self.journal.before(&Record::Armed)?;
        let armed_at = boot_ns();
        let deadline = armed_at.saturating_add(length).saturating_add(GRACE_NS);
        self.changes.set_deadline(deadline)?;
        let (own_hits, flaws) = (OwnHits::default(), ShownFlaws::default());
        let guard = Guard::new(self.request.asked_by.1);
        let around = halt_monitor::Surroundings {
            targets: &self.request.targets,
            counting,
            own_hits: own_hits.clone(),
            flaws: flaws.clone(),
        };
        let (halt_monitor, slots) =
            HaltMonitor::start(&self.request.experiment.halt, around, &guard)?;
        let watchdog = Watchdog::start(leases, deadline, kill_switch, slots, &self.request.brake)?;
        ground.go_by(&watchdog.licence());
        let watched = self.request.plan.watched.clone();
        let measures = Measures::start(&self.request.experiment, watched, &guard)?;
        for namespace in &mut ground.namespaces {
            namespace.claim(&self.request.targets)?;
        }
        Ok(Begun {
            watchdog,
            halt_monitor,
            measures,
            own_hits,
            flaws,
            at: armed_at,
            told,
        })
    }

    /// Switches the first step on and acts for the first time, and tells of it.
    fn first_step(&mut self, armed: &mut Armed, told: Vec<EventKind>) -> Result<(), Refusal> {
        // Before a listener hears of it: one that waits for that word acts on it at once, and its first
        // packet or call would meet no rule yet.
        let first = self.request.experiment.steps.first();
        let first = first.map_or(0, |step| nanos(step.duration));
        let first = Step {
            index: 0,
            began_at: armed.since,
            ends_at: armed.since.saturating_add(first),
        };
        self.switch(armed, Some(first))?;
        let faults = self.request.plan.describe(&self.request.experiment);
        // What the first act did comes after that word.
        let mut acts = Vec::new();
        let (request, changes, journal) = (&self.request, &mut self.changes, &mut self.journal);
        let mut later = |seen| acts.push(seen);
        armed.ask_each(request, changes, journal, &mut later, |effect, scene| {
            effect.act(first, scene)
        })?;
        let limits = self.request.budget.told();
        self.tell(EventKind::Armed { faults, limits });
        for seen in acts {
            (self.tell)(seen.of(&self.request.run));
        }
        for what in told {
            self.tell(what);
        }
        Ok(())
    }

    /// Whether these scopes need programs in the kernel: for a fault, to watch operations, or to follow a tree.
    pub(super) fn needs_programs(&self, scopes: &[u32]) -> bool {
        let follows = |scope: &u32| {
            let target = self.request.targets.get(*scope as usize);
            target.is_some_and(|target| target.follow == Follow::Tree)
        };
        self.request.plan.needs_programs(scopes) || scopes.iter().any(follows)
    }
}

/// The scopes by the namespace that their targets live in.
fn by_namespace(targets: &[ResolvedTarget]) -> BTreeMap<u64, Vec<u32>> {
    let mut scopes = BTreeMap::<u64, Vec<u32>>::new();
    for (scope, target) in (0..).zip(targets) {
        scopes
            .entry(target.namespace.inode())
            .or_default()
            .push(scope);
    }
    scopes
}
