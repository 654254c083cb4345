//! How near two values have to be.

use std::{fmt, str::FromStr};

use injector_spec::quantity::{Percent, PercentError};

/// A share above zero and below one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within(Percent);

/// The nearest that is accepted: three figures of a value and one more.
const LEAST: f64 = 0.000_1;

/// Why a text is no such share.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum WithinError {
    #[error(transparent)]
    Percent(#[from] PercentError),
    #[error("`{0}` is not between 0.01% and 50%; write how near the answer has to be, as in `5%`")]
    Range(Percent),
}

impl Within {
    /// As a share of one.
    pub fn share(self) -> f64 {
        let Percent(threshold) = self.0;
        f64::from(threshold.0) / 2_f64.powi(32)
    }
}

impl FromStr for Within {
    type Err = WithinError;

    fn from_str(text: &str) -> Result<Self, WithinError> {
        let within = Self(text.parse()?);
        // The threshold of a share is rounded to 2^-32.
        if (LEAST - 1e-9..=0.5).contains(&within.share()) {
            Ok(within)
        } else {
            Err(WithinError::Range(within.0))
        }
    }
}

impl fmt::Display for Within {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
