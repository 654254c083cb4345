//! The grammar of faults and targets: the flags of the command line, which are the keys of a file.
//!
//! Rejected: a second set of structures for the file format. It was shorter for a week and would have
//! drifted ever after.

mod dns;
mod fault;
mod io;
mod net;
mod pipe;
mod proc;
mod sys;
mod target;
mod traffic;
pub(crate) mod values;

pub use fault::{FaultCommand, FaultInFile};
pub use target::{TargetFlags, TargetInFile};
