//! An eBPF fault injector for chosen processes and cgroups of a Linux host.
//!
//! The modules stand in the order in which one fault passes through them, from the command line to the
//! report:
//!
//! ```text
//! cli -> api -> experiment -> target -> plan -> executor -> kernel (maps, links) -> [BPF programs]
//!                                           \-> journal <-- event <-- ring buffer <----/
//! supervisor: starts the worker and outlives it      watchdog: renews the lease, or does not
//! ```

pub mod api;
pub mod cli;
pub mod condition;
pub mod config;
pub mod error;
pub mod printable;
pub mod quantity;
pub mod regular;
pub mod syscall;

pub mod experiment;
pub mod plan;
pub mod policy;
pub mod target;

pub mod channel;
pub mod executor;
pub mod guardian;
pub mod lever;
pub mod lookout;
pub mod prepare;
pub mod privilege;
pub mod recorder;
mod spawn;
pub mod supervisor;
pub mod sweep;
pub mod watchdog;
pub mod worker;

pub mod delay_line;
pub mod kernel;
pub mod park;

pub mod escalation;
pub mod event;
pub mod journal;
pub mod report;

pub mod fuzzing;
