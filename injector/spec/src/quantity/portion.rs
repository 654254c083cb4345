//! `2`, `25%`: how many of several.

use std::{fmt, num::NonZeroU32, str::FromStr};

use injector_common::threshold::Threshold;

use super::{Percent, PercentError};

/// How many of several things are meant: a number of them, or a share of those that there are. Never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    /// So many.
    Count(NonZeroU32),
    /// This share, more than nothing.
    Share(Percent),
}

/// Why a text is no portion.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortionError {
    /// Neither a number nor a share.
    #[error(
        "`{0}` is neither a number nor a share; write how many, as in `2`, or which share, as in `25%`"
    )]
    Neither(String),
    /// None at all.
    #[error("`{0}` is none; write 1 or more, or a share of more than nothing, as in `25%`")]
    None(String),
    /// No share.
    #[error(transparent)]
    Share(#[from] PercentError),
}

impl Portion {
    /// How many of `all` it is: a share is rounded up, so it is at least one. A number may be more than there are.
    pub fn of(self, all: usize) -> usize {
        let share = match self {
            Self::Count(count) => return usize::try_from(count.get()).unwrap_or(usize::MAX),
            Self::Share(share) => share.0,
        };
        if share == Threshold::ALWAYS {
            return all.max(1);
        }
        // A threshold is the share of 2^32 to the nearest, so each of them may be off by a half: 10 % of 10 is 1.
        let scaled = u128::from(share.0) * all as u128;
        let whole = scaled.saturating_sub(all as u128 / 2).div_ceil(1 << 32);
        usize::try_from(whole).unwrap_or(all).clamp(1, all.max(1))
    }
}

impl FromStr for Portion {
    type Err = PortionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.ends_with('%') {
            let share: Percent = text.parse()?;
            return match share.0 {
                Threshold(0) => Err(PortionError::None(text.to_owned())),
                _ => Ok(Self::Share(share)),
            };
        }
        let neither = || PortionError::Neither(text.to_owned());
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(neither());
        }
        let count: u32 = text.parse().map_err(|_| neither())?;
        NonZeroU32::new(count)
            .map(Self::Count)
            .ok_or_else(|| PortionError::None(text.to_owned()))
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(out),
            Self::Share(share) => share.fmt(out),
        }
    }
}

super::as_text!(Portion);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn none_and_nonsense_are_refused_by_name() {
        for text in ["0", "000", "0%", "0.0%"] {
            let error = text.parse::<Portion>().unwrap_err();
            assert_eq!(error, PortionError::None(text.into()));
        }
        for text in ["", "-1", "two", "1.5", "+2", "99999999999", "0x2"] {
            let error = text.parse::<Portion>().unwrap_err();
            assert_eq!(error, PortionError::Neither(text.into()));
        }
        assert!(matches!(
            "101%".parse::<Portion>(),
            Err(PortionError::Share(_))
        ));
    }

    #[test]
    fn a_share_is_rounded_up() {
        let of = |text: &str, all| text.parse::<Portion>().unwrap().of(all);
        assert_eq!((of("25%", 4), of("25%", 5), of("25%", 1)), (1, 2, 1));
        assert_eq!((of("10%", 10), of("10%", 11), of("0.001%", 3)), (1, 2, 1));
        assert_eq!((of("100%", 7), of("9", 2)), (7, 9));
    }

    proptest! {
        /// Exactly what a person reckons, whatever the threshold's own rounding.
        #[test]
        fn a_share_is_what_a_person_reckons(percent in 1usize..=100, all in 1usize..100_000) {
            let portion: Portion = format!("{percent}%").parse().unwrap();
            prop_assert_eq!(portion.of(all), (percent * all).div_ceil(100));
        }

        #[test]
        fn what_is_written_is_read_back(count in 1u32.., hundredths in 1u32..=10_000) {
            for text in [count.to_string(), format!("{}.{:02}%", hundredths / 100, hundredths % 100)] {
                let portion: Portion = text.parse().unwrap();
                prop_assert_eq!(portion.to_string().parse::<Portion>().unwrap(), portion);
            }
        }
    }
}
