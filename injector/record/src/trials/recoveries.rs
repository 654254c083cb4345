//! How long one probe was bad, over several runs.

use serde::Serialize;

use super::{Trial, proof::number};
use crate::measure::{Fate, Judged};
use injector_spec::experiment::ProbeRole;

/// How long a probe was bad in one run. Sorts as it lasts: no known time is longer than one without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bad {
    /// From the impact to the recovery, in milliseconds.
    ForMs(u64),
    /// It was not good again within the run; for so many milliseconds at least.
    AtLeastMs(u64),
}

/// What became of one probe over several runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recoveries {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub role: ProbeRole,
    /// Runs that tell what became of it.
    pub told: usize,
    /// Runs in which it was bad.
    pub bad: usize,
    /// The middle one of these; of an even number the longer one of the two in the middle, so that it is a time that
    /// was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median: Option<Bad>,
    /// The shortest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<Bad>,
    /// The longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<Bad>,
    /// How sure it is that shortest and longest enclose the true median, from 0 to 1; 0 of a single run.
    pub level: f64,
}

/// Each probe of these trials, in the order in which they are named first.
pub(super) fn of(trials: &[Trial]) -> Vec<Recoveries> {
    let mut all: Vec<(&Judged, Vec<&Fate>)> = Vec::new();
    for trial in trials {
        let Trial::Ran(report) = trial else { continue };
        for judged in report.judgement.iter().flat_map(|it| &it.probes) {
            match all.iter_mut().find(|(first, _)| first.name == judged.name) {
                Some((_, fates)) => fates.push(&judged.fate),
                None => all.push((judged, vec![&judged.fate])),
            }
        }
    }
    let recoveries = |(judged, fates): (&Judged, Vec<&Fate>)| {
        let mut told = 0;
        let mut bad = Vec::new();
        for fate in fates {
            match fate {
                Fate::NotMet | Fate::NotMeasurable { .. } => continue,
                Fate::Absorbed => {}
                Fate::Adapted(recovery) | Fate::Recovered(recovery) | Fate::Late(recovery) => {
                    bad.push(Bad::ForMs(recovery.rta_ms));
                }
                Fate::Never { at_least_ms } => bad.push(Bad::AtLeastMs(*at_least_ms)),
            }
            told += 1;
        }
        bad.sort_unstable();
        Recoveries {
            name: judged.name.clone(),
            role: judged.role,
            told,
            bad: bad.len(),
            median: bad.get(bad.len() / 2).copied(),
            least: bad.first().copied(),
            most: bad.last().copied(),
            level: level(bad.len()),
        }
    };
    all.into_iter().map(recoveries).collect()
}

fn level(runs: usize) -> f64 {
    (1.0 - 2.0 * 0.5_f64.powf(number(runs))).max(0.0)
}
