//! What a victim says on its standard output: one JSON object per line.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// Set up; a server says where it listens.
    Ready {
        /// The address that a server got.
        address: Option<SocketAddr>,
    },
    /// One operation, printed with `--each`.
    Op(Op),
    /// One round of operations.
    Summary(Box<Summary>),
    /// One call of the agent to the model API.
    Call(Call),
    /// A connection of a server ended.
    Closed {
        /// The name of the errno, or `eof`.
        how: String,
    },
    /// The end of a round that has several summaries.
    Done,
}

/// One operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Op {
    /// When it began, on the boot clock.
    pub start_ns: u64,
    /// How long it took.
    pub took_ns: u64,
    /// Name of the errno, `timeout`, `damaged`, ...; absent where it went well.
    pub error: Option<String>,
}

/// One call of the agent, with its retries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// When it began, on the boot clock.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Whether an attempt went well.
    pub ok: bool,
    /// Attempts made, from 1.
    pub attempts: u32,
    /// Why attempts failed, in order.
    pub failures: Vec<String>,
}

/// What one round of operations came to. Fields that mean nothing for a victim stay 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Which process or thread speaks, where there are several.
    pub who: String,
    /// Operations begun, or datagrams sent.
    pub sent: u64,
    /// Operations that went well; for datagrams: those that arrived undamaged, each counted once.
    pub ok: u64,
    /// Arrived with a payload that was not sent.
    pub damaged: u64,
    /// Arrived once more.
    pub duplicates: u64,
    /// Arrived after one that was sent later.
    pub reordered: u64,
    /// Segments that the kernel sent again (`tcpi_total_retrans`).
    pub retransmits: u64,
    /// Payload bytes moved.
    pub bytes: u64,
    /// Names of the errnos seen, `timeout`, ..., with their counts.
    pub errors: BTreeMap<String, u64>,
    /// Median time of the operations that went well.
    pub p50_ns: u64,
    /// The 99th percentile of the same.
    pub p99_ns: u64,
    /// The longest of the same.
    pub max_ns: u64,
    /// How long the round took.
    pub elapsed_ns: u64,
}

impl Summary {
    /// Counts a failure.
    pub fn failed(&mut self, error: &str) {
        *self.errors.entry(error.to_owned()).or_default() += 1;
    }

    /// How often `error` was seen.
    pub fn error(&self, error: &str) -> u64 {
        self.errors.get(error).copied().unwrap_or(0)
    }

    /// Failures of all kinds.
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Fills in the order statistics from the times of the operations that went well.
    pub fn times(&mut self, times: &[u64]) {
        self.p50_ns = crate::measure::p50(times);
        self.p99_ns = crate::measure::p99(times);
        self.max_ns = times.iter().copied().max().unwrap_or(0);
    }
}
