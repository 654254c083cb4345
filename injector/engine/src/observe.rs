//! Observing: what targets ask of HTTP servers, models among them, and how they are answered, through TLS and in plain
//! text. Nothing of a target is changed.
//!
//! [`session`] holds the programs, the probes and the lease, [`crate::members`] the processes; what they tell goes through
//! [`connection`]s, which read [`head`]s and [`body`]s of messages, to an [`Exchange`] for each request, and [`retries`] says
//! which of them repeat one that failed.
//!
//! Invariants:
//! - Of a message's bytes only what an [`Exchange`] has is kept: no header but those it names, nothing of a body but the
//!   model's name. The query of a path is left out, since some providers take keys there.
//! - The command owns all descriptors: whichever way it ends, the probes go with it. It waits for no target, and no
//!   target for it.
//!
//! Rejected: a run with an effect that looks. A run has rules, a plan, a report of hits and four processes that keep a fault
//! in bounds; here is no fault, and one process whose death leaves nothing.

mod body;
mod connection;
mod exchange;
mod head;
mod model;
mod retries;
mod session;
mod tally;
mod watch;

pub use body::Mark;
pub use exchange::{End, Exchange, Retry, Streamed, Through};
pub use tally::{Kind, Tally};
pub use watch::{Ending, Hearing, Interrupts, Listener, Note, watch};
