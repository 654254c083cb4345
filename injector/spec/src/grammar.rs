//! The grammar of faults and targets: the flags of the command line, which are the keys of a file. The flags of one
//! fault are in its own file ([`crate::faults`]); here is what many of them share, and what all of them are under.
//!
//! Rejected: a second set of structures for the file format. It was shorter for a week and would have
//! drifted ever after.

mod calls;
mod fault;
mod target;
mod traffic;
pub(crate) mod values;

pub use fault::{FaultCommand, FaultInFile};
pub use target::{ProcessInProbe, TargetFlags, TargetInFile};
pub(crate) use {
    calls::{CallFlags, PathFlags},
    fault::{Request, With},
    traffic::{AskedChanceFlags, ChanceFlags, LimitFlags, PacketFlags, TrafficFlags},
};
