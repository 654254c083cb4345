//! `5%`, `0.5%`, `100`.

use std::{fmt, str::FromStr};

use injector_common::threshold::Threshold;

/// Decimal places that are kept: 32 bits of threshold are finer than 10^-9 of the whole, no finer than
/// 10^-8 percent.
const PLACES: u32 = 9;

/// The whole, in units of 10^-9 percent.
const WHOLE: u64 = 100 * 1_000_000_000;

/// A share of the packets or calls, exact at 0 and 100 %.
///
/// Displays as the shortest decimal that means the same threshold: what a person wrote comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub Threshold);

/// Why a text is no percentage.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// Not a number.
    #[error("`{0}` is not a percentage; write a number from 0 to 100, as in `5%` or `0.5%`")]
    NotANumber(String),
    /// More than everything.
    #[error("`{0}` is more than everything; a percentage is at most 100%")]
    OverWhole(String),
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_number = || PercentError::NotANumber(text.to_owned());
        let text = text.trim();
        let number = text.strip_suffix('%').unwrap_or(text).trim_end();
        let (whole, places) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(places) || number.ends_with('.') {
            return Err(not_a_number());
        }
        let over = || PercentError::OverWhole(text.to_owned());
        // A number of percent that does not fit 64 bits is over 100, too.
        let whole: u64 = whole.parse().map_err(|_| over())?;
        // Places beyond what a threshold can tell apart are cut off.
        let kept = &places[..places.len().min(PLACES as usize)];
        let places: u64 = format!("{kept:0<9}").parse().map_err(|_| not_a_number())?;
        let units = whole
            .checked_mul(WHOLE / 100)
            .and_then(|units| units.checked_add(places))
            .filter(|units| *units <= WHOLE)
            .ok_or_else(over)?;
        Ok(Self(of_units(units)))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = if self.0 == Threshold::ALWAYS {
            1 << 32
        } else {
            u64::from(self.0.0)
        };
        for places in 0..=PLACES {
            let unit = 10u64.pow(PLACES - places);
            let rounded = (units_of(exact) + unit / 2) / unit * unit;
            if rounded <= WHOLE && of_units(rounded) == self.0 {
                let (whole, rest) = (rounded / (WHOLE / 100), rounded % (WHOLE / 100));
                let rest = format!("{rest:09}");
                let (dot, rest) = if places == 0 {
                    ("", "")
                } else {
                    (".", &rest[..places as usize])
                };
                return write!(out, "{whole}{dot}{rest}%");
            }
        }
        // Nine places tell any two thresholds apart, so the loop has returned.
        write!(out, "{}/2^32", self.0.0)
    }
}

/// The threshold of so many 10^-9 percent, rounded to the nearest.
fn of_units(units: u64) -> Threshold {
    let scaled = (u128::from(units) << 32) + u128::from(WHOLE / 2);
    let fraction = u64::try_from(scaled / u128::from(WHOLE)).unwrap_or(u64::MAX);
    // Only the whole is "always": a share just below it must stay below it.
    match (units, Threshold::from_fraction_of_2_pow_32(fraction)) {
        (WHOLE, _) => Threshold::ALWAYS,
        (_, Threshold::ALWAYS) => Threshold(u32::MAX - 1),
        (_, below) => below,
    }
}

/// So many 2^-32, in 10^-9 percent, rounded to the nearest.
fn units_of(fraction: u64) -> u64 {
    let units = (u128::from(fraction) * u128::from(WHOLE) + (1 << 31)) >> 32;
    u64::try_from(units).unwrap_or(WHOLE)
}

super::as_text!(Percent);

/// For `#[serde(with)]`: a [`Threshold`] that travels as a percentage.
pub mod threshold {
    use injector_common::threshold::Threshold;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Percent;

    /// Writes `5%`.
    pub fn serialize<S: Serializer>(value: &Threshold, to: S) -> Result<S::Ok, S::Error> {
        Percent(*value).serialize(to)
    }

    /// Reads `5%`.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Threshold, D::Error> {
        Percent::deserialize(from).map(|percent| percent.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Percent, PercentError> {
        text.parse()
    }

    #[test]
    fn the_ends_are_exact() {
        assert_eq!(parse("0").unwrap().0, Threshold::NEVER);
        assert_eq!(parse("0.0%").unwrap().0, Threshold::NEVER);
        assert_eq!(parse("100%").unwrap().0, Threshold::ALWAYS);
        assert_eq!(parse("99.9999999999%").unwrap().0, Threshold(u32::MAX - 1));
        assert_eq!(parse("50%").unwrap().0, Threshold(1 << 31));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", "%", "-1%", "+5", "5%%", "1e1", "5.", ".5", "five", "5 0", "٥",
        ] {
            assert!(
                matches!(parse(text), Err(PercentError::NotANumber(_))),
                "{text}"
            );
        }
        for text in ["100.000000001%", "101", "99999999999999999999999%"] {
            assert!(
                matches!(parse(text), Err(PercentError::OverWhole(_))),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back(hundredths in 0u32..=10_000) {
            let number = f64::from(hundredths) / 100.0;
            prop_assert_eq!(parse(&format!("{number}%")).unwrap().to_string(), format!("{number}%"));
        }

        #[test]
        fn every_threshold_survives(threshold: u32) {
            let percent = Percent(Threshold(threshold));
            prop_assert_eq!(parse(&percent.to_string()), Ok(percent));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
