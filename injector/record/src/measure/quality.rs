//! The answers behind the first hit on the whole, against the objectives of success and latency.
//!
//! A recovery says how long the steady state was lost for. This says what it was worth meanwhile: a target that is bad for a
//! second each minute recovers every time, and answers every sixtieth request wrong. A wrong answer counts as later than
//! any other, so that one that fails at once makes no quantile better.
//!
//! Told of each probe and of all operations that are about the steady state, where the experiment has one of the two
//! objectives; not of operations of which some were not seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Measured, Standing, Times};
use injector_spec::{
    experiment::{Latency, Objectives, ProbeRole, quality::needed},
    quantity::{Percent, duration::measured},
};

/// The answers of one probe, or operations, behind the first hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The name of the probe, or of the operations.
    pub probe: String,
    /// How many answers there were.
    pub answers: u64,
    /// How many of them were right.
    pub right: u64,
    /// What share has to be; absent where there is no such objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Percent>,
    /// What they took; absent where there is no such objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Reached>,
}

/// A quantile of the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// What it may be.
    pub objective: Latency,
    /// What it was, in microseconds; absent where so many were wrong that it is behind all that were right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
}

/// What is measured of this, by the times of the run; `None` where nothing is asked, or nothing is to be told.
pub(super) fn quality(
    one: &Measured<'_>,
    times: &Times,
    objectives: &Objectives,
) -> Option<Quality> {
    let Objectives {
        success, latency, ..
    } = objectives;
    let is_asked = success.is_some() || latency.is_some();
    if !is_asked || one.what.role() != ProbeRole::SteadyState || one.what.unmeasurable().is_some() {
        return None;
    }
    let hit = times.hit_ns?;
    let behind = || one.answers.iter().filter(|answer| answer.begun_ns >= hit);
    let mut took: Vec<u64> = behind()
        .filter(|answer| answer.is_right)
        .map(|answer| answer.ended_ns.saturating_sub(answer.begun_ns) / 1_000)
        .collect();
    took.sort_unstable();
    let answers = u64::try_from(behind().count()).ok()?;
    let right = u64::try_from(took.len()).ok()?;
    let latency = latency.map(|objective| {
        let place = objective.quantile.of(answers).checked_sub(1);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let at_us = place.and_then(|place| took.get(place).copied());
        Reached { objective, at_us }
    });
    Some(Quality {
        probe: one.what.name().to_owned(),
        answers,
        right,
        success: *success,
        latency,
    })
}

impl Quality {
    /// How it stands to its objectives. Without an answer behind the hit it says nothing.
    pub fn standing(&self) -> Standing {
        let Self {
            probe,
            answers,
            right,
            ..
        } = self;
        if *answers == 0 {
            return Standing::Unseen(format!("`{probe}` had no answer behind the first hit"));
        }
        let rare = self
            .success
            .filter(|share| *right < needed(*share, *answers));
        let rare = rare
            .map(|share| format!("{right} of {answers} answers right, where {share} have to be"));
        let late = self.latency.filter(Reached::is_late);
        let late = late.map(|Reached { objective, at_us }| {
            let quantile = objective.quantile.name();
            let within = measured(objective.within);
            match at_us {
                Some(us) => format!("a {quantile} of {}, where {within} may be", time(us)),
                None => format!("a {quantile} behind its wrong answers, where {within} may be"),
            }
        });
        let said: Vec<String> = rare.into_iter().chain(late).collect();
        if said.is_empty() {
            Standing::Within
        } else {
            Standing::Deviated(format!("`{probe}` has {}", said.join(", and ")))
        }
    }
}

impl Reached {
    fn is_late(&self) -> bool {
        self.at_us
            .is_none_or(|us| Duration::from_micros(us) > self.objective.within)
    }
}

/// A time in microseconds, in words.
pub(super) fn time(us: u64) -> String {
    measured(Duration::from_micros(us))
}
