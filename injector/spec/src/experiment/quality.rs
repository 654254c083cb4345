//! How good answers have to be on the whole: the share that is right, and the time that most of them take.
//!
//! Both are about the answers behind the first hit, of each probe and of all operations that are about the steady state:
//! what a target that recovers again and again in time loses on the way. [`injector_record::measure`] holds them against it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::quantity::{Percent, Portion, duration};

/// Which of the answers in the order of their times, the shortest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantile {
    /// The median.
    P50,
    /// What one in ten exceeds.
    P90,
    /// What one in twenty exceeds.
    P95,
    /// What one in a hundred exceeds.
    P99,
}

impl Quantile {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P95, Self::P99];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// How many of so many answers are at or below it.
    pub const fn of(self, answers: u64) -> u64 {
        let percent = match self {
            Self::P50 => 50,
            Self::P90 => 90,
            Self::P95 => 95,
            Self::P99 => 99,
        };
        // Rounded up; of none it is none. Answers are counted in millions at most.
        answers.saturating_mul(percent).div_ceil(100)
    }
}

/// What a quantile of the times may be: `p99 500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Which.
    pub quantile: Quantile,
    /// The longest that it may be.
    #[serde(with = "duration")]
    pub within: Duration,
}

impl fmt::Display for Latency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = duration::format(self.within);
        write!(out, "{} {within}", self.quantile.name())
    }
}

/// How many of so many answers have to be right for this share; of none, none.
pub fn needed(share: Percent, answers: u64) -> u64 {
    let all = usize::try_from(answers).unwrap_or(usize::MAX);
    let needed = Portion::Share(share).of(all).min(all);
    u64::try_from(needed).unwrap_or(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_rounded_up() {
        for (answers, expected) in [(0, 0), (1, 1), (99, 99), (100, 99), (101, 100), (200, 198)] {
            assert_eq!(Quantile::P99.of(answers), expected, "{answers}");
        }
        assert_eq!(Quantile::P50.of(5), 3);
        let names = Quantile::ALL.map(|one| serde_json::to_string(&one).unwrap());
        assert_eq!(
            names,
            Quantile::ALL.map(|one| format!("\"{}\"", one.name()))
        );
    }

    #[test]
    fn a_share_is_what_a_person_reckons() {
        for (share, answers, expected) in [
            ("99%", 100, 99),
            ("99%", 101, 100),
            ("100%", 7, 7),
            ("1%", 0, 0),
        ] {
            assert_eq!(
                needed(share.parse().unwrap(), answers),
                expected,
                "{share} of {answers}"
            );
        }
    }
}
