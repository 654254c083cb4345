//! What becomes of a run that is to fail on flaws of its target: it is judged by them, with a hypothesis or without.

use injector_spec::experiment::{Fault, Flaw, flaw};
use serde::{Deserialize, Serialize};

use super::{Outcome, RunReport, Signs};
use crate::measure::{Rpa, Verdict};

/// What became of the flaws on which an experiment fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailOn {
    /// Those that the target shows.
    pub shown: Vec<Flaw>,
    /// Those that it could not show: nothing of it met a fault by which one shows, or not for long enough.
    pub unseen: Vec<Flaw>,
    /// What the run says by them alone.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl FailOn {
    /// By these signs, where some are declared.
    fn of(shown: Vec<Flaw>, unseen: Vec<Flaw>, signs: Option<&Signs>, outcome: &Outcome) -> Self {
        let verdict = match outcome {
            Outcome::Halted { why } => Verdict::Halted(why.clone()),
            _ if !shown.is_empty() => {
                Verdict::Deviated(format!("the target shows {}", flaw::names(&shown)))
            }
            Outcome::Failed { why } | Outcome::Unsteady { why } | Outcome::GateShut { why } => {
                Verdict::Inconclusive(why.clone())
            }
            Outcome::Completed | Outcome::Stopped | Outcome::TargetEnded { .. }
                if unseen.is_empty() =>
            {
                Verdict::Held
            }
            Outcome::Completed | Outcome::Stopped | Outcome::TargetEnded { .. } => {
                Verdict::Inconclusive(why_unseen(&unseen, signs))
            }
        };
        Self {
            shown,
            unseen,
            verdict,
        }
    }
}

/// What was missing for these flaws to show, in words.
fn why_unseen(unseen: &[Flaw], signs: Option<&Signs>) -> String {
    let (mut whys, mut by_faults) = (Vec::new(), Vec::new());
    for flaw in unseen.iter().copied() {
        match signs.and_then(|signs| signs.why_unseen(flaw)) {
            Some(why) => whys.push(format!("the target could not show {}: {why}", flaw.name())),
            None => by_faults.push(flaw),
        }
    }
    if !by_faults.is_empty() {
        let names = flaw::names(&by_faults);
        whys.insert(0, format!(
            "no request or plug-in met a fault by which the target could show {names}, or not for long enough"
        ));
    }
    whys.join("; ")
}

impl RunReport {
    /// What the run says: of its hypothesis, and of the flaws on which it fails. `None` where it is judged by neither.
    pub fn verdict(&self) -> Option<&Verdict> {
        let of_hypothesis = self.judgement.as_ref().map(|judgement| &judgement.verdict);
        of_hypothesis.or(self.fail_on.as_ref().map(|fail_on| &fail_on.verdict))
    }

    /// Judges the run by the flaws on which it fails; these are its faults, in the order of their reports. What held otherwise
    /// deviates where the target shows one, and is inconclusive where it could not.
    pub fn hold_to(&mut self, fail_on: &[Flaw], faults: &[&Fault]) {
        if fail_on.is_empty() {
            return;
        }
        let (mut shown, mut seen) = (Vec::new(), Vec::new());
        for (fault, report) in faults.iter().zip(&self.faults) {
            shown.extend(report.flaws());
            let could = fault.kind.shows().iter().copied();
            seen.extend(could.filter(|flaw| report.could_show(*flaw)));
        }
        if let Some(signs) = &self.signs {
            shown.extend(signs.flaws());
            seen.extend(signs.could_show());
        }
        // What is double without a fault says nothing of it.
        let is_met = self.faults.iter().any(|fault| fault.hit > 0);
        let judgement = self.judgement.iter().filter(|_| is_met);
        let ledgers = judgement.flat_map(|one| &one.ledgers);
        for ledger in ledgers {
            match &ledger.rpa {
                Rpa::Measured(loss) if loss.double > 0 => shown.push(Flaw::DuplicateEffect),
                Rpa::Measured(_) => seen.push(Flaw::DuplicateEffect),
                Rpa::NotMeasurable { .. } => {}
            }
        }
        let named = |is: &dyn Fn(&Flaw) -> bool| fail_on.iter().copied().filter(is).collect();
        let fail_on = FailOn::of(
            named(&|flaw| shown.contains(flaw)),
            named(&|flaw| !shown.contains(flaw) && !seen.contains(flaw)),
            self.signs.as_deref(),
            &self.outcome,
        );
        if let Some(judgement) = &mut self.judgement
            && judgement.verdict == Verdict::Held
        {
            judgement.verdict = fail_on.verdict.clone();
        }
        self.fail_on = Some(Box::new(fail_on));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Claimed, Handoff};

    fn named(shown: &[Flaw], unseen: &[Flaw], outcome: &Outcome) -> Verdict {
        FailOn::of(shown.to_vec(), unseen.to_vec(), None, outcome).verdict
    }

    #[test]
    fn what_was_missing_for_a_sign_is_said() {
        let said = |handoff, success| {
            let signs = Signs {
                handoff: Some(handoff),
                success: Some(success),
            };
            let unseen = [Flaw::Silent, Flaw::Hung, Flaw::FalseSuccess];
            let done = Outcome::Completed;
            match FailOn::of(Vec::new(), unseen.to_vec(), Some(&signs), &done).verdict {
                Verdict::Inconclusive(why) => why,
                other => panic!("{other:?}"),
            }
        };
        let quiet = said(Handoff::NothingToTell, Claimed::NotClaimed);
        assert_eq!(
            quiet,
            "no request or plug-in met a fault by which the target could show hung, or not for long enough; \
             the target could not show silent: no task failed for good before the run ended, so there was nothing to tell a person; \
             the target could not show false-success: no success was claimed, so there was none to be false"
        );
        let why = || "x cannot be looked for: y".to_owned();
        let blind = said(
            Handoff::Unseen { why: why() },
            Claimed::Unseen { why: why() },
        );
        assert!(
            blind.ends_with(
                "show silent: x cannot be looked for: y; the target could not show false-success: x cannot be looked for: y"
            ),
            "{blind}"
        );
    }

    #[test]
    fn a_run_is_green_on_what_was_seen_alone() {
        let done = Outcome::Completed;
        assert_eq!(named(&[], &[], &done), Verdict::Held);
        let storm = [Flaw::RetryStorm];
        assert!(matches!(
            named(&storm, &[Flaw::Hung], &done),
            Verdict::Deviated(why) if why.contains("retry-storm") && !why.contains("hung")
        ));
        assert!(matches!(
            named(&[], &storm, &done),
            Verdict::Inconclusive(why) if why.contains("retry-storm")
        ));
        let why = || "x".to_owned();
        let halted = Outcome::Halted { why: why() };
        assert_eq!(named(&storm, &[], &halted), Verdict::Halted(why()));
        let failed = Outcome::Failed { why: why() };
        assert_eq!(named(&[], &[], &failed), Verdict::Inconclusive(why()));
    }
}
