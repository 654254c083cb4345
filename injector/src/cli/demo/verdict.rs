//! Whether what was seen is what the demo promises.

use std::time::Duration;

use super::{
    act::{Act, Effect},
    table::{Row, reason, time},
};
use injector_record::report::{Outcome, RunReport};

/// By how much a median may differ between phases without a fault; hosts are busy.
const NOISE: Duration = Duration::from_millis(20);

/// One thing that was checked.
pub(super) struct Finding {
    pub(super) is_good: bool,
    pub(super) what: String,
    pub(super) evidence: String,
}

/// All that the findings are made of.
pub(super) struct Verdict<'a> {
    pub(super) before: &'a Row,
    pub(super) acts: Vec<((&'a Act, &'a Row), &'a RunReport)>,
    pub(super) after: &'a Row,
    pub(super) left: Vec<String>,
}

impl Verdict<'_> {
    /// One for each act, then those of the whole.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let acts = self.acts.iter();
        let mut findings: Vec<Finding> = acts
            .map(|((act, row), report)| self.met(act, row, report))
            .collect();
        findings.extend([self.bystander(), self.recovered(), left(&self.left)]);
        findings
    }

    /// The fault did to the target what its command says, and its run ended in good order.
    fn met(&self, act: &Act, row: &Row, report: &RunReport) -> Finding {
        let target = &row.met.target;
        let (has_effect, seen) = match act.effect {
            Effect::Slower(by) => {
                let before = self.before.met.target.median.unwrap_or_default();
                let now = target.median.unwrap_or_default();
                (
                    now >= before + by,
                    format!("median {} to {}", time(before), time(now)),
                )
            }
            Effect::Failing(errno) => {
                let failed = target.failed.get(&errno).copied().unwrap_or_default();
                let evidence = format!("{failed} of {} calls: {}", target.calls, reason(errno));
                (failed > 0 && failed + 1 >= target.calls, evidence)
            }
        };
        let hits: u64 = report.faults.iter().map(|fault| fault.hit).sum();
        let is_in_order = report.outcome == Outcome::Completed && report.undo_errors.is_empty();
        let order = if is_in_order {
            ""
        } else {
            "; its run did not end in good order"
        };
        Finding {
            is_good: has_effect && hits > 0 && is_in_order,
            what: format!("the target met {}", act.name()),
            evidence: format!("{seen}; {hits} hits{order}"),
        }
    }

    /// The other client noticed nothing, in any phase.
    fn bystander(&self) -> Finding {
        let rows = self.acts.iter().map(|((_, row), _)| *row);
        let rows = rows
            .chain([self.before, self.after])
            .map(|row| &row.met.bystander);
        let failures: usize = rows.clone().map(super::figures::Figures::failures).sum();
        let slowest = rows
            .clone()
            .map(|figures| figures.median.unwrap_or(Duration::MAX))
            .max();
        let slowest = slowest.unwrap_or(Duration::MAX);
        let before = self.before.met.bystander.median.unwrap_or_default();
        Finding {
            is_good: failures == 0 && slowest <= before + NOISE,
            what: "the bystander felt nothing".to_owned(),
            evidence: match slowest {
                Duration::MAX => "no call of it was answered in some phase".to_owned(),
                slowest => format!("{failures} failures, median at most {}", time(slowest)),
            },
        }
    }

    /// The target works as before.
    fn recovered(&self) -> Finding {
        let (before, after) = (&self.before.met.target, &self.after.met.target);
        let (Some(first), Some(last)) = (before.median, after.median) else {
            return Finding {
                is_good: false,
                what: "the target is as before".to_owned(),
                evidence: "no call of it was answered".to_owned(),
            };
        };
        Finding {
            is_good: after.failures() == 0 && last <= first + NOISE,
            what: "the target is as before".to_owned(),
            evidence: format!("{} failures, median {}", after.failures(), time(last)),
        }
    }
}

/// What a demo has left on this host.
pub(super) fn left(left: &[String]) -> Finding {
    Finding {
        is_good: left.is_empty(),
        what: "nothing is left behind".to_owned(),
        evidence: match left {
            [] => "looked for BPF, devices, lo, dead runs".to_owned(),
            left => left.join(", "),
        },
    }
}
