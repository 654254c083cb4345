//! When a probe is asked and how often it may fail, as lines and files write it.

use std::{str::FromStr, time::Duration};

use super::{ConditionError, Fails, Pace};
use crate::quantity::duration;

/// A time of a pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    Every,
    Within,
    Timeout,
}

/// The times that were written; the rest is what is usual.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timings {
    every: Option<Duration>,
    within: Option<Duration>,
    timeout: Option<Duration>,
}

impl Timing {
    pub(crate) const ALL: [Self; 3] = [Self::Every, Self::Within, Self::Timeout];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::Within => "within",
            Self::Timeout => "timeout",
        }
    }

    const fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Every => (Duration::from_millis(100), Duration::from_hours(1)),
            Self::Within | Self::Timeout => (Duration::from_millis(10), Duration::from_mins(1)),
        }
    }
}

impl Timings {
    /// Takes a time down.
    pub(crate) fn set(&mut self, timing: Timing, text: &str) -> Result<(), ConditionError> {
        let option = timing.name();
        let time = duration::parse(text).map_err(|why| ConditionError::Time {
            option: option.to_owned(),
            why,
        })?;
        let (least, most) = timing.bounds();
        if time < least || time > most {
            return Err(ConditionError::Range {
                option,
                given: text.to_owned(),
                least: duration::format(least),
                most: duration::format(most),
            });
        }
        let slot = match timing {
            Timing::Every => &mut self.every,
            Timing::Within => &mut self.within,
            Timing::Timeout => &mut self.timeout,
        };
        *slot = Some(time);
        Ok(())
    }

    /// The pace, where what was not written is as in `usual`.
    pub(crate) fn over(self, usual: Pace) -> Result<Pace, ConditionError> {
        let usual_within = self
            .timeout
            .map_or(usual.within, |timeout| timeout.min(usual.within));
        let within = self.within.unwrap_or(usual_within);
        if let Some(timeout) = self.timeout.filter(|timeout| *timeout < within) {
            return Err(ConditionError::Timeout {
                within: duration::format(within),
                timeout: duration::format(timeout),
            });
        }
        Ok(Pace {
            every: self.every.unwrap_or(usual.every),
            within,
            timeout: self.timeout.filter(|timeout| *timeout > within),
        })
    }
}

impl Pace {
    /// How long an answer is waited for.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or(self.within)
    }
}

impl FromStr for Fails {
    type Err = ConditionError;

    /// `3`, or `3 of 5`.
    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |text: &str| text.parse::<u8>().ok();
        let parsed = match words[..] {
            [count] => number(count).zip(number(count)),
            [count, "of", of] => number(count).zip(number(of)),
            _ => None,
        };
        parsed
            .filter(|(count, of)| 1 <= *count && count <= of && *of <= Self::MOST)
            .map(|(count, of)| Self { count, of })
            .ok_or_else(|| ConditionError::Fails(text.to_owned()))
    }
}
