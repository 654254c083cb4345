//! The daemon's interface: HTTP and JSON on a unix socket, for the command line, for programs, for `curl`.
//!
//! Whoever may connect may put processes through failures, so the socket is the owner's alone (0600) and
//! each caller is asked for its user id by the kernel (`SO_PEERCRED`, unix(7)): only root and the daemon's
//! own user are served. `configs/openapi.json` describes every route; a test holds the two together.
//!
//! Rejected: TCP on loopback (any user of the host, and any web page that they open, could connect), and
//! gRPC (no `curl`, and a code generator for ten routes).

pub mod client;
mod control;
mod events;
pub mod foreground;
mod peer;
mod reply;
mod routes;
mod server;
mod socket;

use serde::{Deserialize, Serialize};

pub use client::Client;
pub use control::Control;
pub use server::serve;
pub use socket::{bind, socket_path};

use crate::{experiment::Experiment, journal::ListedRun, lever::Halt, policy::Override};

/// The version of this program, which client and daemon compare.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The header in which each tells the other.
const VERSION_HEADER: &str = "injector-version";

/// The description of the interface.
const OPENAPI: &str = include_str!("../../configs/openapi.json");

/// Asks for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// What is to be run.
    pub experiment: Experiment,
    /// Limits of the host that are lifted for it; root's alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

/// Who answers, and what is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process id.
    pub pid: u32,
    /// The runs that go on.
    pub running: Vec<ListedRun>,
    /// Who has pulled the safety lever, if somebody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
}

#[cfg(test)]
mod tests;
