//! The values from one end of a search to the other: which of two is harsher, what lies in the middle between them, and
//! when they are near each other.
//!
//! Times and rates are divided by factors, where the lower end is above zero: from 10 ms to 10 s the middle is 316 ms.
//! Shares, and what begins at zero, are divided by differences. A middle is rounded to as few figures as keep it in the
//! middle tenth, for it is read by people and written again.

use super::Within;
use crate::trials::proof::number;
use injector_spec::experiment::Amount;

/// The part of a bracket in which a rounded middle may lie.
const MIDDLE: std::ops::RangeInclusive<f64> = 0.45..=0.55;

/// The most figures that a rounded middle has.
const MOST_FIGURES: u32 = 9;

/// All of it, as a number of an [`Amount`] that is a share.
const ALL: f64 = 4_294_967_296.0;

/// The values of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    low: Amount,
    high: Amount,
    spacing: Spacing,
}

/// How a middle is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    /// By factors.
    Geometric,
    /// By differences.
    Linear,
}

/// Why two values are no ends of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum ScaleError {
    #[error("`--from {from}` and `--to {to}` are not of one kind; give both in the same unit")]
    Unlike { from: Amount, to: Amount },
    #[error("`--from {from}` is not below `--to {to}`; write the smaller value first")]
    NotBelow { from: Amount, to: Amount },
}

impl Scale {
    /// The values from the smaller to the greater one.
    pub fn new(from: Amount, to: Amount) -> Result<Self, ScaleError> {
        if !from.is_like(to) {
            return Err(ScaleError::Unlike { from, to });
        }
        if from.number() >= to.number() {
            return Err(ScaleError::NotBelow { from, to });
        }
        let spacing = match from {
            Amount::Share(_) => Spacing::Linear,
            Amount::Time(_) | Amount::Rate(_) if from.number() == 0 => Spacing::Linear,
            Amount::Time(_) | Amount::Rate(_) => Spacing::Geometric,
        };
        Ok(Self {
            low: from,
            high: to,
            spacing,
        })
    }

    /// The smaller end.
    pub const fn low(&self) -> Amount {
        self.low
    }

    /// The greater end.
    pub const fn high(&self) -> Amount {
        self.high
    }

    /// The end that does least to a target: the highest rate, the lowest of all else.
    pub const fn mildest(&self) -> Amount {
        match self.low {
            Amount::Rate(_) => self.high,
            Amount::Time(_) | Amount::Share(_) => self.low,
        }
    }

    /// The end that does most.
    pub const fn harshest(&self) -> Amount {
        match self.low {
            Amount::Rate(_) => self.low,
            Amount::Time(_) | Amount::Share(_) => self.high,
        }
    }

    /// Whether two values are near enough: by their factor, or by their share of the distance between the ends.
    pub fn is_narrow(&self, between: [Amount; 2], within: Within) -> bool {
        self.width(between) <= within.share() * (1.0 + 1e-9)
    }

    /// How far two values are from each other, as [`Scale::is_narrow`] counts it.
    pub fn width(&self, between: [Amount; 2]) -> f64 {
        let [low, high] = sorted(between);
        match self.spacing {
            Spacing::Geometric => high / low - 1.0,
            Spacing::Linear => {
                let [from, to] = sorted([self.low, self.high]);
                (high - low) / (to - from)
            }
        }
    }

    /// The value in the middle; `None` where none lies between the two.
    pub fn middle(&self, between: [Amount; 2]) -> Option<Amount> {
        let [low, high] = sorted(between);
        let exact = match self.spacing {
            Spacing::Geometric => (low.ln().midpoint(high.ln())).exp(),
            Spacing::Linear => low.midpoint(high),
        };
        let place = |amount: Amount| {
            let number = float(amount.number());
            match self.spacing {
                Spacing::Geometric => (number / low).ln() / (high / low).ln(),
                Spacing::Linear => (number - low) / (high - low),
            }
        };
        let mut rounded = (1..=MOST_FIGURES).filter_map(|figures| self.rounded(exact, figures));
        rounded
            .find(|amount| MIDDLE.contains(&place(*amount)))
            .or_else(|| {
                let amount = self.low.with(whole(exact.round()));
                let number = float(amount.number());
                (low < number && number < high).then_some(amount)
            })
    }

    /// The amount with this number, to so many figures in the unit that people read.
    fn rounded(&self, number: f64, figures: u32) -> Option<Amount> {
        let (unit, finest) = match self.low {
            Amount::Time(_) | Amount::Rate(_) => (1.0, 1.0),
            // Percent, to nine places.
            Amount::Share(_) => (ALL / 100.0, 1e-9),
        };
        let value = number / unit;
        let exponent = value.log10().floor() + 1.0 - f64::from(figures);
        let step = 10_f64.powf(exponent).max(finest);
        let value = (value / step).round() * step;
        match self.low {
            Amount::Time(_) | Amount::Rate(_) => Some(self.low.with(whole(value.round()))),
            Amount::Share(_) => format!("{value:.9}%").parse().ok(),
        }
    }

    /// The most values that a search tries: both ends, and a middle as often as it takes where each halves no better
    /// than it must.
    pub fn most_values(&self, within: Within) -> usize {
        let ends = [self.low, self.high];
        let parts = match self.spacing {
            Spacing::Geometric => self.width(ends).ln_1p() / within.share().ln_1p(),
            Spacing::Linear => within.share().recip(),
        };
        let middles = parts.max(1.0).ln() / MIDDLE.end().recip().ln();
        let mut count = 0;
        while number(count) < middles {
            count += 1;
        }
        2 + count
    }
}

/// As numbers, the smaller one first.
fn sorted(between: [Amount; 2]) -> [f64; 2] {
    let [one, other] = between.map(|amount| float(amount.number()));
    [one.min(other), one.max(other)]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "amounts are below 2^53: a day in nanoseconds, a share of 2^32, 10^15 bits per second"
)]
const fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between two numbers of amounts, and rounded"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}
