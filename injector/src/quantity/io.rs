//! `8:0 rbps=1m wiops=100`: limits of one block device, as `io.max` has them.

use std::{fmt, str::FromStr};

use super::Size;

/// Limits of one device; those that are not named stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoMax {
    major: u32,
    minor: u32,
    limits: [Option<u64>; KEYS.len()],
}

/// The names of the limits in the order of `io.max` (`block/blk-throttle.c`, `tg_prfill_limit`).
pub const KEYS: [&str; 4] = ["rbps", "wbps", "riops", "wiops"];

/// Why a text is no such limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a limit of a block device; write its numbers and one or more of rbps, wbps, riops and \
     wiops, each above 0, as in `8:0 rbps=1m wiops=100` (`lsblk` shows the numbers)"
)]
pub struct IoMaxError(String);

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
            let limit = value.parse::<Size>().ok()?.bytes();
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
        Self::parse(text).ok_or_else(|| IoMaxError(text.to_owned()))
    }
}

impl fmt::Display for IoMax {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.device())?;
        self.limits()
            .try_for_each(|(at, limit)| write!(out, " {}={limit}", KEYS[at]))
    }
}

super::as_text!(IoMax);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_named_once_and_never_zero() {
        let parsed: IoMax = "8:0 wiops=100 rbps=1m".parse().unwrap();
        assert_eq!(parsed.to_string(), "8:0 rbps=1048576 wiops=100");
        for text in [
            "",
            "8:0",
            "8 rbps=1",
            "8:0 rbps=0",
            "8:0 rbps=1 rbps=2",
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
