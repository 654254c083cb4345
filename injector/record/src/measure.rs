//! What a run measures, and what that says of its hypothesis. Pure: answers and times go in, a judgement comes out.
//!
//! The clock is `CLOCK_BOOTTIME`; wall time is a label. The terms, and where they come from:
//!
//! | term | meaning |
//! | --- | --- |
//! | answer | one question of a probe with its answer, or one operation of a target; bad where it failed among so many failures that the probe's `fails` is reached, or the operations' `ratio` is not |
//! | impact | the first bad answer that was open at the first hit, or was asked after it: the later of the two moments |
//! | lifted | the moment in which the last fault was off |
//! | recovery | the start of the first good answer that opens a calm without a bad one: [`CALM_ANSWERS`] answers and [`CALM_TIME`], whichever takes longer |
//! | RTA | from the impact to the recovery: the recovery time *actual*, beside the objective (RTO). The pair is that of business continuity (NIST SP 800-34, ISO 22300) |
//! | baseline | the quiet steps in front of the first fault |
//! | RPA | what is lost, torn or double of what was acknowledged, and how old the rest is: the recovery point *actual*, beside the objective (RPO); [`loss`] has the definitions |
//! | detection | the first moment in which the target's own alarm was on; [`detected`] |
//! | spread | which probe left its steady state when, counted from the first of them: [`Impact`] |
//!
//! An answer tells nothing of the time before it was asked. So each RTA has bounds: at least from the first bad answer
//! to the last one, at most from the good answer before the impact to the end of the good answer that opens the calm.
//! A recovery is in time where its upper bound is, late where its lower bound is, and not measurable between the two.
//! Of operations every one is seen: their RTA is exact, and its bounds are the RTA itself.
//!
//! Rejected: a share of good answers over sliding windows. `fails 2 of 3` forgives single failures already, and a
//! window blurs the moment of the impact by its own length.

mod checked;
mod detection;
mod fate;
mod judgement;
pub mod loss;
mod quality;
mod reconciliation;
mod spread;
mod standing;
#[cfg(test)]
mod tests;
mod words;
mod words_beside;

use serde::{Deserialize, Serialize};

pub use checked::Checked;
pub use detection::{Detected, Detection, detected};
pub use fate::{Fate, Recovery, Rule, Seen, fate};
pub use injector_spec::experiment::steady_state::{CALM_ANSWERS, CALM_TIME};
use injector_spec::{condition::Fails, experiment::Ratio};
pub use judgement::{Case, Judged, Judgement, Measured, Tally, Verdict, What, judge, unsteady};
pub use quality::{Quality, Reached};
pub use reconciliation::{Reconciliation, Rpa};
pub use spread::{Impact, Left};
pub use standing::Standing;

/// One answer, as a journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was asked, on the boot clock, in nanoseconds.
    pub at_ns: u64,
    /// How long the answer took, in microseconds.
    pub took_us: u64,
    /// What was wrong with it; absent where it was right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

/// One answer, as it is judged: 24 bytes, for a run keeps all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it was asked, on the boot clock, in nanoseconds.
    pub begun_ns: u64,
    /// When it was there.
    pub ended_ns: u64,
    /// Whether it was right.
    pub is_right: bool,
}

impl From<&Sample> for Answer {
    fn from(sample: &Sample) -> Self {
        Self {
            begun_ns: sample.at_ns,
            ended_ns: sample
                .at_ns
                .saturating_add(sample.took_us.saturating_mul(1_000)),
            is_right: sample.wrong.is_none(),
        }
    }
}

/// When what of a run happened, on the boot clock, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Probes were asked from here on.
    pub begun_ns: u64,
    /// The first step with a fault began; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults_ns: Option<u64>,
    /// No fault had hit before this moment, and one had at the next look, 50 ms later; absent where none ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_ns: Option<u64>,
    /// The last fault was off; absent where none was ever on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_ns: Option<u64>,
    /// Probes were asked until here.
    pub ended_ns: u64,
}

/// How many failures are one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// So many...
    pub count: usize,
    /// ... among so many in a row.
    pub of: usize,
}

impl From<Fails> for TooMany {
    fn from(fails: Fails) -> Self {
        Self {
            count: usize::from(fails.count),
            of: usize::from(fails.of),
        }
    }
}

impl From<Ratio> for TooMany {
    fn from(ratio: Ratio) -> Self {
        let (count, of) = ratio.too_many();
        Self { count, of }
    }
}

/// Which answers are bad: those that failed within some `of` answers of which `count` failed.
pub fn bad(answers: &[Answer], too_many: impl Into<TooMany>) -> Vec<bool> {
    let TooMany { count, of } = too_many.into();
    let mut bad = vec![false; answers.len()];
    // The failures among the last `of` answers, oldest first.
    let mut failures = std::collections::VecDeque::new();
    for (index, answer) in answers.iter().enumerate() {
        while failures.front().is_some_and(|first| first + of <= index) {
            failures.pop_front();
        }
        if answer.is_right {
            continue;
        }
        failures.push_back(index);
        if failures.len() >= count {
            for &failure in &failures {
                bad[failure] = true;
            }
        }
    }
    bad
}
