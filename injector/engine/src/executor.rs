//! The executor: takes a plan through its life.
//!
//! [`run::execute`] writes the journal, arms, walks the steps, disarms, puts everything back and reports. What acts
//! are the run's [`crate::effects`]; `roster` knows the targets as they come and go, [`budget`] what a run may use up;
//! [`crate::changes`] has the host settings that were changed, and restores them.
//!
//! Invariants:
//! - Nothing is touched before the journal is on disk.
//! - Every step of arming is undone when a later one fails, because everything is owned: links before
//!   the TAP that they redirect to, host settings last.
//! - After [`run::execute`] has returned, nothing fires and nothing is left.

pub mod budget;
mod ending;
mod request;
mod roster;
pub mod run;

pub use crate::effects::namespace::Listening;
pub use budget::Budget;
pub use request::{Order, Request, Surroundings};
pub use run::execute;
