//! `8080`, `8000-8010`.

use std::{fmt, num::NonZeroU16, str::FromStr};

/// Ports from the first to the last, both included, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    first: NonZeroU16,
    last: NonZeroU16,
}

/// Why a text is no port or range of ports.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortRangeError {
    /// Not numbers between 1 and 65535.
    #[error("`{0}` is not a port; write a number from 1 to 65535, or a range as in `8000-8010`")]
    NotAPort(String),
    /// The wrong way round.
    #[error("`{0}` ends before it begins; write the lower port first")]
    Backwards(String),
}

impl PortRange {
    /// One port; `None` for 0.
    pub const fn one(port: u16) -> Option<Self> {
        match NonZeroU16::new(port) {
            Some(port) => Some(Self {
                first: port,
                last: port,
            }),
            None => None,
        }
    }

    /// The lowest port.
    pub const fn first(self) -> u16 {
        self.first.get()
    }

    /// The highest port.
    pub const fn last(self) -> u16 {
        self.last.get()
    }

    /// Whether it is this port alone, named by itself.
    pub const fn is(self, port: u16) -> bool {
        self.first() == port && self.last() == port
    }

    /// Whether all of another range is in this one.
    pub const fn covers(self, other: Self) -> bool {
        self.first() <= other.first() && other.last() <= self.last()
    }

    /// Whether the port is in the range.
    pub const fn contains(self, port: u16) -> bool {
        self.first() <= port && port <= self.last()
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = |digits: &str| {
            let digits = digits.trim();
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let port = digits.parse().ok().filter(|_| plain);
            port.ok_or_else(|| PortRangeError::NotAPort(text.to_owned()))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self {
            first: port(first)?,
            last: port(last)?,
        };
        if range.first > range.last {
            return Err(PortRangeError::Backwards(text.to_owned()));
        }
        Ok(range)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(out, "{}", self.first)
        } else {
            write!(out, "{}-{}", self.first, self.last)
        }
    }
}

super::as_text!(PortRange);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", "0", "65536", "-1", "80-", "-80", "0-5", "+80", "80,81", "http", "8 0",
        ] {
            assert!(text.parse::<PortRange>().is_err(), "{text}");
        }
        for (written, read) in [(" 443", "443"), ("20 - 30 ", "20-30"), ("7-7", "7")] {
            assert_eq!(written.parse::<PortRange>().unwrap().to_string(), read);
        }
        assert_eq!(
            "9-8".parse::<PortRange>(),
            Err(PortRangeError::Backwards("9-8".into()))
        );
    }

    proptest! {
        #[test]
        fn display_parses_back(first in 1u16.., more: u16) {
            let last = first.saturating_add(more);
            let range: PortRange = format!("{first}-{last}").parse().unwrap();
            prop_assert_eq!(range.to_string().parse::<PortRange>(), Ok(range));
            prop_assert!(range.contains(first) && range.contains(last));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*|[0-9-]{0,12}") {
            let _ = text.parse::<PortRange>();
        }
    }
}
