//! The value of a parameter that can ramp, whatever it is a value of.

use std::{fmt, str::FromStr, time::Duration};

use injector_common::threshold::Threshold;

use crate::quantity::{
    Percent, PercentError as NoShare, Rate, RateError as NoRate,
    duration::{self, DurationError as NoTime},
};

/// A quantity that can move. Displays and parses as it is written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// How long.
    Time(Duration),
    /// How many of all, as a share.
    Share(Threshold),
    /// How fast.
    Rate(Rate),
}

/// All matches, as a share of 2^32.
const ALL: u64 = 1 << 32;

impl Amount {
    /// As a number on a line that has no gaps: nanoseconds, 2^-32 of all, bits per second.
    pub fn number(self) -> u64 {
        match self {
            Self::Time(time) => duration::nanos(time),
            Self::Share(Threshold::ALWAYS) => ALL,
            Self::Share(Threshold(below)) => u64::from(below),
            Self::Rate(rate) => rate.bits_per_second().get(),
        }
    }

    /// The amount of the same kind with this number. A rate stays what it is where the number is zero, which no ramp
    /// between two rates passes.
    #[must_use]
    pub fn with(self, number: u64) -> Self {
        match self {
            Self::Time(_) => Self::Time(Duration::from_nanos(number)),
            Self::Share(_) => Self::Share(Threshold::from_fraction_of_2_pow_32(number)),
            Self::Rate(rate) => Self::Rate(Rate::new(number).unwrap_or(rate)),
        }
    }

    /// Whether both are times, shares or rates.
    pub const fn is_like(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Time(_), Self::Time(_))
                | (Self::Share(_), Self::Share(_))
                | (Self::Rate(_), Self::Rate(_))
        )
    }

    /// What it is, with its article and an example.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Time(_) => "a time, as in `500ms`",
            Self::Share(_) => "a share, as in `5%`",
            Self::Rate(_) => "a rate, as in `1mbit`",
        }
    }

    /// Whether it is nothing at all.
    pub(super) fn is_zero(self) -> bool {
        self.number() == 0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => out.write_str(&duration::format(*time)),
            Self::Share(share) => Percent(*share).fmt(out),
            Self::Rate(rate) => rate.fmt(out),
        }
    }
}

/// Why a text is no amount.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// No time.
    #[error(transparent)]
    Time(#[from] NoTime),
    /// No share.
    #[error(transparent)]
    Share(#[from] NoShare),
    /// No rate.
    #[error(transparent)]
    Rate(#[from] NoRate),
}

impl FromStr for Amount {
    type Err = AmountError;

    /// By its unit, which each of the three displays.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim_end().ends_with('%') {
            let Percent(share) = text.parse()?;
            Ok(Self::Share(share))
        } else if text.trim_end().ends_with("bit") {
            Ok(Self::Rate(text.parse()?))
        } else {
            Ok(Self::Time(duration::parse(text)?))
        }
    }
}

crate::quantity::as_text!(Amount);
