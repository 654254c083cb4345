//! What this host's owner lets injector do: `/etc/injector/injector.toml`, parsed into validated types.
//!
//! Each section is a type in a file of its own. A value that is read is valid: numbers are in range, globs
//! compile, times of day exist. An unknown key is an error, with its line and column, because a limit that
//! is misspelt is a limit that is not there. What is left out has its default, and a missing file is all
//! defaults; `configs/injector.toml` writes them down, and a test holds the two together.
//!
//! A section is added by a field here, a type with `#[serde(default, deny_unknown_fields)]`, and its keys
//! in `configs/injector.toml`.
//!
//! Rejected: YAML as for experiments (a host's settings are flat, and TOML has no indentation to get
//! wrong), and reading it once in the daemon (who tightens a limit means the next run).

mod daemon;
mod escalation;
mod faults;
mod file;
mod halt;
mod hours;
mod journal;
mod limits;
mod mistake;
mod notifier;
mod protected;
mod relay;
mod root;
mod schedule;
mod socket;

use serde::Deserialize;

pub use daemon::DaemonGates;
pub use escalation::{Channel, Escalation};
pub use faults::{AllowedFaults, FaultGlob};
pub use file::{ConfigError, ConfigFile, Source, line_and_column};
pub use halt::HaltDefaults;
pub use hours::{Day, Hours, Moment, TimeOfDay};
pub use journal::{JournalRule, Rule};
pub use limits::Limits;
pub use notifier::{HostStep, Notifier, NotifierWay};
pub use protected::Protected;
pub use protected::is_of_unit;
pub use relay::{OpensTls, RelaySettings};
pub use root::CgroupRoot;
pub use schedule::{Schedule, ScheduleInForce};
pub use socket::{Group, SOCKET_VARIABLE, SocketAccess, USUAL_SOCKET, socket_path};

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[daemon]`
    pub daemon: DaemonGates,
    /// `[limits]`
    pub limits: Limits,
    /// `[faults]`
    pub faults: AllowedFaults,
    /// `[socket]`
    pub socket: SocketAccess,
    /// `[hours]`
    pub hours: Hours,
    /// `[protected]`
    pub protected: Protected,
    /// `[halt]`
    pub halt: HaltDefaults,
    /// `[escalation]`
    pub escalation: Escalation,
    /// `[[notifier]]`
    pub notifier: Vec<Notifier>,
    /// `[journal]`
    pub journal: JournalRule,
    /// `[schedule]`
    pub schedule: Schedule,
    /// `[relay]`
    pub relay: RelaySettings,
    /// The file that it was read from, for the record; `None` for the defaults.
    #[serde(skip)]
    pub file: Option<ConfigFile>,
}

#[cfg(test)]
mod tests;
