//! Waits at the gates of a run, and for the commands of its steps.

use std::{sync::mpsc::Receiver, time::Duration};

use injector_host::{kernel::clock::boot_ns, targets::guard::Guard};
use injector_record::{
    escalation::Escalated, event::EventKind, gate::GateReport, journal::Record, report::Outcome,
};
use injector_spec::{error::Refusal, experiment::Gate, quantity::duration};

use super::{Armed, Run};
use crate::{
    effects::Step,
    executor::Order,
    gate::{Shut, Waiting, Whose},
};

impl Run<'_> {
    /// Waits until the gate is open, its step is over, or the run ends; `None` goes on.
    pub(super) fn wait_at(
        &mut self,
        gate: Gate,
        name: &str,
        armed: &mut Armed,
        step: Step,
        orders: &Receiver<Order>,
    ) -> Result<Option<Outcome>, Refusal> {
        let guard = Guard::new(self.request.asked_by.1);
        let (waited_for, until) = (gate.to_string(), self.in_full(&gate, step));
        let is_for_a_person = gate == Gate::Approve;
        let whose = Whose {
            run: &self.request.run,
            experiment: &self.request.experiment.name,
            step: name,
            longest: Duration::from_nanos(step.ends_at.saturating_sub(boot_ns())),
        };
        let mut waiting = Waiting::begin(gate, &whose, &guard)?;
        let step_name = name.to_owned();
        self.journal.after(&Record::GateWaits {
            step: step_name.clone(),
            until: until.clone(),
        });
        self.tell(EventKind::GateWaits {
            step: step_name,
            until: until.clone(),
        });
        if is_for_a_person {
            let why = format!("gate {name} waits for {until}");
            let about = (self.request.experiment.name.as_str(), why.as_str());
            waiting.ask(&self.request.chain, &self.request.run, about)?;
        }
        let outcome = self.wait(armed, step, Some(&mut waiting), orders);
        let shut = match outcome {
            Some(_) => Shut::RunIsOver,
            None => Shut::TimeIsOver,
        };
        let (report, turns) = waiting.end(shut);
        self.escalated(turns);
        self.journal.after(&Record::GateEnded {
            report: report.clone(),
        });
        self.tell(EventKind::GateEnded {
            report: report.clone(),
        });
        let puts_right = self.request.experiment.puts_right(step.index);
        let given_up = || given_up(&report, &waited_for).filter(|_| !puts_right);
        let outcome = outcome.or_else(given_up);
        self.gates.push(report);
        Ok(outcome)
    }

    /// Puts turns of the asking on record.
    pub(super) fn escalated(&mut self, turns: Vec<Escalated>) {
        for turn in turns {
            self.journal
                .after(&Record::Escalated { turn: turn.clone() });
            self.tell(EventKind::Escalated { turn });
        }
    }

    /// What is waited for and how long, and the command that a person needs.
    fn in_full(&self, gate: &Gate, step: Step) -> String {
        let longest = step.ends_at.saturating_sub(step.began_at);
        let longest = duration::format(Duration::from_nanos(longest));
        match gate {
            Gate::Until(_) | Gate::Run(_) => format!("{gate}, at most {longest}"),
            Gate::Approve => {
                let run = &self.request.run;
                format!("a person, at most {longest}: `injector approve {run}` lets it go on")
            }
        }
    }
}

/// The outcome of a run whose gate stayed shut.
fn given_up(report: &GateReport, waited_for: &str) -> Option<Outcome> {
    (!report.is_open()).then(|| Outcome::GateShut {
        why: format!("it waited for {waited_for}; {report}"),
    })
}
