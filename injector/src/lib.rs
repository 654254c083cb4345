//! An eBPF fault injector for chosen processes and cgroups of a Linux host.
//!
//! The modules stand in the order in which one fault passes through them, from the command line to the
//! report.
pub mod error;
pub mod experiment;
pub mod journal;
pub mod kernel;
pub mod quantity;
pub mod report;
