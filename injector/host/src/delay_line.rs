//! Holds frames for as long as their rules say, and gives them back.
//!
//! A BPF program redirects the target's frames to a TAP device ([`Tap`]). One thread
//! ([`DelayLine`]) reads them, asks the rules ([`LineTable`], [`model`]) when each may go on, keeps
//! the bytes in a [`store`] and their turn in a [`wheel`], and writes them back to the TAP, whose
//! ingress program passes them to the device that they were taken from. Each frame says itself whose
//! it is and which rules sent it here ([`injector_common::frame::Meta`]).
//!
//! Reading order: [`injector_plan::line`] (what is asked), [`model`] and [`distribution`] (how long), [`order`]
//! (and no earlier than what came before), [`rules`] (how several rules compose), [`store`] and [`wheel`] (where frames wait), `worker` (the loop),
//! `handle` (the thread as others see it). [`packet`], [`checksum`], [`segment`] and [`dns`] are for
//! the two faults that look into frames.
//!
//! Invariants:
//! - A frame is never released before its time, and never more than a lease after it: whatever a
//!   stopped or suspended injector finds overdue when it wakes is discarded.
//! - With no jitter asked, frames of one target keep their order; with jitter, or where the latency ramps, those of a
//!   connection do ([`order`]). Only [`Model::Reorder`] lets frames overtake each other.
//! - Nothing is allocated for a frame. Memory has a cap; what does not fit is dropped and counted, as
//!   a full queue on a router would.
//!
//! Rejected: qdiscs (netem is a module that hosts may lack, and a root qdisc is the host's own), EDT
//! (needs `fq`, and delayed frames stay charged to the sender's socket, which collapses throughput),
//! and several queues with a thread each (the copies are the cost, not the loop, and one queue keeps
//! the order).

pub mod checksum;
mod clock;
pub mod distribution;
pub mod dns;
mod error;
mod handle;
pub mod model;
pub mod order;
pub mod packet;
pub mod rules;
pub mod segment;
mod stats;
pub mod store;
mod tap;
#[cfg(test)]
mod testing;
pub mod vnet;
pub mod wheel;
mod worker;

pub use error::Error;
pub use handle::{DelayLine, Options};
pub use stats::{DnsCounters, Stats};
pub use tap::Tap;
