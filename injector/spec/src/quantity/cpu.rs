//! `10%` of one CPU, or `10000 100000` as `cpu.max` has it.

use std::{fmt, str::FromStr};

/// How much CPU time a cgroup may use: so many microseconds of each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuMax {
    quota_us: u64,
    period_us: u64,
}

/// The kernel's bounds (`kernel/sched/core.c`, `min_cfs_quota_period`, `max_cfs_quota_period`).
const SHORTEST_US: u64 = 1_000;
const LONGEST_PERIOD_US: u64 = 1_000_000;

/// The period of a share: the kernel's own default.
const PERIOD_US: u64 = 100_000;

/// The most that a share may be: a thousand CPUs.
const MOST_PERCENT: f64 = 100_000.0;

/// Why a text is no amount of CPU time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuMaxError {
    /// Not a share.
    #[error("`{0}` is not a share of one CPU; write one of at least 0.1%, as in `10%`")]
    Share(String),
    /// Not a quota and a period.
    #[error(
        "`{0}` is not a quota and a period in microseconds, as in `10000 100000`; the quota is at least \
         1000, the period between 1000 and 1000000"
    )]
    Pair(String),
}

impl CpuMax {
    /// A share of one CPU, as in `10%`; `250%` are two CPUs and a half.
    pub fn of_share(text: &str) -> Result<Self, CpuMaxError> {
        let failed = || CpuMaxError::Share(text.to_owned());
        let percent: f64 = text
            .strip_suffix('%')
            .and_then(|number| number.parse().ok())
            .ok_or_else(failed)?;
        if !(0.1..=MOST_PERCENT).contains(&percent) {
            return Err(failed());
        }
        // Small shares need a longer period, for the quota has a lower bound.
        let period_us = if percent < 1.0 {
            LONGEST_PERIOD_US
        } else {
            PERIOD_US
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 1000 and 10^8, by the bounds above"
        )]
        let quota_us = (percent / 100.0 * period_us as f64).round() as u64;
        Self::new(quota_us, period_us).ok_or_else(failed)
    }

    fn new(quota_us: u64, period_us: u64) -> Option<Self> {
        let is_valid =
            quota_us >= SHORTEST_US && (SHORTEST_US..=LONGEST_PERIOD_US).contains(&period_us);
        is_valid.then_some(Self {
            quota_us,
            period_us,
        })
    }

    /// Microseconds of CPU time in each period.
    pub const fn quota_us(self) -> u64 {
        self.quota_us
    }

    /// Microseconds of the period.
    pub const fn period_us(self) -> u64 {
        self.period_us
    }
}

impl FromStr for CpuMax {
    type Err = CpuMaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let failed = || CpuMaxError::Pair(text.to_owned());
        let (quota, period) = text.split_once(' ').ok_or_else(failed)?;
        let number = |text: &str| text.parse().map_err(|_| failed());
        Self::new(number(quota)?, number(period)?).ok_or_else(failed)
    }
}

impl fmt::Display for CpuMax {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.quota_us, self.period_us)
    }
}

super::as_text!(CpuMax);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_share_is_one_of_one_cpu() {
        for (share, max) in [
            ("10%", "10000 100000"),
            ("0.1%", "1000 1000000"),
            ("1%", "1000 100000"),
            ("250%", "250000 100000"),
        ] {
            assert_eq!(CpuMax::of_share(share).unwrap().to_string(), max);
        }
        for text in ["10", "0%", "0.05%", "-1%", "NaN%", "inf%", "%", "200000%"] {
            assert!(CpuMax::of_share(text).is_err(), "{text}");
        }
        for text in [
            "",
            "max 100000",
            "999 100000",
            "1000 999",
            "1000 1000001",
            "1 2 3",
        ] {
            assert!(text.parse::<CpuMax>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn display_parses_back(quota in 1_000u64..10_000_000, period in 1_000u64..=1_000_000) {
            let max = CpuMax::new(quota, period).unwrap();
            prop_assert_eq!(max.to_string().parse(), Ok(max));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*") {
            let _ = text.parse::<CpuMax>();
            let _ = CpuMax::of_share(&text);
        }
    }
}
