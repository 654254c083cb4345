//! A run from its journal's first line to its last.
//!
//! The reading order is that of a run: [`arming`], [`steps`] (with [`targets`] and [`ramping`]), [`disarming`], and the numbers of the
//! report in [`counted`]. The loop asks every one of the run's effects and knows none by name.

mod arming;
mod counted;
mod disarming;
mod gates;
mod ramping;
mod steps;
mod targets;

use std::{sync::mpsc::Receiver, time::Duration};

use injector_host::kernel::clock::boot_ns;
use injector_record::{
    event::{EventKind, RunEvent},
    gate::GateReport,
    journal::{self, Record},
    platform::Platform,
    report::{Outcome, RunReport},
};
use injector_spec::error::Refusal;

use super::{Order, Request, Surroundings, budget::Spending, roster::Roster};
use crate::{
    changes::Changes,
    effects::{Effect, Scene, Seen, ground::Ground},
    escalation::{self, Chain},
    fd_store::FdStore,
    halt_monitor::{HaltMonitor, OwnHits, ShownFlaws},
    kill_switch::{self, KillSwitch},
    ledgers,
    measures::Measures,
    notifier,
    preflight::StartLock,
    recorder::RunJournal,
    rendering, rollback, tell,
    watchdog::Watchdog,
};

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
    begin(&mut journal, &request, start_lock)?;
    fd_store.keep_journal(&journal)?;
    let mut run = Run {
        changes: Changes::of(&request.run.to_string(), guardian),
        request,
        journal,
        tell,
        gates: Vec::new(),
        measures: Measures::default(),
    };
    let result = run.through(fd_store, orders);
    let Run {
        request,
        mut journal,
        mut changes,
        tell,
        measures,
        ..
    } = run;
    let errors = changes.restore(&mut journal);
    let result = result.map(|mut report| {
        measures.judge(&mut report);
        let steady = request.experiment.steady_state.as_ref();
        let ledgers = steady.map_or(&[][..], |steady| &steady.ledgers);
        let asked_to_end = ledgers::reconcile(ledgers, &mut report, orders);
        let faults: Vec<_> = request.plan.rules.iter().map(|rule| &rule.fault).collect();
        report.hold_to(&request.experiment.fail_on, &faults);
        let mut report = report.with_undo_errors(errors);
        // Nothing fires and everything is as it was: now there is time to put right what broke, and to tell a person.
        let commands = &request.experiment.rollback;
        report.rollback = rollback::run(commands, &report, orders, asked_to_end, &mut |one| {
            let result = one.clone();
            journal.after(&Record::RolledBack { result });
        });
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
    // Before the last record, which says where no person can be asked; the process waits for that record.
    let mut result = result;
    let is_asked = result
        .as_mut()
        .is_ok_and(|report| begin_to_ask(&request.chain, report));
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
    if is_asked {
        tell::remark(format!(
            "injector: people are asked about run {}, where it needs a decision; `injector acknowledge {}` answers.",
            report.run, report.run
        ));
    }
    Ok(report)
}

/// Has people asked about a run where it may need a decision, by a process that no end waits for; whether they are. Why not is
/// among the report's remarks.
fn begin_to_ask(chain: &Chain, report: &mut RunReport) -> bool {
    if chain.is_empty() || !escalation::is_wanted(report) {
        return false;
    }
    let started = escalation::start(&report.run, chain);
    if let Err(error) = &started {
        let names = chain.names();
        report.remarks.push(format!(
            "{names} are not asked about this run: {error}; tell them yourself"
        ));
    }
    started.is_ok()
}

/// Puts on record what was asked, by whom, and which limits they lift.
fn begin(
    journal: &mut RunJournal,
    request: &Request,
    start_lock: StartLock,
) -> Result<(), Refusal> {
    journal.before(&Record::Started {
        run: request.run.clone(),
        name: request.experiment.name.clone(),
        by_uid: request.asked_by.0,
        by_pid: request.asked_by.1,
        login_uid: request.login_uid,
        config: request.config.clone(),
        supervisor: request.supervisor,
        platform: Some(Platform::here()),
        experiment: Box::new(request.experiment.clone()),
    })?;
    if let Some(drawn) = request.scheduled.clone() {
        journal.before(&Record::Scheduled { drawn })?;
    }
    drop(start_lock);
    for (limit, lifted) in &request.overrides {
        journal.before(&Record::Overridden {
            limit: limit.clone(),
            by_uid: request.asked_by.0,
            by_pid: request.asked_by.1,
            lifted: lifted.clone(),
        })?;
    }
    Ok(())
}

struct Run<'t> {
    request: Request,
    journal: RunJournal,
    changes: Changes,
    tell: &'t mut dyn FnMut(RunEvent),
    /// What became of the gates so far.
    gates: Vec<GateReport>,
    /// What was measured, once nothing is armed any more.
    measures: Measures,
}

/// A run while it is armed.
struct Armed {
    ground: Ground,
    effects: Vec<Box<dyn Effect>>,
    watchdog: Watchdog,
    /// Who looks at the halt conditions.
    halt_monitor: HaltMonitor,
    /// What is measured beside the faults.
    measures: Measures,
    /// What they see of this process's own hits.
    own_hits: OwnHits,
    /// And of what the targets have shown.
    flaws: ShownFlaws,
    /// When it was, on the boot clock, in nanoseconds.
    since: u64,
    /// The time within the step that is on whose values are set.
    set_at: Duration,
    spending: Spending,
    /// Hits of each rule of the plan as they were told last, so that of a step that is over none is read again.
    hits_by_rule: Vec<u64>,
    /// Who the targets are now.
    roster: Roster,
}

impl Armed {
    /// Asks each effect in turn, until one refuses.
    fn ask_each<T>(
        &mut self,
        request: &Request,
        changes: &mut Changes,
        journal: &mut RunJournal,
        listeners: &mut dyn FnMut(Seen),
        mut ask: impl FnMut(&mut dyn Effect, &mut Scene<'_>) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut scene = Scene {
            experiment: &request.experiment,
            plan: &request.plan,
            targets: &request.targets,
            ground: &mut self.ground,
            watchdog: &self.watchdog,
            changes,
            journal,
            listeners,
        };
        let effects = self.effects.iter_mut();
        effects
            .map(|effect| ask(effect.as_mut(), &mut scene))
            .collect()
    }
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
        let limits = self.request.budget.told();
        let picked = self.request.radius.picked.clone();
        self.journal.before(&Record::Planned {
            text,
            faults,
            limits,
            picked,
        })?;
        // A command that pulled the kill switch before this run had a journal did not see the run.
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

    /// Asks each effect in turn, until one refuses; what they see is told as it comes.
    fn each<T>(
        &mut self,
        armed: &mut Armed,
        ask: impl FnMut(&mut dyn Effect, &mut Scene<'_>) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let Self {
            request,
            journal,
            changes,
            tell,
            ..
        } = self;
        let mut listeners = |seen: Seen| tell(seen.of(&request.run));
        armed.ask_each(request, changes, journal, &mut listeners, ask)
    }

    fn tell(&mut self, what: EventKind) {
        let seen = Seen {
            boot_ns: boot_ns(),
            what,
        };
        (self.tell)(seen.of(&self.request.run));
    }
}
