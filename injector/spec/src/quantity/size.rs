//! `64m`: bytes, in the powers of 1024 that cgroup files use.
//!
//! A person has to write the unit: `--memory-high 64` once meant 64 bytes, which no person wants. Journals of
//! earlier versions have bare numbers, so what travels as JSON may.

use std::{fmt, str::FromStr};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u64);

/// Letters and the powers of two that they stand for.
const UNITS: [(char, u32); 4] = [('t', 40), ('g', 30), ('m', 20), ('k', 10)];

/// Why a text is no size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not the grammar.
    #[error(
        "`{0}` is not a size; write a whole number and one of b, k, m, g, t for bytes and powers of 1024 of \
         them, as in `64m`"
    )]
    NotASize(String),
    /// A number alone.
    #[error(
        "`{0}` has no unit; write `{0}m` for mebibytes, `{0}k` for kibibytes or `{0}b` for bytes"
    )]
    NoUnit(String),
}

impl Size {
    /// So many bytes.
    pub const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SizeError::NoUnit(text.to_owned()));
        }
        Self::parse(text).ok_or_else(|| SizeError::NotASize(text.to_owned()))
    }
}

impl Size {
    /// Bytes without a unit too.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let bare = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b'));
        let bare = bare.unwrap_or(&lower);
        let (digits, shift) = UNITS
            .iter()
            .find_map(|(letter, shift)| Some((bare.strip_suffix(*letter)?, *shift)))
            .unwrap_or((bare, 0));
        let digits = digits.trim_end();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = digits.parse().ok()?;
        number.checked_mul(1 << shift).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((letter, shift)) => write!(out, "{}{letter}", self.0 >> shift),
            None => write!(out, "{}b", self.0),
        }
    }
}

impl serde::Serialize for Size {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let failed = || serde::de::Error::custom(SizeError::NotASize(text.clone()));
        Self::parse(&text).ok_or_else(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("0b", 0),
            ("4096b", 4096),
            ("64m", 64 << 20),
            (" 64 M ", 64 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "m", "-1", "1.5m", "1x", "99999999t", "1kk", "6 4m"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_person_writes_the_unit_and_a_journal_need_not() {
        let error = "64".parse::<Size>().unwrap_err().to_string();
        assert!(error.contains("`64m` for mebibytes"), "{error}");
        assert_eq!(serde_json::from_str::<Size>(r#""64""#).unwrap(), Size(64));
        assert!(serde_json::from_str::<Size>(r#""64x""#).is_err());
    }

    proptest! {
        #[test]
        fn display_parses_back(bytes: u64) {
            prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*") {
            let _ = text.parse::<Size>();
        }
    }
}
