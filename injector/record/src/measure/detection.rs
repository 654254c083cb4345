//! Whether the target's own alarm noticed the impact, and how long that took.
//!
//! The probe that `detect` names is right when the alarm is on. It has to be silent at the first hit; its first right
//! answer from then on is the detection, also where that comes before any probe turned bad. The time counts from the
//! impact of the run and is known to one interval of the probe: at least to the question before, which had
//! another answer, at most to the end of the right one.
//!
//! Rejected: the first bad answer of a probe as the detection. It says when this program noticed, not when
//! the target did.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Answer, Standing, Times, spread};
use injector_spec::{
    experiment::Detect,
    quantity::duration::{self, millis},
};

/// What became of the detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detected {
    /// The name of the probe.
    pub probe: String,
    /// What it asks.
    pub asks: String,
    /// The longest time that is good enough, in milliseconds; absent where there is no objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective_ms: Option<u64>,
    /// What came of it.
    #[serde(flatten)]
    pub came: Detection,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "detection", rename_all = "kebab-case")]
pub enum Detection {
    /// No probe was bad, so there was nothing to notice.
    NoImpact,
    /// The alarm was on.
    Detected {
        /// So long after the impact, in milliseconds; 0 where it came before it.
        after_ms: u64,
        /// Not sooner.
        least_ms: u64,
        /// Not later.
        most_ms: u64,
    },
    /// It was not on until the end.
    NotDetected {
        /// For at least so long from the impact, in milliseconds.
        at_least_ms: u64,
    },
    /// The answers do not tell.
    NotMeasurable {
        /// Why not.
        why: String,
    },
}

/// Judges the answers of the alarm's probe, in the order in which they were asked; `impact_ns` is the impact of the
/// run on the boot clock.
pub fn detected(
    detect: &Detect,
    answers: &[Answer],
    times: &Times,
    impact_ns: Option<u64>,
    objective: Option<Duration>,
) -> Detected {
    let came = match times.hit_ns.zip(impact_ns) {
        Some((hit, impact)) => detection(answers, hit, impact, times.ended_ns),
        None => Detection::NoImpact,
    };
    Detected {
        probe: detect.name.clone(),
        asks: detect.question.to_string(),
        objective_ms: objective.map(millis),
        came,
    }
}

fn detection(answers: &[Answer], hit: u64, impact: u64, ended: u64) -> Detection {
    let not_measurable = |why: &str| Detection::NotMeasurable { why: why.into() };
    let first = spread::first_open(answers, hit);
    let Some(before) = first.checked_sub(1).and_then(|index| answers.get(index)) else {
        return not_measurable(
            "it was not asked before the first hit, so it may have been on already; let the baseline be longer",
        );
    };
    if before.is_right {
        return not_measurable(
            "the alarm was on before the first hit; see to it that it is silent when the faults begin",
        );
    }
    let ms = |at: u64| at.saturating_sub(impact) / 1_000_000;
    let found = (first..answers.len()).find(|index| answers[*index].is_right);
    let Some(found) = found else {
        let last = answers.last().map_or(impact, |answer| answer.begun_ns);
        return Detection::NotDetected {
            at_least_ms: ms(last.min(ended)),
        };
    };
    let answer = answers[found];
    Detection::Detected {
        after_ms: ms(answer.begun_ns.max(hit)),
        least_ms: ms(answers[found - 1].begun_ns),
        // A begun millisecond counts: a bound must not be too low.
        most_ms: ms(answer.ended_ns) + 1,
    }
}

impl Detected {
    /// How it stands to the objective.
    pub fn standing(&self) -> Standing {
        let Some(objective) = self.objective_ms else {
            return Standing::Within;
        };
        let time = |ms: u64| duration::measured(Duration::from_millis(ms));
        let (probe, within) = (&self.probe, time(objective));
        match &self.came {
            Detection::NoImpact => Standing::Within,
            Detection::Detected {
                after_ms, least_ms, ..
            } if *least_ms > objective => Standing::Deviated(format!(
                "`{probe}` detected the impact after {}, later than the objective of {within}",
                time(*after_ms)
            )),
            Detection::Detected { most_ms, .. } if *most_ms <= objective => Standing::Within,
            Detection::Detected {
                least_ms, most_ms, ..
            } => Standing::Unseen(format!(
                "`{probe}` detected the impact after {} to {}, and the objective of {within} lies between the two; ask \
                 more often",
                time(*least_ms),
                time(*most_ms)
            )),
            Detection::NotDetected { at_least_ms } if *at_least_ms > objective => {
                Standing::Deviated(format!(
                    "`{probe}` did not detect the impact for at least {}, longer than the objective of {within}",
                    time(*at_least_ms)
                ))
            }
            Detection::NotDetected { at_least_ms } => Standing::Unseen(format!(
                "`{probe}` did not detect the impact, and was watched for {} after it, which is within the objective of \
                 {within}; let the recovery last longer",
                time(*at_least_ms)
            )),
            Detection::NotMeasurable { why } => Standing::Unseen(format!(
                "whether `{probe}` detected the impact cannot be said: {why}"
            )),
        }
    }
}
