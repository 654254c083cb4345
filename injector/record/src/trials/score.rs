//! One number for how well a target stands its faults, and what it is made of.

use serde::Serialize;

use super::{
    Trial,
    bootstrap::{interval, mean},
};
use crate::measure::{Fate, Judgement, Reconciliation, Standing, Verdict};
use injector_spec::experiment::ProbeRole;

/// The highest score where a run was unsafe.
pub const UNSAFE_CAP: f64 = 49.0;

/// How well a target stood its faults, from 0 to 100: the mean over the experiments of the mean over their runs. A run
/// is worth what the worst probe of its steady state is: 1 where it stayed good, 0.8 where it was good again under
/// the fault and in time, 0.6 where it was good again after the fault and in time, 0.3 where it was late, 0 where it never was.
/// A ledger that is held against an objective counts as one more probe: 1 within it, 0 beyond it, for what is lost, torn or
/// done twice does not come back by itself.
/// A run that does not tell is not counted; beside the score stands how many of the faults hit anything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// From 0 to 100.
    pub score: f64,
    /// What it lies between with 95 % confidence, by bootstrap over the runs; absent where an experiment has a single
    /// run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Runs that are counted.
    pub runs: usize,
    /// Faults that hit something, over all experiments.
    pub met: usize,
    /// Faults that were asked for.
    pub planned: usize,
    /// What each counted run is worth, by experiment.
    pub worth: Vec<Vec<f64>>,
    /// The score is capped, for a run was unsafe.
    pub is_capped: bool,
}

impl Score {
    /// The score of these experiments, each with its runs; `None` where no run tells.
    pub fn of(experiments: &[&[Trial]]) -> Option<Self> {
        let mut worth = Vec::new();
        let (mut met, mut planned, mut is_capped) = (0, 0, false);
        for trials in experiments {
            let judgements: Vec<&Judgement> = trials.iter().filter_map(judgement).collect();
            is_capped |= judgements
                .iter()
                .any(|judgement| matches!(judgement.verdict, Verdict::Unsafe(_)));
            // A fault counts as met where most of the runs met it.
            let mut counts: Vec<_> = judgements.iter().map(|it| (it.met, it.planned)).collect();
            counts.sort_unstable();
            if let Some((hit, all)) = counts.get(counts.len() / 2) {
                met = usize::saturating_add(met, *hit);
                planned = usize::saturating_add(planned, *all);
            }
            let told: Vec<f64> = judgements.into_iter().filter_map(of_run).collect();
            if !told.is_empty() {
                worth.push(told);
            }
        }
        if worth.is_empty() {
            return None;
        }
        let means: Vec<f64> = worth.iter().map(|runs| mean(runs)).collect();
        let cap = |score: f64| {
            if is_capped {
                score.min(UNSAFE_CAP)
            } else {
                score
            }
        };
        Some(Self {
            score: cap(100.0 * mean(&means)),
            interval: interval(&worth).map(|(least, most)| (cap(100.0 * least), cap(100.0 * most))),
            runs: worth.iter().map(Vec::len).sum(),
            met,
            planned,
            worth,
            is_capped,
        })
    }
}

fn judgement(trial: &Trial) -> Option<&Judgement> {
    match trial {
        Trial::Ran(report) => report.judgement.as_deref(),
        Trial::Refused(_) => None,
    }
}

/// What a run is worth; `None` where it does not tell.
fn of_run(judgement: &Judgement) -> Option<f64> {
    match judgement.verdict {
        Verdict::Inconclusive(_) | Verdict::Halted(_) => return None,
        Verdict::Held | Verdict::Deviated(_) | Verdict::Unsafe(_) => {}
    }
    let probes = judgement
        .probes
        .iter()
        .filter(|probe| probe.role == ProbeRole::SteadyState);
    let worth = probes.filter_map(|probe| match probe.fate {
        Fate::NotMet | Fate::NotMeasurable { .. } => None,
        Fate::Absorbed => Some(1.0),
        Fate::Adapted(_) => Some(0.8),
        Fate::Recovered(_) => Some(0.6),
        Fate::Late(_) => Some(0.3),
        Fate::Never { .. } => Some(0.0),
    });
    let ledgers = judgement.ledgers.iter().filter_map(of_ledger);
    worth.chain(ledgers).min_by(f64::total_cmp)
}

/// What a ledger is worth; `None` where it is held against nothing, or could not be read.
fn of_ledger(ledger: &Reconciliation) -> Option<f64> {
    ledger.rpo?;
    match ledger.standing() {
        Standing::Within => Some(1.0),
        Standing::Deviated(_) | Standing::Unsafe(_) => Some(0.0),
        Standing::Unseen(_) => None,
    }
}
