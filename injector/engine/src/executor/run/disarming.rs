//! Ends what a run has armed, and reads what it did.

use injector_host::{
    delay_line,
    kernel::{clock::boot_ns, grace},
};
use injector_record::{
    event::EventKind,
    report::{Outcome, RunReport},
};

use super::{Armed, Run};
use crate::executor::{arm::ArmedNamespace, ending::halted_within};

impl Run<'_> {
    /// Ends the leases, waits for programs in flight, lets held frames go, reads the counters, and
    /// detaches. Failures are part of the report; none keeps the rest from happening.
    pub(super) fn disarm(&mut self, mut armed: Armed, outcome: Outcome) -> RunReport {
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

    pub(super) fn tell_lost(&mut self, armed: &Armed) {
        let lost = armed
            .namespaces
            .iter()
            .filter_map(|n| n.maps.lost_events().ok())
            .sum();
        if lost > 0 {
            self.tell(EventKind::EventsLost { count: lost });
        }
    }
}
