//! Ramps: parameters of a fault that move from one value to another while it is on.
//!
//! The fault of a [`Ramp`] holds the harshest value, so whatever judges a fault (its checks, the policy, the plan, the
//! radius, a person who approves it) judges the worst that it will do. [`Fault::at`] is the fault as it is at one time
//! of its step, compiled by the same code as any other. Which parameters can ramp is said once, by each
//! fault of its own numbers ([`decided`]).
//!
//! Invariants, which [`Fault::check_ramps`] enforces: the parameter is one of the fault's that can ramp, its values are
//! of its kind and differ, the fault holds the harshest of them, and the ramp is over when its step is, at the latest.
//! A value is never outside its two ends, never turns back, and is exactly the last one from the ramp's end on.
//!
//! Rejected: a value of its own type wherever a parameter stands. Every reader of a fault would have to say which of
//! the values it means, and those that judge would have to say "the harshest", each for itself.

mod amount;
mod check;
pub(crate) mod decided;
mod parameters;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use amount::Amount;
pub use check::RampError;
pub use parameters::{CannotRamp, Parameter};

use super::Fault;
use crate::quantity::duration;

/// One parameter that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// Which.
    pub parameter: Parameter,
    /// What it is when the step begins.
    pub from: Amount,
    /// What it is when the ramp ends, and from then on.
    pub to: Amount,
    /// How long it moves, from the beginning of the step.
    #[serde(with = "duration")]
    pub over: Duration,
    /// How it moves.
    #[serde(default, skip_serializing_if = "Shape::is_usual")]
    pub shape: Shape,
}

/// How a value moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// By the same amount in the same time.
    #[default]
    Linear,
    /// By the same factor in the same time.
    Exponential,
}

impl Shape {
    /// Whether it need not be said.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub(super) const fn is_usual(&self) -> bool {
        matches!(self, Self::Linear)
    }
}

/// The shortest and the longest time between two values of a ramp.
const STEPS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(50)];

impl Ramp {
    /// The value at a time of the step.
    pub fn at(&self, elapsed: Duration) -> Amount {
        if elapsed >= self.over {
            return self.to;
        }
        let (from, to) = (self.from.number(), self.to.number());
        let number = match self.shape {
            Shape::Linear => linear(from, to, elapsed, self.over),
            Shape::Exponential => exponential(from, to, elapsed, self.over),
        };
        self.from.with(number.clamp(from.min(to), from.max(to)))
    }

    /// The end of it that does most to a target: the lowest rate, the highest of all else.
    pub fn harshest(&self) -> Amount {
        let is_descending = self.from.number() > self.to.number();
        match self.from {
            Amount::Rate(_) => {
                if is_descending {
                    self.to
                } else {
                    self.from
                }
            }
            Amount::Time(_) | Amount::Share(_) => {
                if is_descending {
                    self.from
                } else {
                    self.to
                }
            }
        }
    }

    /// How long a value stays before the next one is due: a thousandth of the ramp, so that the stairs are finer than
    /// anything that is measured on them.
    pub fn pace(&self) -> Duration {
        let [shortest, longest] = STEPS;
        (self.over / 1000).clamp(shortest, longest)
    }
}

fn linear(from: u64, to: u64, elapsed: Duration, over: Duration) -> u64 {
    let nanos = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
    let (from, to) = (i128::from(from), i128::from(to));
    // Numbers are below 2^63 and times below 2^47: a day.
    let moved = (to - from).saturating_mul(nanos(elapsed)) / nanos(over).max(1);
    u64::try_from(from + moved).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "between two numbers below 2^53, so exact but for the rounding that is meant"
)]
fn exponential(from: u64, to: u64, elapsed: Duration, over: Duration) -> u64 {
    let share = elapsed.as_secs_f64() / over.as_secs_f64();
    let factor = to as f64 / from as f64;
    (from as f64 * factor.powf(share)).round() as u64
}

impl Fault {
    /// The fault as it is at a time of its step.
    #[must_use]
    pub fn at(&self, elapsed: Duration) -> Self {
        let mut fault = self.clone();
        for ramp in &self.ramps {
            fault.put(ramp.parameter, ramp.at(elapsed));
        }
        fault
    }

    /// Lets a parameter move; the fault takes its harshest value.
    pub(super) fn ramp(&mut self, ramp: Ramp) {
        self.put(ramp.parameter, ramp.harshest());
        self.ramps.push(ramp);
    }

    /// The ramp of a parameter, where it has one.
    pub fn ramp_of(&self, parameter: Parameter) -> Option<&Ramp> {
        self.ramps.iter().find(|ramp| ramp.parameter == parameter)
    }
}

#[cfg(test)]
mod tests;
