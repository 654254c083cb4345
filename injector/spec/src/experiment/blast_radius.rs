//! How far an experiment may reach by its own word, besides what its host allows.
//!
//! The limits of a host are those of its owner, for all runs. These are those of the person who wrote the file: a run that finds
//! more than was meant, because a cgroup has grown or a pattern meets others too, is refused, and no override lifts it.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::quantity::Percent;

/// What an experiment reaches at most; what is absent has the host's limit alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlastRadius {
    /// The most processes of all targets together, when the run starts and whenever some join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<NonZeroU32>,
    /// The largest share of one cgroup's processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// The most hits of one fault, and the budget of one that was given none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<u64>,
}
