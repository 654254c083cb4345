//! Halt conditions: what ends a run before its time.
//!
//! A condition is one line, the same on the command line (`--halt-if`), in an experiment (`halt:`), in the
//! configuration (`[halt]`), through the API, and in what a halted run says of itself: [`grammar`] reads it
//! and writes it. A condition that is read is valid: its names exist, its numbers are in range and have
//! their units. Whether this host has what it looks at is found out by [`injector_engine::halt_monitor`].
//!
//! ```text
//! host.psi.cpu.some > 40%                    the kernel's own average over 10 s
//! target.psi.memory.full > 5% over 2s        the share of the last 2 s
//! host.load > 8                              over the last minute
//! target.exits >= 1          target.restarts >= 3
//! hits > 500/s               errnos > 50/s over 5s        retransmits > 20/s
//! retry-storm                hung                         the target shows this flaw
//! clock >= 18:00             clock >= 2026-11-25T18:00:00Z
//! tcp 127.0.0.1:5432 fails 3 of 5 every 500ms within 200ms
//! http http://127.0.0.1:8080/health status 200 body "ready" json "$.queue < 10" fails 3 within 500ms timeout 1s
//! command ["/usr/local/bin/check", "--fast"] fails 2 every 5s within 2s
//! command ["/usr/local/bin/lag"] number < 5
//! http https://api.example.com/health ca "/etc/ssl/own-ca.pem"
//! prometheus http://127.0.0.1:9090 "sum(rate(errors_total[1m]))" > 5 every 5s
//! file "/var/log/agent.log" absent "ERROR|panic"
//! journald my-agent absent "ERROR|panic"
//! process unit my-agent restarts < 2 descriptors < 200 rss < 1gib
//! ```
//!
//! Probes may be maps in a file ([`map`] has the parts that both forms share); what they become is the same, and is
//! written as a line everywhere else. Bounds of options say what is right; that of `prometheus`, the oldest, says what
//! is wrong. Rejected: maps for conditions that ask nothing. The line is shorter in every place where it is written.

mod display;
mod error;
mod grammar;
mod json;
mod lines;
mod number;
mod pace;
mod place;
mod process;
pub(crate) mod words;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub use error::ConditionError;
pub use json::{JsonTest, JsonTestError};
pub use lines::{FileProbe, JournaldProbe, Lines, UnitName};
pub use number::{Bound, Comparator, Number, Wanted};
pub use place::{Host, HttpUrl, Scheme};
pub use process::ProcessProbe;

use crate::{config::TimeOfDay, experiment::Flaw, pattern::Pattern};

/// A condition that ends the run when it comes to hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `host.psi.cpu.some > 40%`: pressure stall information (Documentation/accounting/psi.rst).
    Pressure(Pressure),
    /// `host.load > 8`: the load average of the last minute.
    Load(Bound),
    /// `target.exits >= 1`: processes of the targets that came to an end, or came back.
    Lives {
        /// Which of the two.
        of: Lives,
        /// How many are too many.
        bound: Bound,
    },
    /// `hits > 500/s`: what the injector itself counts.
    Rate {
        /// What.
        of: Counted,
        /// How many a second are too many.
        bound: Bound,
        /// Over which time.
        over: Duration,
    },
    /// `retry-storm`: a target shows this flaw, which the relay sees while the run goes on.
    Shows(Flaw),
    /// `clock >= 18:00`.
    Clock(Until),
    /// Something is asked again and again, and fails too often.
    Probe(Question),
}

/// What is asked again and again: by a halt condition, or to see whether the steady state holds.
///
/// As a text it is the line of a halt condition; where it says no `fails`, one failure is one too many.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What.
    pub probe: Probe,
    /// How many failures are too many.
    pub fails: Fails,
    /// When it is asked.
    pub pace: Pace,
}

// Every number in it is finite.
impl Eq for Question {}

// Every number in a condition is finite.
impl Eq for Condition {}

/// A share of time in which processes waited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// Where.
    pub of: Whose,
    /// For what.
    pub resource: Resource,
    /// How many of them.
    pub stalled: Stalled,
    /// In percent.
    pub bound: Bound,
    /// Over which time; `None` is the kernel's average over 10 s.
    pub over: Option<Duration>,
}

/// Whose pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of all processes of the host.
    Host,
    /// That of the targets' cgroups; the highest of them counts.
    Target,
}

/// What processes wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// CPU time.
    Cpu,
    /// Memory.
    Memory,
    /// Disks.
    Io,
}

/// How many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalled {
    /// At least one.
    Some,
    /// All that are not idle.
    Full,
}

/// Ends and new beginnings of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lives {
    /// A process of the targets has ended.
    Exits,
    /// Another of the same name came after one had ended.
    Restarts,
}

/// What the injector counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Hits of all faults.
    Hits,
    /// Calls that it made fail (`sys error`, `net connect`).
    Errnos,
    /// TCP segments that the targets sent again.
    Retransmits,
}

/// A time on the wall clock. It becomes one on the boot clock when the run is armed, so that who moves the
/// clock does not prolong the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The next time that it is so late, in local time.
    TimeOfDay(TimeOfDay),
    /// In seconds since 1970.
    Unix(u64),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// A connection is made; it fails where none is.
    Tcp(Host),
    /// A GET; it fails unless the answer is as it should be.
    Http(Box<HttpProbe>),
    /// A program, without a shell; it fails unless it ends with 0.
    Command {
        /// It and its arguments. Its path is absolute.
        words: Vec<String>,
        /// What it prints is a number then, which must be so.
        number: Option<Wanted<Number>>,
    },
    /// A query; it fails where one of the values is out of bounds, or there is no answer. No values at all
    /// are within bounds.
    Prometheus {
        /// The server, without `/api/v1/query`.
        server: HttpUrl,
        /// Whom it is trusted by, as [`HttpProbe::ca`].
        ca: Option<PathBuf>,
        /// In its own language.
        query: String,
        /// What is too much, or too little.
        bound: Bound,
    },
    /// Lines that are appended to a file.
    File(Box<FileProbe>),
    /// Lines of the journal of systemd.
    Journald(Box<JournaldProbe>),
    /// Processes: whether they are there, and what they hold.
    Process(Box<ProcessProbe>),
}

/// What is got, and how the answer should be.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProbe {
    /// Of what.
    pub url: HttpUrl,
    /// A file with the certificates of the authorities that may have signed the server's, absolute; those that the host
    /// trusts where there is none.
    pub ca: Option<PathBuf>,
    /// The status that is right.
    pub status: u16,
    /// What matches somewhere in the body.
    pub body: Option<Pattern>,
    /// What holds for the body, which is JSON then.
    pub json: Option<JsonTest>,
}

impl HttpProbe {
    /// Any answer of status 200.
    pub(crate) const fn of(url: HttpUrl) -> Self {
        Self {
            url,
            ca: None,
            status: 200,
            body: None,
            json: None,
        }
    }
}

impl Probe {
    /// The file of authorities that it names.
    pub fn ca(&self) -> Option<&Path> {
        match self {
            Self::Http(http) => http.ca.as_deref(),
            Self::Prometheus { ca, .. } => ca.as_deref(),
            Self::Tcp(_)
            | Self::Command { .. }
            | Self::File(_)
            | Self::Journald(_)
            | Self::Process(_) => None,
        }
    }
}

/// How many failures halt: so many of the last so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fails {
    /// From 1 to `of`.
    pub count: u8,
    /// At most [`Fails::MOST`].
    pub of: u8,
}

impl Fails {
    /// As many results as a word has bits.
    pub const MOST: u8 = 64;
}

/// When a probe is asked, and how long it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one question to the next; 100 ms at least.
    pub every: Duration,
    /// The longest that an answer may take to be right.
    pub within: Duration,
    /// The longest that an answer is waited for, so that a slow one has a latency; longer than `within`, and the same
    /// where nothing is said.
    pub timeout: Option<Duration>,
}

/// What the lines of conditions and the maps of files share.
pub(crate) mod map {
    pub(crate) use super::{
        grammar::{
            ONE_FAILURE, PACE, PROMETHEUS_PACE,
            probes::{authorities, number, program, size, status, wanted, whole},
        },
        lines::{path, unit},
        pace::{Timing, Timings},
    };
}

crate::quantity::as_text!(Condition);
crate::quantity::as_text!(Question);

#[cfg(test)]
mod tests;
