//! A connection that a fault has hit, as it was the moment before.

use std::{
    fmt::{self, Display, Formatter},
    net::SocketAddr,
};

use injector_common::look::BUSY_US;
use serde::{Deserialize, Serialize};

/// How many connections of a fault a report names; the rest is in its counters.
pub const MOST_NAMED: usize = 32;

/// A connection, and what it was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The target's own end.
    pub local: SocketAddr,
    /// The far end.
    pub remote: SocketAddr,
    /// Whether it was in use.
    pub state: ConnectionState,
    /// Bytes that had arrived and that the target had not read.
    pub unread_bytes: u32,
    /// Bytes that the target had sent and that the far end had not acknowledged.
    pub unacknowledged_bytes: u32,
    /// Milliseconds since data last passed, one way or the other.
    pub quiet_ms: u32,
}

/// Whether a connection is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionState {
    /// Data was unread or unacknowledged, or had passed within the last 200 ms.
    Busy,
    /// None of that, as of a connection that waits in a pool.
    Idle,
}

impl ConnectionState {
    /// The state of a connection with these figures, as in [`Connection`].
    pub fn of(unread_bytes: u32, unacknowledged_bytes: u32, quiet_ms: u32) -> Self {
        let moves = u64::from(quiet_ms) * 1_000 < BUSY_US;
        if unread_bytes > 0 || unacknowledged_bytes > 0 || moves {
            Self::Busy
        } else {
            Self::Idle
        }
    }
}

impl Display for Connection {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            local,
            remote,
            state,
            unread_bytes,
            unacknowledged_bytes,
            quiet_ms,
        } = self;
        let state = match state {
            ConnectionState::Busy => "busy",
            ConnectionState::Idle => "idle",
        };
        write!(
            out,
            "{local} -> {remote}, {state}: {unread_bytes} bytes unread, {unacknowledged_bytes} unacknowledged, last data {quiet_ms} ms before"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_a_moment_ago_or_is_under_way_is_busy() {
        assert_eq!(ConnectionState::of(0, 0, 200), ConnectionState::Idle);
        assert_eq!(ConnectionState::of(0, 0, 199), ConnectionState::Busy);
        assert_eq!(ConnectionState::of(1, 0, 9_000), ConnectionState::Busy);
        assert_eq!(ConnectionState::of(0, 1, 9_000), ConnectionState::Busy);
        assert_eq!(ConnectionState::of(0, 0, u32::MAX), ConnectionState::Idle);
    }
}
