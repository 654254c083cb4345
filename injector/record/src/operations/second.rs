//! What a journal has of operations: the numbers of each second, and single ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::Sample;

/// Good operations of a second that a journal has one by one.
const GOOD_KEPT: usize = 20;

/// Bad ones.
const BAD_KEPT: usize = 100;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// The operations that had begun in one second, and have ended or will not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// When the second began, on the boot clock, in nanoseconds.
    pub at_ns: u64,
    /// Operations that were good.
    pub good: u64,
    /// Those that were not.
    pub bad: u64,
    /// What all of them took together, in microseconds.
    pub took_us: u64,
    /// What the longest took.
    pub longest_us: u64,
}

impl Second {
    /// Both together.
    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            at_ns: other.at_ns,
            good: self.good.saturating_add(other.good),
            bad: self.bad.saturating_add(other.bad),
            took_us: self.took_us.saturating_add(other.took_us),
            longest_us: self.longest_us.max(other.longest_us),
        }
    }
}

/// Seconds that are not written down yet.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    numbers: BTreeMap<u64, Second>,
    samples: Vec<Sample>,
    /// Of the newest second in which one ended, how many good and bad ones are among the samples. Operations that
    /// begin in one second end in many, and those that end in one come one after the other.
    among: (u64, usize, usize),
}

impl Seconds {
    /// Adds an operation that has ended.
    pub(super) fn add(&mut self, sample: Sample) {
        let second = sample.at_ns / SECOND;
        let numbers = self.numbers.entry(second).or_insert(Second {
            at_ns: second * SECOND,
            ..Second::default()
        });
        let is_good = sample.wrong.is_none();
        if is_good {
            numbers.good += 1;
        } else {
            numbers.bad += 1;
        }
        numbers.took_us = numbers.took_us.saturating_add(sample.took_us);
        numbers.longest_us = numbers.longest_us.max(sample.took_us);
        let ended = sample
            .at_ns
            .saturating_add(sample.took_us.saturating_mul(1_000))
            / SECOND;
        if ended > self.among.0 {
            self.among = (ended, 0, 0);
        }
        let (kept, most) = if is_good {
            (&mut self.among.1, GOOD_KEPT)
        } else {
            (&mut self.among.2, BAD_KEPT)
        };
        if *kept < most {
            *kept += 1;
            self.samples.push(sample);
        }
    }

    /// Takes out what is to be written down: the samples, and the seconds that were over at this time.
    pub(super) fn take(&mut self, now_ns: u64) -> (Vec<Sample>, Vec<Second>) {
        let open = self.numbers.split_off(&(now_ns / SECOND));
        let over = std::mem::replace(&mut self.numbers, open);
        (
            std::mem::take(&mut self.samples),
            over.into_values().collect(),
        )
    }
}
