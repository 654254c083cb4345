//! A run from its journal's first line to its last.

mod counted;
mod targets;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use injector_common::rule_id;

use super::{
    FdStore,
    arm::{ArmedNamespace, Context, Listening},
    budget::{Budget, Spending},
    changes::Changes,
    ending::{halted_within, lapsed},
    process::{self, ProcessFaults},
    reset::{Resets, Resetter},
    roster::Roster,
};
use crate::{admission::Admission, rendering};
use crate::{
    guardian::Guardian,
    halt_monitor::{self, Breach, HaltMonitor, OwnHits},
    kill_switch::{self, KillSwitch},
    notifier,
    preflight::StartLock,
    recorder::{Recorder, RunJournal},
    watchdog::{Brake, Watchdog},
};
use injector_host::{
    delay_line,
    kernel::{clock::boot_ns, grace},
    targets::ResolvedTarget,
};
use injector_plan::{
    policy::{Override, Radius},
    {Mechanism, Plan},
};
use injector_record::{
    event::{EventKind, RunEvent},
    journal::{self, Process, Record, RunId},
    report::{Outcome, RunReport},
};
use injector_spec::{
    config::ConfigFile,
    config::Escalation,
    error::Refusal,
    experiment::{Experiment, Follow},
};

/// How often a run looks after its devices, sockets, events and watchdog.
const TICK: Duration = Duration::from_millis(50);

/// How often it looks for sockets that nobody saw being made.
const CLAIM_EVERY: u64 = 1_000_000_000;

/// How long a run may overstep its duration before the lease itself ends it.
const GRACE_NS: u64 = 1_000_000_000;

/// How long arming may take before the guardian puts the settings back that it has changed.
const ARMING_NS: u64 = 60_000_000_000;

/// What a run is made from.
pub struct Request {
    /// Its name.
    pub run: RunId,
    /// What was asked.
    pub experiment: Experiment,
    /// The targets, in the experiment's order.
    pub targets: Vec<ResolvedTarget>,
    /// How it will be done.
    pub plan: Plan,
    /// Who asked: user id and process id.
    pub asked_by: (u32, u32),
    /// The user who logged in and became theirs.
    pub login_uid: Option<u32>,
    /// The file that set the limits.
    pub config: Option<ConfigFile>,
    /// The limits of this host that they lifted, with what each would have refused.
    pub overrides: Vec<(Override, Option<String>)>,
    /// How far it reaches.
    pub radius: Radius,
    /// What it may use up.
    pub budget: Budget,
    /// Who is told where it is halted or breaks.
    pub escalation: Escalation,
    /// How targets that are made again are let in.
    pub admission: Admission,
    /// What ends its leases at once.
    pub brake: Brake,
    /// Whom to signal to stop it; `None` in the daemon.
    pub supervisor: Option<Process>,
    /// What `tell` is to be told.
    pub listening: Listening,
}

/// The processes that stand beside a run.
pub struct Surroundings<'s> {
    /// Keeps what must not vanish with this process.
    pub fd_store: &'s dyn FdStore,
    /// Writes to the disk.
    pub recorder: &'s Recorder,
    /// Undoes what this process cannot.
    pub guardian: Arc<Guardian>,
}

/// What a run may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End now, in good order.
    Stop,
}

/// Carries a run out. Returns the refusal when nothing was armed, and the report otherwise; either way
/// nothing fires any more and everything is put back.
///
/// The start lock is let go once other starts can see this run.
pub fn execute(
    request: Request,
    start_lock: StartLock,
    surroundings: Surroundings<'_>,
    orders: &Receiver<Order>,
    tell: &mut dyn FnMut(RunEvent),
) -> Result<RunReport, Refusal> {
    let Surroundings {
        fd_store,
        recorder,
        guardian,
    } = surroundings;
    let mut journal = recorder.create(&request.run)?;
    journal.before(&Record::Started {
        run: request.run.clone(),
        name: request.experiment.name.clone(),
        by_uid: request.asked_by.0,
        by_pid: request.asked_by.1,
        login_uid: request.login_uid,
        config: request.config.clone(),
        supervisor: request.supervisor,
        experiment: request.experiment.clone(),
    })?;
    drop(start_lock);
    for (limit, lifted) in &request.overrides {
        journal.before(&Record::Overridden {
            limit: limit.clone(),
            by_uid: request.asked_by.0,
            by_pid: request.asked_by.1,
            lifted: lifted.clone(),
        })?;
    }
    fd_store.keep_journal(&journal)?;
    let name = request.run.to_string();
    let mut run = Run {
        request,
        journal,
        changes: Changes::of(&name, guardian),
        tell,
    };
    let result = run.through(fd_store, orders);
    let Run {
        request,
        mut journal,
        mut changes,
        tell,
    } = run;
    let errors = changes.restore(&mut journal);
    let result = result.map(|report| {
        let mut report = report.with_undo_errors(errors);
        // Nothing fires and everything is as it was: now there is time to tell somebody.
        report.told = notifier::escalate(&request.escalation, &report);
        report
    });
    for notice in result.iter().flat_map(|report| &report.told) {
        let notice = notice.clone();
        journal.after(&Record::Told { notice });
    }
    // The recorder's end is the supervisor's to tell: it closes the journal.
    if !journal.has_recorder() {
        return result;
    }
    let last = match &result {
        Ok(report) => Record::Ended {
            report: report.clone(),
        },
        Err(refusal) => Record::Aborted {
            why: refusal.message.clone(),
        },
    };
    // Released even when the last line is not on the disk yet: nothing is left to look after.
    let written = journal.finish(&last);
    fd_store.release(&journal)?;
    let mut report = result?;
    if let Err(refusal) = written {
        report.remarks.push(refusal.message);
    }
    tell(RunEvent {
        run: report.run.clone(),
        boot_ns: boot_ns(),
        what: EventKind::Ended {
            report: report.clone(),
        },
    });
    Ok(report)
}

struct Run<'t> {
    request: Request,
    journal: RunJournal,
    changes: Changes,
    tell: &'t mut dyn FnMut(RunEvent),
}

/// A run while it is armed.
struct Armed {
    namespaces: Vec<ArmedNamespace>,
    watchdog: Watchdog,
    /// Who looks at the halt conditions.
    halt_monitor: HaltMonitor,
    /// What they see of this process's own hits.
    own_hits: OwnHits,
    /// When it was, on the boot clock, in nanoseconds.
    since: u64,
    resetters: BTreeMap<usize, Resetter>,
    spending: Spending,
    processes: ProcessFaults,
    /// Who the targets are now.
    roster: Roster,
}

impl Run<'_> {
    /// Arms, walks the steps, disarms.
    fn through(
        &mut self,
        fd_store: &dyn FdStore,
        orders: &Receiver<Order>,
    ) -> Result<RunReport, Refusal> {
        let request = &self.request;
        let mut text =
            rendering::render_resolved(&request.plan, &request.experiment, &request.targets);
        text.push_str(&self.request.radius.to_string());
        let faults = self.request.plan.describe(&self.request.experiment);
        self.journal.before(&Record::Planned { text, faults })?;
        // Whoever pulled the kill switch before this run had a journal did not see it.
        let directory = journal::directory();
        let kill_switch = KillSwitch::watch(&directory)?;
        kill_switch::check(&directory)?;
        let mut armed = self.arm(fd_store, kill_switch)?;
        let outcome = match self.steps(&mut armed, orders) {
            Ok(outcome) => outcome,
            Err(refusal) => Outcome::Failed {
                why: refusal.message,
            },
        };
        Ok(self.disarm(armed, outcome))
    }

    fn arm(&mut self, fd_store: &dyn FdStore, kill_switch: KillSwitch) -> Result<Armed, Refusal> {
        let length = nanos(self.request.experiment.duration());
        let mut namespaces = Vec::new();
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
            let mut context = Context {
                plan: &self.request.plan,
                targets: &self.request.targets,
                journal: &mut self.journal,
                changes: &mut self.changes,
                until: boot_ns()
                    .saturating_add(ARMING_NS)
                    .saturating_add(length)
                    .saturating_add(GRACE_NS),
                fd_store,
                listening: self.request.listening,
                conditions: &self.request.experiment.halt,
            };
            let (armed, opened, news) = ArmedNamespace::attach(namespace, scopes, &mut context)?;
            counting.push(self.counting(&armed.scopes, opened.counters));
            namespaces.push(armed);
            leases.push(opened.lease);
            told.extend(news);
        }
        self.journal.before(&Record::Armed)?;
        let armed_at = boot_ns();
        let deadline = armed_at.saturating_add(length).saturating_add(GRACE_NS);
        self.changes.set_deadline(deadline)?;
        let own_hits = OwnHits::default();
        let around = halt_monitor::Surroundings {
            targets: &self.request.targets,
            counting,
            own_hits: own_hits.clone(),
        };
        let (halt_monitor, slots) = HaltMonitor::start(&self.request.experiment.halt, around)?;
        let watchdog = Watchdog::start(leases, deadline, kill_switch, slots, &self.request.brake)?;
        for namespace in &mut namespaces {
            namespace.claim(&self.request.targets)?;
        }
        let mut armed = Armed {
            namespaces,
            watchdog,
            halt_monitor,
            own_hits,
            since: armed_at,
            resetters: BTreeMap::new(),
            spending: Spending::begin(self.request.budget, armed_at),
            processes: ProcessFaults::asked_by(self.request.asked_by.1),
            roster: self.roster(armed_at),
        };
        // Before anybody hears of it: whoever waits for that word acts on it at once, and its first
        // packet or call would meet no rule yet.
        self.switch(&mut armed, Some(0))?;
        let first = self.request.experiment.steps.first();
        let first = first.map_or(0, |step| nanos(step.duration));
        self.act_on_processes(&mut armed, 0, armed_at.saturating_add(first))?;
        let faults = self.request.plan.describe(&self.request.experiment);
        self.tell(EventKind::Armed { faults });
        for what in told {
            self.tell(what);
        }
        Ok(armed)
    }

    /// Whether these scopes need programs in the kernel: for a fault, or to follow a tree.
    fn needs_programs(&self, scopes: &[u32]) -> bool {
        let follows = |scope: &u32| {
            let target = self.request.targets.get(*scope as usize);
            target.is_some_and(|target| target.follow == Follow::Tree)
        };
        self.request.plan.needs_programs(scopes) || scopes.iter().any(follows)
    }

    fn steps(&mut self, armed: &mut Armed, orders: &Receiver<Order>) -> Result<Outcome, Refusal> {
        let mut ends_at = armed.since;
        for index in 0..self.request.experiment.steps.len() {
            let step = &self.request.experiment.steps[index];
            let (name, duration) = (step.name.clone(), step.duration);
            ends_at = ends_at.saturating_add(nanos(duration));
            self.switch(armed, Some(index))?;
            self.journal
                .after(&Record::StepStarted { step: name.clone() });
            self.tell(EventKind::StepStarted { step: name.clone() });
            let outcome = self.wait(armed, index, ends_at, orders);
            self.lift(armed);
            self.switch(armed, None)?;
            armed.spending.before = self.used(armed, index);
            self.journal
                .after(&Record::StepEnded { step: name.clone() });
            self.tell(EventKind::StepEnded { step: name });
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Completed)
    }

    /// Switches the rules of a step on, and all others off.
    fn switch(&self, armed: &mut Armed, step: Option<usize>) -> Result<(), Refusal> {
        let active = step
            .map(|step| self.request.plan.active(step))
            .unwrap_or_default();
        for namespace in &mut armed.namespaces {
            for scope in namespace.scopes.clone() {
                namespace.activate(scope, active.get(&scope).copied().unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Waits for the end of a step and looks after everything meanwhile; `None` goes on.
    fn wait(
        &mut self,
        armed: &mut Armed,
        step: usize,
        ends_at: u64,
        orders: &Receiver<Order>,
    ) -> Option<Outcome> {
        let mut claim_at = 0;
        loop {
            let now = boot_ns();
            if let Some(outcome) = lapsed(&armed.watchdog) {
                return Some(outcome);
            }
            if armed
                .namespaces
                .iter()
                .any(|namespace| !namespace.line_is_running())
            {
                return Some(Outcome::Failed {
                    why: "the delay line has stopped by itself".into(),
                });
            }
            if !armed.namespaces.iter().all(ArmedNamespace::park_is_serving) {
                return Some(Outcome::Failed {
                    why: "the process that holds the pages which threads sleep on (`injector hold-park`) was killed, or its file system was aborted; nobody sleeps any more".into(),
                });
            }
            if now >= ends_at {
                return None;
            }
            if let Some(outcome) = self.look_after_targets(armed) {
                return Some(outcome);
            }
            if let Some(why) = self.alone() {
                return Some(Outcome::Failed { why: why.into() });
            }
            if now >= claim_at {
                claim_at = now + CLAIM_EVERY;
                for namespace in &mut armed.namespaces {
                    let told = namespace.keep_up(&self.request.targets);
                    for what in told {
                        self.tell(what);
                    }
                }
                let found = self.processes(armed);
                if let Some(why) = armed.spending.processes(found) {
                    return Some(overspent(armed, why));
                }
            }
            let used = self.used(armed, step);
            if let Some(why) = armed.spending.look(now, used) {
                return Some(overspent(armed, why));
            }
            self.tell_own_hits(armed);
            self.reset(armed, step);
            if let Err(refusal) = self.act_on_processes(armed, step, ends_at) {
                return Some(Outcome::Failed {
                    why: refusal.message,
                });
            }
            self.drain(armed);
            match orders.recv_timeout(TICK.min(Duration::from_nanos(ends_at - now))) {
                // The supervisor orders it too where another process is missing.
                Ok(Order::Stop) => {
                    return Some(
                        self.alone()
                            .map_or(Outcome::Stopped, |why| Outcome::Failed { why: why.into() }),
                    );
                }
                // Nobody is left who could stop it; it ends by itself.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Which process is missing without which the run must not go on.
    fn alone(&self) -> Option<&'static str> {
        if !self.changes.has_guardian() {
            Some(
                "the guardian process (injector guard) has ended, which would undo this run's changes",
            )
        } else if !self.journal.has_recorder() {
            Some("the process that writes the journal (injector record) has ended")
        } else {
            None
        }
    }

    /// Carries out the resets of a step. They are this process's own doing, so the lease is asked here.
    fn reset(&mut self, armed: &mut Armed, step: usize) {
        let rules: Vec<_> = (self.request.plan.rules.iter().enumerate())
            .filter(|(_, rule)| rule.step == step && rule.compiled.mechanism == Mechanism::Reset)
            .collect();
        let Armed {
            namespaces,
            watchdog,
            resetters,
            ..
        } = armed;
        if rules.is_empty() || !watchdog.is_live() {
            return;
        }
        let resets = Resets {
            rules,
            targets: &self.request.targets,
            is_live: &|| watchdog.is_live(),
        };
        let mut told = Vec::new();
        for namespace in namespaces {
            namespace.where_due(|namespace| resets.look(namespace, resetters, &mut told));
        }
        for what in told {
            self.tell(what);
        }
    }

    /// Does what is due of a step's faults on processes.
    fn act_on_processes(
        &mut self,
        armed: &mut Armed,
        step: usize,
        ends_at: u64,
    ) -> Result<(), Refusal> {
        let Armed {
            namespaces,
            watchdog,
            processes,
            ..
        } = armed;
        let Request {
            experiment,
            targets,
            plan,
            ..
        } = &self.request;
        let namespaces = RefCell::new(namespaces);
        let members = |scope: u32| {
            let namespaces = namespaces.borrow();
            let namespace = namespaces.iter().find(|n| n.scopes.contains(&scope));
            match (namespace, targets.get(scope as usize)) {
                (Some(namespace), _) => namespace.members(scope, targets),
                (None, Some(target)) => target.members(),
                (None, None) => Vec::new(),
            }
        };
        let surroundings = process::Surroundings {
            plan,
            selectors: &experiment
                .targets
                .iter()
                .map(|t| &t.selector)
                .collect::<Vec<_>>(),
            targets,
            members: &members,
            watchdog,
            bar: &|rule| {
                let mut namespaces = namespaces.borrow_mut();
                let namespace = namespaces
                    .iter_mut()
                    .find(|n| n.scopes.contains(&rule.scope));
                match (namespace, rule.compiled.exec_deny) {
                    (Some(namespace), Some(_)) => {
                        namespace.maps.mark_killed(rule_id(rule.scope, rule.slot))
                    }
                    _ => Ok(()),
                }
            },
        };
        let mut record = process::Record {
            changes: &mut self.changes,
            journal: &mut self.journal,
        };
        processes.act(step, boot_ns(), ends_at, &surroundings, &mut record)
    }

    /// Undoes what a step's faults on processes have changed.
    fn lift(&mut self, armed: &mut Armed) {
        armed.processes.lift(&mut process::Record {
            changes: &mut self.changes,
            journal: &mut self.journal,
        });
    }

    /// Tells of the hits that wait in the rings.
    fn drain(&mut self, armed: &mut Armed) {
        for namespace in &mut armed.namespaces {
            namespace.debug_log.flush();
            for event in namespace.events.by_ref() {
                let rules = &self.request.plan.rules;
                let Some(rule) = rules
                    .iter()
                    .find(|r| rule_id(r.scope, r.slot) == event.rule)
                else {
                    continue;
                };
                let target = &self.request.targets[rule.fault.target].name;
                let what = EventKind::hit(rule.fault.kind.name(), target, &event);
                (self.tell)(RunEvent {
                    run: self.request.run.clone(),
                    boot_ns: event.boot_ns,
                    what,
                });
            }
        }
    }

    /// Ends the leases, waits for programs in flight, lets held frames go, reads the counters, and
    /// detaches. Failures are part of the report; none keeps the rest from happening.
    fn disarm(&mut self, mut armed: Armed, outcome: Outcome) -> RunReport {
        let mut errors = Vec::new();
        let ending = armed.watchdog.ending();
        let mut note = |what: Result<(), String>| errors.extend(what.err());
        note(armed.watchdog.disarm().map_err(|error| error.to_string()));
        self.lift(&mut armed);
        note(grace::wait().map_err(|error| error.to_string()));
        let armed_for = boot_ns().saturating_sub(armed.since);
        let mut line_stats = Vec::new();
        for namespace in &mut armed.namespaces {
            let stats = namespace.flush();
            note(stats.as_ref().map(|_| ()).map_err(ToString::to_string));
            line_stats.push(stats.unwrap_or_default());
        }
        self.drain(&mut armed);
        self.tell_lost(&armed);
        let (faults, last_hit) = self.fault_reports(&armed, &line_stats);
        let halt = halted_within(&outcome, ending, last_hit);
        let unseen: Vec<String> = armed
            .namespaces
            .iter()
            .flat_map(ArmedNamespace::unseen)
            .collect();
        let unjudged: Vec<String> = armed
            .namespaces
            .iter()
            .flat_map(ArmedNamespace::unjudged)
            .collect();
        for namespace in armed.namespaces {
            namespace.detach();
        }
        drop(armed.watchdog);
        drop(armed.halt_monitor);
        RunReport {
            run: self.request.run.clone(),
            name: self.request.experiment.name.clone(),
            outcome,
            armed_for_ms: armed_for / 1_000_000,
            faults,
            remarks: line_stats
                .iter()
                .flat_map(delay_line::Stats::losses)
                .chain(unseen)
                .chain(armed.processes.remarks(&self.request.plan))
                .chain(armed.roster.remarks())
                .chain(unjudged)
                .collect(),
            undo_errors: errors,
            halt,
            told: Vec::new(),
        }
    }

    fn tell_lost(&mut self, armed: &Armed) {
        let lost = armed
            .namespaces
            .iter()
            .filter_map(|n| n.maps.lost_events().ok())
            .sum();
        if lost > 0 {
            self.tell(EventKind::EventsLost { count: lost });
        }
    }

    fn tell(&mut self, what: EventKind) {
        (self.tell)(RunEvent {
            run: self.request.run.clone(),
            boot_ns: boot_ns(),
            what,
        });
    }
}

/// Ends the leases for a limit of the host, before anything else is done.
fn overspent(armed: &Armed, why: String) -> Outcome {
    // A lease that cannot be ended now is tried again when the run disarms.
    let _ = armed.watchdog.breach(Breach {
        condition: String::new(),
        why: why.clone(),
        seen_boot_ns: boot_ns(),
    });
    Outcome::Halted { why }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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
