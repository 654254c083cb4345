//! The daemon's interface: HTTP and JSON on a unix socket, for the command line, for programs, for `curl`.
//!
//! A user who may connect may put processes through failures, so the socket is the owner's alone (0600) unless
//! the configuration lets a group in, and the kernel is asked who each caller is ([`Access`]).
//! `configs/openapi.json` describes every route; a test holds the two together.
//!
//! A connection can cost the daemon little, whatever the other end does ([`server`]):
//!
//! | limit | value |
//! | --- | --- |
//! | connections at once | 192, of which 32 are the owner's alone, and 96 at most of those who only look |
//! | on top of them | 64 for requests that end a run or everything; 64 that are told why not; the rest is closed |
//! | header of a request | 16 KiB, 64 fields, 5 s from the end of the last request |
//! | body | 256 KiB, 5 s |
//! | a request, from header to answer | 30 s |
//! | an answer, or events, that the client does not read | 30 s |
//!
//! Rejected: TCP on loopback (any user of the host, and any web page that they open, could connect), and
//! gRPC (no `curl`, and a code generator for ten routes).

#![cfg_attr(not(test), forbid(unsafe_code))]

mod access;
mod admission;
mod body;
pub mod client;
mod connection;
mod control;
pub mod daemon;
mod events;
pub mod foreground;
mod json;
mod lanes;
mod patience;
mod peer;
mod permission;
mod query;
mod reply;
mod routes;
mod server;
mod socket;
mod survey;
mod wire;
mod words;

use serde::{Deserialize, Serialize};

pub use access::Access;
pub use body::{Format, read};
pub use client::Client;
pub use control::{Control, Tie};
pub use injector_spec::config::socket_path;
pub use lanes::{Lane, Lanes, THREADS};
pub use reply::Failure;
pub use server::serve;
pub use socket::{Bound, SocketFile, bind};

use injector_plan::policy::Override;
use injector_record::halt::Halt;
use injector_record::journal::{ListedRun, RunId};
use injector_spec::experiment::Experiment;

/// The version of this program, which client and daemon compare.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The header in which each tells the other.
const VERSION_HEADER: &str = "injector-version";

/// The description of the interface.
const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// Asks for a run. It travels as a [`wire::StartBody`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRequest {
    /// What is to be run.
    pub experiment: Experiment,
    /// Limits of the host that are lifted for it; root's alone.
    pub overrides: Vec<Override>,
}

/// How long a run goes on, beside its duration and what ends it for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Whatever becomes of the client.
    #[default]
    Detached,
    /// Until the client's process ends, were it by SIGKILL.
    Client,
}

/// Pulls the kill switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaltRequest {
    /// Why, in at most [`HaltRequest::LONGEST`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl HaltRequest {
    /// The longest reason, in characters: it has to fit into the kill switch's file.
    pub const LONGEST: usize = 4_096;
}

/// The answer to a release of the kill switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Who had pulled it; `None` where it was not pulled.
    pub was_halted: Option<Halt>,
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
    /// Who has pulled the kill switch, if it is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
    /// What the schedule is at; absent where it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleStatus>,
}

/// What the daemon's schedule is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleStatus {
    /// When the next experiment is due at the earliest, in milliseconds since 1970; absent where the hours are never open,
    /// while one goes on, and while it waits for something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_unix_ms: Option<u64>,
    /// The one that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why no time is drawn, in a sentence: nothing was drawn yet, or the last start was refused, after which it rests. Absent
    /// else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_because: Option<String>,
    /// How many were started today; absent until the journals were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<u32>,
    /// The most in a day.
    pub at_most_a_day: u32,
}

#[cfg(test)]
mod tests;
