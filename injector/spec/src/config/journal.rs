//! How long the records of ended runs are kept.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

use super::limits::count;
use crate::quantity::duration;

/// `[journal]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalRule {
    /// The most journals of ended runs.
    #[serde(deserialize_with = "count")]
    pub keep: NonZeroU32,
    /// How long one is kept after its last record.
    #[serde(deserialize_with = "age")]
    pub max_age: Duration,
}

/// Which journals of ended runs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The newest so many.
    pub keep: usize,
    /// And of them those whose last record is not older.
    pub max_age: Duration,
}

impl Default for JournalRule {
    fn default() -> Self {
        Self {
            keep: NonZeroU32::MIN.saturating_add(999),
            max_age: Duration::from_hours(90 * 24),
        }
    }
}

impl JournalRule {
    /// The same for those who carry it out.
    pub fn rule(&self) -> Rule {
        Rule {
            keep: usize::try_from(self.keep.get()).unwrap_or(usize::MAX),
            max_age: self.max_age,
        }
    }
}

/// A time that may be long.
fn age<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    duration::parse_any(&text).map_err(D::Error::custom)
}
