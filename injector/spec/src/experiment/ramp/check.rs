//! What a ramp must be.

use std::time::Duration;

use super::{Amount, CannotRamp, Parameter, Ramp, Shape};
use crate::{experiment::Fault, quantity::duration::format};

/// Why a ramp makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum RampError {
    #[error(transparent)]
    Parameter(#[from] CannotRamp),
    #[error(
        "the ramp of `{parameter}` stays at {value}; give it two ends that differ, or write the value alone"
    )]
    Level { parameter: Parameter, value: Amount },
    #[error("the ramp of `{0}` takes no time; write an `over` above zero, or the last value alone")]
    NoTime(Parameter),
    #[error(
        "the ramp of `{parameter}` takes {}, and its step is over after {}; make `over` shorter, or the step longer",
        format(*over), format(*on)
    )]
    TooLong {
        parameter: Parameter,
        over: Duration,
        on: Duration,
    },
    #[error(
        "the ramp of `{parameter}` is exponential, and no factor leads from or to {zero}; begin or end above zero, or \
         make it linear"
    )]
    Zero { parameter: Parameter, zero: Amount },
    #[error("`{0}` ramps twice; leave one ramp")]
    Twice(Parameter),
    #[error("`{parameter}` is no quantity like {value}; give both ends in its unit")]
    Unlike { parameter: Parameter, value: Amount },
    #[error(
        "`{parameter}` ramps, and the fault says {says} where its harshest value is {harshest}; say that"
    )]
    NotHarshest {
        parameter: Parameter,
        says: Amount,
        harshest: Amount,
    },
}

impl Ramp {
    /// Checks what it says by itself, in a step of this length.
    pub(in crate::experiment) fn check_in(&self, on: Duration) -> Result<(), RampError> {
        let (parameter, over) = (self.parameter, self.over);
        if over.is_zero() {
            return Err(RampError::NoTime(parameter));
        }
        if over > on {
            return Err(RampError::TooLong {
                parameter,
                over,
                on,
            });
        }
        if self.from == self.to {
            let value = self.from;
            return Err(RampError::Level { parameter, value });
        }
        let mut ends = [self.from, self.to].into_iter();
        match (self.shape, ends.find(|end| end.is_zero())) {
            (Shape::Exponential, Some(zero)) => Err(RampError::Zero { parameter, zero }),
            _ => Ok(()),
        }
    }
}

impl Fault {
    /// Checks its ramps, in a step of this length.
    pub(in crate::experiment) fn check_ramps(&self, on: Duration) -> Result<(), RampError> {
        for (index, ramp) in self.ramps.iter().enumerate() {
            let parameter = ramp.parameter;
            let says = self.amount(parameter)?;
            for value in [ramp.from, ramp.to] {
                if !value.is_like(says) {
                    return Err(RampError::Unlike { parameter, value });
                }
            }
            ramp.check_in(on)?;
            let mut earlier = self.ramps[..index].iter();
            if earlier.any(|other| other.parameter == parameter) {
                return Err(RampError::Twice(parameter));
            }
            let harshest = ramp.harshest();
            if says != harshest {
                return Err(RampError::NotHarshest {
                    parameter,
                    says,
                    harshest,
                });
            }
        }
        Ok(())
    }
}
