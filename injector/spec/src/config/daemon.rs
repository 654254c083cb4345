//! The two gates of the daemon.

use serde::Deserialize;

use super::CgroupRoot;

/// Whether the daemon may serve, and which processes it may touch.
///
/// Both are shut where nothing is said, and neither has an override: who serves others' wishes must have
/// been told so on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonGates {
    /// Whether `injector daemon` serves.
    pub enabled: bool,
    /// The cgroups whose processes may be targets; none means no process.
    pub allow: Vec<CgroupRoot>,
}
