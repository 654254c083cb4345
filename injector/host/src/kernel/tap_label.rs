//! What a run writes on its TAPs: whose they are, and which settings of the namespace the run relies on.
//!
//! The kernel keeps it with the device (`ip link` shows it as `alias`) and forgets it with the device, so it is
//! true for exactly as long as the run holds the TAP. Other runs read it without a disk and without a lock file.

use std::{fmt, str::FromStr};

/// What a label begins with; the run's name follows.
const PREFIX: &str = "injector run ";

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapLabel {
    /// The run's name.
    pub run: String,
    /// The settings that the run relies on, each with the value that it had before the first run changed it.
    pub relies_on: Vec<(String, String)>,
}

/// A text that is no label of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a label of injector's")]
pub struct NotOurs;

impl TapLabel {
    /// The label of a run that relies on nothing yet.
    pub fn of(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            relies_on: Vec::new(),
        }
    }

    /// The value that a setting had before, where the run relies on it.
    pub fn old(&self, key: &str) -> Option<&str> {
        self.relies_on
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, old)| old.as_str())
    }

    /// The label of the same run when it relies on a setting.
    #[must_use]
    pub fn with(mut self, key: &str, old: &str) -> Self {
        self.relies_on.retain(|(name, _)| name != key);
        self.relies_on.push((key.to_owned(), old.to_owned()));
        self
    }

    /// The label of the same run when it does not rely on a setting any more.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.relies_on.retain(|(name, _)| name != key);
        self
    }
}

impl fmt::Display for TapLabel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}{}", self.run)?;
        self.relies_on
            .iter()
            .try_for_each(|(key, old)| write!(out, " {key}={old}"))
    }
}

impl FromStr for TapLabel {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.strip_prefix(PREFIX).ok_or(NotOurs)?.split(' ');
        let run = words.next().filter(|run| !run.is_empty()).ok_or(NotOurs)?;
        let relies_on = words
            .map(|word| word.split_once('=').ok_or(NotOurs))
            .map(|pair| pair.map(|(key, old)| (key.to_owned(), old.to_owned())))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            run: run.to_owned(),
            relies_on,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::sysctl::LOOPBACK_NEEDS;

    #[test]
    fn a_label_reads_as_it_was_written_and_fits_into_the_kernel() {
        let mut label = TapLabel::of("r000000010001");
        assert_eq!(label.to_string(), "injector run r000000010001");
        for key in LOOPBACK_NEEDS {
            label = label.with(key, "0").with(key, "1");
        }
        // IFALIASZ of include/uapi/linux/if_link.h, its closing zero included.
        assert!(label.to_string().len() < 256, "{label}");
        assert_eq!(label.to_string().parse(), Ok(label.clone()));
        assert_eq!(label.old(LOOPBACK_NEEDS[1]), Some("1"));
        let less = label.without(LOOPBACK_NEEDS[1]);
        assert_eq!(less.old(LOOPBACK_NEEDS[1]), None);
        assert_eq!(less.old(LOOPBACK_NEEDS[0]), Some("1"));
        for foreign in [
            "",
            "my vpn",
            "injector",
            "injector run ",
            "injector run r a",
        ] {
            assert_eq!(foreign.parse::<TapLabel>(), Err(NotOurs), "{foreign}");
        }
    }
}
