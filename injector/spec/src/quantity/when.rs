//! `3`, `3+`, `3+2`, `3..9`, `3..9+2`: which matches may be hit, as in `strace -e inject=...:when=`.

use injector_common::rule::When;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Why a text does not say when.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// Not the grammar.
    #[error(
        "`{0}` does not say when; write first, first+, first+step, first..last or first..last+step, \
         counted from 1, as in `3..9+2`"
    )]
    NotAWhen(String),
    /// The wrong way round.
    #[error("`{0}` ends before it begins; write the lower number first")]
    Backwards(String),
}

/// Parses the grammar of strace: `first[..last][+[step]]`. A number alone is that match only.
pub fn parse_when(text: &str) -> Result<When, WhenError> {
    let not_a_when = || WhenError::NotAWhen(text.to_owned());
    let number = |digits: &str| -> Result<u64, WhenError> {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .parse()
            .ok()
            .filter(|n| plain && *n > 0)
            .ok_or_else(not_a_when)
    };
    let (range, step) = match text.split_once('+') {
        Some((range, "")) => (range, Some(1)),
        Some((range, step)) => (range, Some(number(step)?)),
        None => (text, None),
    };
    let when = if let Some((first, last)) = range.split_once("..") {
        When {
            first: number(first)?,
            last: number(last)?,
            step: step.unwrap_or(1),
        }
    } else {
        let first = number(range)?;
        let last = if step.is_some() { u64::MAX } else { first };
        When {
            first,
            last,
            step: step.unwrap_or(1),
        }
    };
    if when.last < when.first {
        return Err(WhenError::Backwards(text.to_owned()));
    }
    Ok(when)
}

/// The shortest text that [`parse_when`] reads as the same.
pub fn format_when(when: &When) -> String {
    let When { first, last, step } = *when;
    match (last, step) {
        (u64::MAX, 0 | 1) => format!("{first}+"),
        (u64::MAX, step) => format!("{first}+{step}"),
        (last, _) if last == first => format!("{first}"),
        (last, 0 | 1) => format!("{first}..{last}"),
        (last, step) => format!("{first}..{last}+{step}"),
    }
}

/// For `#[serde(with)]`: writes `3..9+2`.
pub fn serialize<S: Serializer>(value: &When, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format_when(value))
}

/// For `#[serde(with)]`: reads `3..9+2`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<When, D::Error> {
    parse_when(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grammar_of_strace() {
        let all = u64::MAX;
        for (text, first, last, step) in [
            ("3", 3, 3, 1),
            ("3+", 3, all, 1),
            ("3+2", 3, all, 2),
            ("3..9", 3, 9, 1),
            ("3..9+", 3, 9, 1),
            ("3..9+2", 3, 9, 2),
        ] {
            assert_eq!(parse_when(text), Ok(When { first, last, step }), "{text}");
        }
        for text in [
            "", "0", "0+", "1+0", "..", "1..", "..3", "+", "+2", "1..2..3", "1++2", "-1", "1...3",
        ] {
            assert_eq!(parse_when(text), Err(WhenError::NotAWhen(text.into())));
        }
        assert_eq!(parse_when("9..3"), Err(WhenError::Backwards("9..3".into())));
    }

    proptest! {
        /// The text may be shorter than the record (`3..3+2` is `3`), never different in meaning.
        #[test]
        fn display_means_the_same(first in 1u64..20, more in 0u64..20, step in 1u64..6, n in 1u64..60, open: bool) {
            let last = if open { u64::MAX } else { first + more };
            let when = When { first, last, step };
            let read = parse_when(&format_when(&when)).unwrap();
            prop_assert_eq!(read.includes(n), when.includes(n));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*|[0-9.+]{0,12}") {
            let _ = parse_when(&text);
        }
    }
}
