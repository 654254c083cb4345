//! `1mbit`, `500kbit`, `1.5gbit`.

use std::{fmt, num::NonZeroU64, str::FromStr};

/// A bandwidth, in bits per second, never zero.
///
/// Units are decimal, as tc's: `kbit` is 1000 bits per second; `kibit` is 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(NonZeroU64);

/// The units, largest first within their kind; display takes the first that fits.
const UNITS: [(&str, u64); 9] = [
    ("tbit", 1_000_000_000_000),
    ("gbit", 1_000_000_000),
    ("mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
    ("tibit", 1 << 40),
    ("gibit", 1 << 30),
    ("mibit", 1 << 20),
    ("kibit", 1 << 10),
];

/// Why a text is no bandwidth.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// No number, or no unit that we know.
    #[error(
        "`{0}` is not a bandwidth; write a number and one of bit, kbit, mbit, gbit, as in `1mbit`"
    )]
    NotARate(String),
    /// In tc `bps` is bytes, elsewhere it is bits: no person should have to guess.
    #[error("`{0}` may mean bits or bytes per second; write bits as in `8mbit`")]
    Ambiguous(String),
    /// Nothing would ever get through.
    #[error("a bandwidth of `{0}` lets nothing through; use `net blackhole` for that")]
    Zero(String),
    /// Too much for 64 bits.
    #[error("`{0}` is faster than any link; write at most 1000tbit")]
    TooFast(String),
}

/// The fastest rate that is accepted: far beyond any link, and far from overflow.
const MOST: u128 = 1_000_000_000_000_000;

impl Rate {
    /// A rate in bits per second; `None` for zero.
    pub const fn new(bits_per_second: u64) -> Option<Self> {
        match NonZeroU64::new(bits_per_second) {
            Some(bits_per_second) => Some(Self(bits_per_second)),
            None => None,
        }
    }

    /// Bits per second.
    pub const fn bits_per_second(self) -> NonZeroU64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_rate = || RateError::NotARate(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let split = lower
            .find(|byte: char| !byte.is_ascii_digit() && byte != '.')
            .ok_or_else(not_a_rate)?;
        let (number, unit) = lower.split_at(split);
        let unit = unit.trim_start();
        if unit.ends_with("bps") || unit.ends_with("b/s") {
            return Err(RateError::Ambiguous(text.to_owned()));
        }
        let (_, bits) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(not_a_rate)?;
        let (whole, places) = number.split_once('.').unwrap_or((number, "0"));
        if places.is_empty() || places.len() > 12 || whole.len() > 20 {
            return Err(not_a_rate());
        }
        let whole: u128 = whole.parse().map_err(|_| not_a_rate())?;
        let fraction: u128 = places.parse().map_err(|_| not_a_rate())?;
        let bits = u128::from(*bits);
        let tenths = places.bytes().fold(1u128, |tenths, _| tenths * 10);
        let total = whole * bits + fraction * bits / tenths;
        if total > MOST {
            return Err(RateError::TooFast(text.to_owned()));
        }
        u64::try_from(total)
            .ok()
            .and_then(Self::new)
            .ok_or(RateError::Zero(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bits): &&(&str, u64)| self.0.get().is_multiple_of(*bits);
        let (name, bits) = UNITS.iter().find(fits).unwrap_or(&("bit", 1));
        write!(out, "{}{name}", self.0.get() / bits)
    }
}

super::as_text!(Rate);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_decimal_unless_said() {
        for (text, bits) in [
            ("1bit", 1),
            ("1.5kbit", 1_500),
            ("1MBit", 1_000_000),
            ("2gbit", 2_000_000_000),
            ("1kibit", 1024),
            ("1 mbit", 1_000_000),
            (" 1.5 Mbit ", 1_500_000),
        ] {
            assert_eq!(
                text.parse::<Rate>().unwrap().bits_per_second().get(),
                bits,
                "{text}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", "1", "mbit", "1mbits", "-1mbit", "1 m bit", "1.mbit", "1..2mbit", ".5mbit",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(RateError::NotARate(text.into())));
        }
        assert_eq!(
            "1mbps".parse::<Rate>(),
            Err(RateError::Ambiguous("1mbps".into()))
        );
        assert_eq!(
            "0kbit".parse::<Rate>(),
            Err(RateError::Zero("0kbit".into()))
        );
        assert_eq!(
            "0.1bit".parse::<Rate>(),
            Err(RateError::Zero("0.1bit".into()))
        );
        assert_eq!(
            "9999tbit".parse::<Rate>(),
            Err(RateError::TooFast("9999tbit".into()))
        );
    }

    proptest! {
        #[test]
        fn display_parses_back(bits in 1u64..=1_000_000_000_000_000) {
            let rate = Rate::new(bits).unwrap();
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*|[0-9.]{0,30}[kmgt]?i?bit") {
            let _ = text.parse::<Rate>();
        }
    }
}
