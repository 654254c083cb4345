//! What of an experiment is tried: its faults, or its commands where it has no fault.
//!
//! Commands beside faults get a system ready, or put it right; where there is no fault, they are what the hypothesis is
//! about, and what goes wrong behind the first of them is theirs.

use super::{Experiment, Gate, RollbackCommand, Step};

impl Experiment {
    /// Whether its commands are what is tried: it has some, and no fault.
    pub fn is_of_commands(&self) -> bool {
        self.faults().next().is_none() && self.steps.iter().any(Step::runs)
    }

    /// Whether something is tried in a step. Commands at the very end put a system right again, and try nothing.
    pub fn tries(&self, step: usize) -> bool {
        let Some(found) = self.steps.get(step) else {
            return false;
        };
        if !self.is_of_commands() {
            return !self.is_quiet(step);
        }
        let behind = self.steps.iter().skip(step).any(|step| !step.runs());
        found.runs() && behind
    }

    /// Whether a step is one of the commands at the very end that are those of `rollback`, too: they put a system right again
    /// where its run ends as planned. By then all is measured, and where one fails the next is run nevertheless.
    pub fn puts_right(&self, step: usize) -> bool {
        let is_of_rollback = |step: &Step| self.rollback.iter().any(|command| step.is(command));
        let Some(behind) = self.steps.get(step..).filter(|behind| !behind.is_empty()) else {
            return false;
        };
        behind.iter().all(is_of_rollback) && (0..step).any(|one| self.tries(one))
    }

    /// How many commands are tried.
    pub fn commands(&self) -> usize {
        let all = 0..self.steps.len();
        if self.is_of_commands() {
            all.filter(|step| self.tries(*step)).count()
        } else {
            0
        }
    }
}

impl Step {
    /// Whether it runs this command, within the same time.
    pub(in crate::experiment) fn is(&self, command: &RollbackCommand) -> bool {
        let runs = matches!(&self.gate, Some(Gate::Run(words)) if *words == command.command);
        runs && self.duration == command.within
    }

    /// Whether it runs a command.
    pub(in crate::experiment) const fn runs(&self) -> bool {
        matches!(self.gate, Some(Gate::Run(_)))
    }
}

#[cfg(test)]
mod tests {
    use crate::experiment::file::parse;

    #[test]
    fn the_commands_of_rollback_at_the_end_put_right_and_others_do_not() {
        let fault = "{ duration: 5s, faults: [ net.blackhole ] }";
        let check = "{ run: { command: [/bin/false], timeout: 1s } }";
        let back = "{ run: { command: [/bin/true, x], timeout: 2s } }";
        let of = |steps: &str| {
            let text = format!(
                "targets: {{ a: {{ pid: 7 }} }}\nsteps: [ {steps} ]\nrollback: [ {{ command: [/bin/true, x], within: 2s }} ]\n"
            );
            parse(&text, "x.yaml", None).unwrap()
        };
        let behind = of(&format!("{back}, {fault}, {check}, {back}, {back}"));
        let right: Vec<bool> = (0..6).map(|step| behind.puts_right(step)).collect();
        assert_eq!(right, [false, false, false, true, true, false]);
        let checked = of(&format!("{fault}, {back}, {check}"));
        assert!((0..3).all(|step| !checked.puts_right(step)));
    }

    #[test]
    fn commands_are_tried_where_there_is_no_fault() {
        let run = "{ run: { command: [/bin/true], timeout: 1s } }";
        let of = |steps: &str| parse(&format!("steps: [ {steps} ]\n"), "x.yaml", None).unwrap();
        let alone = of(&format!(
            "{{ pause: 5s }}, {run}, {{ pause: 6s }}, {run}, {run}"
        ));
        let tried: Vec<bool> = (0..6).map(|step| alone.tries(step)).collect();
        assert_eq!(tried, [false, true, false, false, false, false]);
        assert_eq!(alone.commands(), 1);
        assert_eq!(
            (alone.baseline().as_secs(), alone.recovery().as_secs()),
            (5, 6)
        );
        assert!(alone.targets.is_empty() && alone.is_of_commands());
        let with_fault = format!(
            "targets: {{ a: {{pid: 7}} }}\nsteps: [ {run}, {{ duration: 1s, faults: [net.blackhole] }}, {run} ]\n"
        );
        let with_fault = parse(&with_fault, "x.yaml", None).unwrap();
        let tried: Vec<bool> = (0..3).map(|step| with_fault.tries(step)).collect();
        assert_eq!(tried, [false, true, false]);
        assert_eq!(with_fault.commands(), 0);
    }
}
