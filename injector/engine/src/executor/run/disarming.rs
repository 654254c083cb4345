//! Ends what a run has armed, and reads what it did.

use std::mem;

use injector_host::kernel::{clock::boot_ns, grace};
use injector_record::{
    event::EventKind,
    report::{Outcome, RunReport},
};

use super::{Armed, Run};
use crate::executor::ending::halted_within;

impl Run<'_> {
    /// Ends the leases, waits for programs in flight, lets held frames go, reads the counters, and
    /// detaches. Failures are part of the report; none keeps the rest from happening. What was measured
    /// is left in the run, to be judged when everything is put back.
    pub(super) fn disarm(&mut self, mut armed: Armed, outcome: Outcome) -> RunReport {
        let mut errors = Vec::new();
        let ending = armed.watchdog.ending();
        let mut note = |what: Result<(), String>| errors.extend(what.err());
        let ended = boot_ns();
        note(armed.watchdog.disarm().map_err(|error| error.to_string()));
        self.undo(&mut armed, None);
        note(grace::wait().map_err(|error| error.to_string()));
        let armed_for = boot_ns().saturating_sub(armed.since);
        let failed = self.each(&mut armed, |effect, scene| Ok(effect.quiet(scene)));
        errors.extend(failed.into_iter().flatten().flatten());
        self.drain(&mut armed);
        armed.tell_first_hit();
        armed.measures.close(ended, &mut armed.ground);
        self.tell_lost(&armed);
        let (faults, last_hit) = self.fault_reports(&armed);
        let halt = halted_within(&outcome, ending, last_hit);
        let effects = armed.effects.iter();
        let mut remarks: Vec<String> = effects
            .flat_map(|effect| effect.remarks(&self.request.plan, &armed.ground))
            .chain(armed.roster.remarks())
            .collect();
        drop(armed.effects);
        errors.extend(armed.ground.detach());
        drop(armed.watchdog);
        drop(armed.halt_monitor);
        self.end_measures(&mut armed.measures);
        remarks.extend(armed.measures.remark());
        self.measures = armed.measures;
        RunReport {
            run: self.request.run.clone(),
            name: self.request.experiment.name.clone(),
            outcome,
            armed_for_ms: armed_for / 1_000_000,
            faults,
            remarks,
            judgement: None,
            fail_on: None,
            signs: None,
            undo_errors: errors,
            halt: halt.map(Box::new),
            picked: self.request.radius.picked.clone(),
            gates: mem::take(&mut self.gates),
            rollback: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(super) fn tell_lost(&mut self, armed: &Armed) {
        let lost = armed
            .ground
            .namespaces
            .iter()
            .filter_map(|n| n.maps.lost_events().ok())
            .sum();
        if lost > 0 {
            self.tell(EventKind::EventsLost { count: lost });
        }
    }
}
