//! What worker and relay say to each other: lines of JSON over a socket pair.
//!
//! The worker says which rules there are, all of them anew each time; the relay says what they have done. Neither answers the
//! other, and the worker never waits.

use injector_common::rule::Counters;
use injector_record::report::Reaction;
use injector_spec::experiment::Fault;
use serde::{Deserialize, Serialize};

/// The hidden command that is the relay.
pub const COMMAND: &str = "hold-relay";

/// What the worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// These are the rules from now on. One that was there before keeps what it remembers.
    Rules(Vec<RuleOrder>),
    /// No fault acts any more: let everything go, and end when the connections are at rest.
    End,
}

/// A rule as it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleOrder {
    /// Its place in the plan.
    pub rule: usize,
    /// Its target.
    pub scope: u32,
    /// Its slot, by which the kernel says which rules mean a connection.
    pub slot: u32,
    /// The fault, with the values of now.
    pub fault: Fault,
    /// What its chance is drawn from.
    pub seed: u64,
    /// Whether its step is on.
    pub state: RuleState,
}

/// Whether a rule may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// Its step is on.
    On,
    /// It is not.
    Off,
}

/// What the relay says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It serves from now on.
    Ready,
    /// What a rule has done so far.
    Counted {
        /// Its place in the plan.
        rule: usize,
        /// Its counters.
        counters: Count,
    },
    /// What a target has done about a rule so far.
    Reacted {
        /// Its place in the plan.
        rule: usize,
        /// What it has done.
        reaction: Box<Reaction>,
    },
    /// A rule has hit a request.
    Hit {
        /// Its place in the plan.
        rule: usize,
        /// The number of the match.
        number: u64,
        /// When, on the boot clock, in nanoseconds.
        boot_ns: u64,
        /// What it asked for.
        path: String,
        /// The model that it asked.
        model: Option<String>,
        /// The tool that it called, or the method where it called none.
        tool: Option<String>,
    },
    /// Which connections have passed so far. It says so several times a second, whether or not there is news: that is how the
    /// worker knows that it does not stand still.
    Passed(Passed),
    /// It is over, and so many connections were cut.
    Ended {
        /// Connections that were in the middle of a transfer.
        cut: u64,
    },
}

/// Counters of a rule, in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// That came while the rule was on.
    pub seen: u64,
    /// That it means.
    pub matched: u64,
    /// That it has acted on.
    pub hit: u64,
    /// That it chose and could not act on.
    pub missed: u64,
    /// When it has acted first, on the boot clock, in nanoseconds. Counts are told some time later, and what a target did meanwhile
    /// was behind the hit all the same.
    #[serde(default)]
    pub first_hit_boot_ns: Option<u64>,
    /// When it has acted last, on the boot clock, in nanoseconds; 0 is never.
    pub last_hit_boot_ns: u64,
}

impl From<Count> for Counters {
    fn from(count: Count) -> Self {
        Self {
            seen: count.seen,
            matched: count.matched,
            hit: count.hit,
            missed: count.missed,
            bytes: 0,
            last_hit_boot_ns: count.last_hit_boot_ns,
        }
    }
}

/// Connections of targets that came to the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// All of them.
    pub connections: u64,
    /// Those whose text is sealed by TLS and passed unread.
    pub sealed: u64,
    /// Those whose text was sealed and that the relay has opened.
    #[serde(default)]
    pub opened: u64,
    /// Those that the target has broken off: it does not trust the authority, or does not take the TLS that the relay speaks.
    #[serde(default)]
    pub distrusted: u64,
    /// Those whose peer showed no certificate that is trusted, asked for one, or speaks no HTTP/1.1: they passed unread.
    #[serde(default)]
    pub unopened: u64,
    /// Those that speak HTTP/2 in plain text.
    pub http2: u64,
    /// Those whose peer could not be reached.
    pub unreached: u64,
    /// Requests that were passed on or answered, of those that it could read.
    pub requests: u64,
    /// Connections that the kernel had not written down, and that were closed.
    pub strangers: u64,
    /// Requests with several calls of tools in one, which no fault meets.
    pub batches: u64,
    /// Calls of tools whose answer comes on another connection, which no fault meets.
    pub elsewhere: u64,
}
