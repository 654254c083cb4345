//! What supervisor and worker may do, and how the kernel treats them when memory is short.
//!
//! Both start as root. Each keeps the capabilities that its calls need and gives the rest up for good, so
//! that a mistake in a parser of another process's bytes is a mistake in less than root. What a host
//! withholds is told by name, and the run goes on: what needs it is refused where it is needed.
//!
//! Invariant: giving up happens while the process has one thread, because capabilities belong to threads
//! (capabilities(7)) and threads inherit them.
//!
//! Rejected: another user id for the worker. The files of `/proc`, of cgroups and of the journal are
//! root's, and every way back to them is a capability that is as good as root.

mod capabilities;
mod files;
mod memory;
mod oom;

pub use capabilities::{confine_relay, confine_supervisor, confine_worker, withheld};
pub use memory::{Locked, give_back, lock_program, lock_stack, lock_value, share_one_heap};
pub use oom::{shield_supervisor, shield_worker};
