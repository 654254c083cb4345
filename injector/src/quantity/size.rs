//! `64m`: bytes, in the powers of 1024 that cgroup files use.

use std::{fmt, str::FromStr};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u64);

/// Letters and the powers of two that they stand for.
const UNITS: [(char, u32); 4] = [('t', 40), ('g', 30), ('m', 20), ('k', 10)];

/// Why a text is no size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size in bytes; write a number and one of k, m, g, t, as in `64m`")]
pub struct SizeError(String);

impl Size {
    /// The bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let failed = || SizeError(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let bare = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b'));
        let bare = bare.unwrap_or(&lower);
        let (digits, shift) = UNITS
            .iter()
            .find_map(|(letter, shift)| Some((bare.strip_suffix(*letter)?, *shift)))
            .unwrap_or((bare, 0));
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(failed());
        }
        let number: u64 = digits.parse().map_err(|_| failed())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(failed)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((letter, shift)) => write!(out, "{}{letter}", self.0 >> shift),
            None => write!(out, "{}", self.0),
        }
    }
}

super::as_text!(Size);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64m", 64 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "m", "-1", "1.5m", "1x", "99999999t", "1kk"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
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
