//! How much a run may do.

use std::{num::NonZeroU32, time::Duration};

use injector_common::threshold::Threshold;
use serde::{Deserialize, Deserializer, de::Error};

use crate::quantity::{bytes, duration, threshold};

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most processes of all targets together, when a run starts.
    #[serde(deserialize_with = "count")]
    pub max_processes: NonZeroU32,
    /// The largest share of one cgroup's processes.
    #[serde(with = "threshold")]
    pub max_share: Threshold,
    /// The most hits of one fault, and the budget of one that was given none.
    #[serde(deserialize_with = "budget")]
    pub max_hits: u64,
    /// The most hits a second, of all faults of a run together.
    #[serde(deserialize_with = "budget")]
    pub max_hit_rate: u64,
    /// The most bytes of packets that a run hits.
    #[serde(deserialize_with = "bytes::deserialize")]
    pub max_bytes: u64,
    /// The most runs at a time.
    #[serde(deserialize_with = "count")]
    pub max_experiments: NonZeroU32,
    /// The longest time that a run may be armed.
    #[serde(with = "duration")]
    pub max_duration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_processes: NonZeroU32::MIN.saturating_add(99),
            max_share: Threshold::ALWAYS,
            max_hits: 1_000_000,
            max_hit_rate: 200_000,
            max_bytes: 4 << 30,
            max_experiments: NonZeroU32::MIN.saturating_add(7),
            max_duration: Duration::from_hours(1),
        }
    }
}

/// A number from 1: who wants none of something takes `enabled` or `[faults]`.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<NonZeroU32, D::Error> {
    let number = i64::deserialize(from)?;
    let count = u32::try_from(number).ok().and_then(NonZeroU32::new);
    count.ok_or_else(|| D::Error::custom(format!("{number} is out of range; write 1 or more")))
}

/// A number from 0, which lets nothing through. The kernel's `u64::MAX` means no limit, and no number of
/// TOML is that large.
fn budget<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = i64::deserialize(from)?;
    u64::try_from(number)
        .map_err(|_| D::Error::custom(format!("{number} is out of range; write 0 or more")))
}
