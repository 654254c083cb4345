//! Operations: what a target does on its TCP connections, as the kernel sees it, without its help.
//!
//! A **request** begins with the first byte that the target sends after the last answer, or since the connection was
//! made, and ends with the first byte that it receives after that. A **connect** begins with the call and ends when the
//! connection is there. An operation is bad that took longer than `within`, that failed, or that has no end and is
//! older than `within`. Connections that a target has accepted have no operations of its own.
//!
//! Rejected: operations as another kind of probe. A probe asks at its own pace, and what it does not ask it does not
//! see; operations come when the target makes them, and each is measured by its own length.

use std::{
    fmt::{self, Display, Formatter},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::ProbeRole;
use crate::{condition::Host, quantity::duration};

/// The most streams of operations in an experiment.
pub const MOST_OPERATIONS: usize = 32;

/// The most operations that a run keeps until it is judged, 24 bytes each, in equal shares for its streams; a stream
/// that has more cannot be judged.
pub const MOST_KEPT: usize = 1_000_000;

/// Where no `within` is given, the limit comes from so many operations of the baseline at least.
pub const LIMIT_FROM: usize = 200;

/// Operations of a target under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedOperation {
    /// What reports call it.
    pub name: String,
    /// What it is about.
    pub role: ProbeRole,
    /// The target's name.
    pub of: String,
    /// What counts as an operation.
    #[serde(default)]
    pub kind: OperationKind,
    /// The far ends that count; all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connect_to: Vec<Host>,
    /// The longest that a good one takes; where nothing is said, one and a half times what one in a hundred of the
    /// baseline exceeds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "duration::optional"
    )]
    pub within: Option<Duration>,
    /// The share that has to be good.
    #[serde(default)]
    pub ratio: Ratio,
}

/// What counts as an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// A request with its answer.
    #[default]
    Request,
    /// A connect.
    Connect,
}

impl OperationKind {
    /// Both, in the order in which they are explained.
    pub const ALL: [Self; 2] = [Self::Request, Self::Connect];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Connect => "connect",
        }
    }
}

/// The share of operations that has to be good: in steps of a tenth of a percent, and never nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    per_mille: u16,
}

impl Ratio {
    /// All of them.
    pub const WHOLE: Self = Self { per_mille: 1_000 };

    /// How many bad ones are too many, among how many in a row. A share in whole percents is looked for in a hundred
    /// operations, a finer one in a thousand.
    pub const fn too_many(self) -> (usize, usize) {
        let bad = 1_000 - self.per_mille as usize;
        if bad == 0 {
            (1, 1)
        } else if bad.is_multiple_of(10) {
            (bad / 10 + 1, 100)
        } else {
            (bad + 1, 1_000)
        }
    }
}

impl Default for Ratio {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl Display for Ratio {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (whole, tenth) = (self.per_mille / 10, self.per_mille % 10);
        match tenth {
            0 => write!(out, ">= {whole}%"),
            _ => write!(out, ">= {whole}.{tenth}%"),
        }
    }
}

/// Why a text is no [`Ratio`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a share of good operations; write one from 0.1% to 100%, as in `>= 99%` or `>= 99.5%`"
)]
pub struct RatioError(String);

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        let wrong = || RatioError(crate::printable::line(text).into_owned());
        let number = text.trim();
        let number = number.strip_prefix(">=").unwrap_or(number).trim();
        let number = number.strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str, most: usize| {
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            (is_number && (1..=most).contains(&part.len()))
                .then(|| part.parse::<u16>().ok())
                .flatten()
                .ok_or_else(wrong)
        };
        let per_mille = digits(whole, 3)? * 10 + digits(tenth, 1)?;
        if (1..=1_000).contains(&per_mille) {
            Ok(Self { per_mille })
        } else {
            Err(wrong())
        }
    }
}

crate::quantity::as_text!(Ratio);

impl Display for NamedOperation {
    /// What is measured: `requests of agent to 127.0.0.1:8443, answered within 2s`.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let of = crate::printable::line(&self.of);
        let end = match self.kind {
            OperationKind::Request => {
                write!(out, "requests of {of}")?;
                "answered"
            }
            OperationKind::Connect => {
                write!(out, "connects of {of}")?;
                "made"
            }
        };
        if !self.connect_to.is_empty() {
            let far_ends: Vec<&str> = self.connect_to.iter().map(Host::as_str).collect();
            write!(out, " to {}", far_ends.join(", "))?;
        }
        match self.within {
            Some(within) => write!(out, ", {end} within {}", duration::format(within))?,
            None => write!(out, ", {end} within 1.5 times the p99 of the baseline")?,
        }
        if self.ratio != Ratio::WHOLE {
            write!(out, ", {} of them", self.ratio)?;
        }
        Ok(())
    }
}

impl NamedOperation {
    /// The host names among its far ends.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.connect_to.iter();
        names
            .filter(|host| host.address().is_none())
            .map(Host::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_share_says_how_many_bad_ones_are_too_many() {
        let too_many = |text: &str| text.parse::<Ratio>().unwrap().too_many();
        assert_eq!(too_many(">= 99%"), (2, 100));
        assert_eq!(too_many("95 %"), (6, 100));
        assert_eq!(too_many(">=99.9%"), (2, 1_000));
        assert_eq!(too_many("100%"), (1, 1));
        for wrong in [
            "", "99", ">= 0%", "100.1%", "9.99%", "-1%", "1e1%", "> 99%", "%",
        ] {
            assert!(wrong.parse::<Ratio>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_share_comes_back(per_mille in 1u16..=1_000) {
            let ratio = Ratio { per_mille };
            prop_assert_eq!(ratio.to_string().parse(), Ok(ratio));
            let (bad, of) = ratio.too_many();
            prop_assert!((1..=of).contains(&bad));
        }

        #[test]
        fn reading_a_share_is_total(text in ".{0,12}") {
            let _ = text.parse::<Ratio>();
        }
    }
}
