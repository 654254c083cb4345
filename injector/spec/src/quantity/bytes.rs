//! `64kib`, `4gib`, `1500`: a number of bytes.

use serde::{Deserialize, Deserializer, de::Error};

/// The units, each 1024 times the one before.
const UNITS: [(&str, u32); 5] = [("b", 0), ("kib", 10), ("mib", 20), ("gib", 30), ("tib", 40)];

/// Why a text is no number of bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a number of bytes; write a whole number and a unit, as in `64kib`, `10mib`, `1gib`"
)]
pub struct BytesError(String);

/// Parses a number of bytes.
pub fn parse(text: &str) -> Result<u64, BytesError> {
    let wrong = || BytesError(text.to_owned());
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start().to_ascii_lowercase() {
        unit if unit.is_empty() => "b".to_owned(),
        unit => unit,
    };
    let (_, shift) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// The largest unit that keeps the number whole.
pub fn format(bytes: u64) -> String {
    let fits = |shift: u32| bytes != 0 && bytes.trailing_zeros() >= shift;
    let (name, shift) = UNITS
        .iter()
        .rev()
        .find(|(_, shift)| fits(*shift))
        .unwrap_or(&UNITS[0]);
    format!("{}{name}", bytes >> shift)
}

/// Reads `4gib`, or a plain number.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number of bytes is a text, as in \"64mib\"")]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(from)? {
        Written::Number(bytes) => Ok(bytes),
        Written::Text(text) => parse(&text).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(parse("1500"), Ok(1500));
        assert_eq!(parse("64KiB"), Ok(65_536));
        assert_eq!(parse("4 gib"), Ok(4 << 30));
        for text in ["", "gib", "1gb", "-1", "1.5gib", "99999999999tib", "é"] {
            assert_eq!(parse(text), Err(BytesError(text.to_owned())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_format_reads_back(bytes: u64) {
            prop_assert_eq!(parse(&format(bytes)), Ok(bytes));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
