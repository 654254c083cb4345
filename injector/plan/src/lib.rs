//! The plan: what a run will do to this host, as data, before anything is touched; and what the [`policy`] of
//! the host says to it.
//!
//! [`names`] looks up host names, which is the only part that asks the outside world. [`compile`] turns
//! each fault into a rule, its filters and its mechanism; [`Plan::make`] puts the rules of a target
//! into slots in the documented order of composition and gathers what has to be attached. All of it
//! is pure: the dry run prints the same plan that a run would execute.

#![forbid(unsafe_code)]

pub mod at_devices;
mod calls;
mod compile;
mod error;
mod exec_deny;
pub mod hooks;
pub mod in_place;
pub mod line;
mod mechanism;
pub mod names;
mod need;
mod pick;
pub mod policy;
mod prefix;
mod rows;
pub mod schedule;
mod sizes;
mod slots;
pub mod tables;
mod values;
mod watched;

pub use at_devices::Attachment;
pub use calls::{CallPlan, why_not_at_hooks};
pub use compile::{Compiled, LineModel};
pub use error::Error;
pub use mechanism::{Carrier, Mechanism};
pub use names::Names;
pub use need::Need;
pub use pick::{Candidate, Picked, pick};
pub use sizes::{Known, Told};
pub use slots::{Hooks, Plan, PlannedRule};
pub use values::Values;
pub use watched::{For, Watched};

#[cfg(test)]
mod tests;
