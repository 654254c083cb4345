//! `8:0 rbps=1m wiops=100`: limits of one block device, as `io.max` has them.

use std::{fmt, str::FromStr};

use super::{Size, SizeError};

/// Limits of one device; those that are not named stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoMax {
    major: u32,
    minor: u32,
    limits: [Option<u64>; KEYS.len()],
}

/// The names of the limits in the order of `io.max` (`block/blk-throttle.c`, `tg_prfill_limit`).
pub const KEYS: [&str; 4] = ["rbps", "wbps", "riops", "wiops"];

/// How many of them are bytes per second, and need a unit; the rest are operations per second.
const RATES_OF_BYTES: usize = 2;

/// Why a text is no such limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IoMaxError {
    /// Not the grammar.
    #[error(
        "`{0}` is not a limit of a block device; write its numbers and one or more of rbps, wbps, riops and \
         wiops, each above 0, as in `8:0 rbps=1m wiops=100` (`lsblk` shows the numbers)"
    )]
    NotALimit(String),
    /// Bytes without a unit.
    #[error("in `{text}`, {key}: {why}")]
    Size {
        /// What was written.
        text: String,
        /// The limit's name.
        key: &'static str,
        /// What is wrong with its size.
        why: SizeError,
    },
}

impl IoMax {
    /// The device, as in `8:0`.
    pub fn device(&self) -> String {
        format!("{}:{}", self.major, self.minor)
    }

    /// The limits that are named, by their place in [`KEYS`].
    pub fn limits(&self) -> impl Iterator<Item = (usize, u64)> {
        let limits = self.limits.into_iter().enumerate();
        limits.filter_map(|(at, limit)| Some((at, limit?)))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let mut limits = [None; KEYS.len()];
        for word in words {
            let (key, value) = word.split_once('=')?;
            let at = KEYS.iter().position(|known| *known == key)?;
            let limit = Size::parse(value)?.bytes();
            if limit == 0 || limits[at].replace(limit).is_some() {
                return None;
            }
        }
        limits.iter().any(Option::is_some).then_some(())?;
        let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
        Some(Self {
            major,
            minor,
            limits,
        })
    }
}

impl FromStr for IoMax {
    type Err = IoMaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = Self::parse(text).ok_or_else(|| IoMaxError::NotALimit(text.to_owned()))?;
        for word in text.split_whitespace().skip(1) {
            let rates = &KEYS[..RATES_OF_BYTES];
            let (key, value) = word.split_once('=').unwrap_or_default();
            if let Some(key) = rates.iter().find(|rate| **rate == key)
                && let Err(why @ SizeError::NoUnit(_)) = value.parse::<Size>()
            {
                let text = text.to_owned();
                return Err(IoMaxError::Size { text, key, why });
            }
        }
        Ok(parsed)
    }
}

impl fmt::Display for IoMax {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.device())?;
        self.limits().try_for_each(|(at, limit)| {
            if at < RATES_OF_BYTES {
                write!(out, " {}={}", KEYS[at], Size::of(limit))
            } else {
                write!(out, " {}={limit}", KEYS[at])
            }
        })
    }
}

impl serde::Serialize for IoMax {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Bytes without a unit too, as journals of earlier versions have them.
impl<'de> serde::Deserialize<'de> for IoMax {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let failed = || serde::de::Error::custom(IoMaxError::NotALimit(text.clone()));
        Self::parse(&text).ok_or_else(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_named_once_and_never_zero() {
        let parsed: IoMax = "8:0 wiops=100 rbps=1m".parse().unwrap();
        assert_eq!(parsed.to_string(), "8:0 rbps=1m wiops=100");
        let old = r#""8:0 rbps=1048576 wiops=100""#;
        assert_eq!(serde_json::from_str::<IoMax>(old).unwrap(), parsed);
        let error = "8:0 rbps=64".parse::<IoMax>().unwrap_err().to_string();
        assert!(error.contains("rbps: `64` has no unit"), "{error}");
        for text in [
            "",
            "8:0",
            "8 rbps=1k",
            "8:0 rbps=0",
            "8:0 rbps=1k rbps=2k",
            "8:0 speed=1",
        ] {
            assert!(text.parse::<IoMax>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn display_parses_back(major: u32, minor: u32, rbps in 1u64.., wiops in 1u64..) {
            let limits = [Some(rbps), None, None, Some(wiops)];
            let max = IoMax { major, minor, limits };
            prop_assert_eq!(max.to_string().parse(), Ok(max));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*") {
            let _ = text.parse::<IoMax>();
        }
    }
}
