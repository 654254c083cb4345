//! Overrides: each lifts one limit for one run, by its own name, on record.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One limit that one run may exceed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Override {
    /// `max_processes`.
    ManyProcesses,
    /// `max_share`.
    LargeShare,
    /// `max_hits`, for faults with a larger budget of their own.
    ManyHits,
    /// `max_hit_rate`.
    HighRate,
    /// `max_bytes`.
    ManyBytes,
    /// `max_experiments`.
    ManyExperiments,
    /// `max_duration`.
    Long,
    /// `[hours]`.
    OutsideHours,
    /// `[faults]`, for one of them.
    Fault(String),
    /// `[protected]`, for one name in it.
    Protected(String),
}

/// The flag, as on the command line.
impl fmt::Display for Override {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyProcesses => out.write_str("--allow-many-processes"),
            Self::LargeShare => out.write_str("--allow-large-share"),
            Self::ManyHits => out.write_str("--allow-many-hits"),
            Self::HighRate => out.write_str("--allow-high-rate"),
            Self::ManyBytes => out.write_str("--allow-many-bytes"),
            Self::ManyExperiments => out.write_str("--allow-many-experiments"),
            Self::Long => out.write_str("--allow-long"),
            Self::OutsideHours => out.write_str("--allow-outside-hours"),
            Self::Fault(name) => write!(out, "--allow-fault {name}"),
            Self::Protected(name) => write!(out, "--allow-protected {name}"),
        }
    }
}
