//! Runs: from a validated experiment to faults that act, and to their end whatever happens.
//!
//! A command becomes a [`supervisor`], which starts a [`worker`] and outlives it; the worker lets a run in
//! ([`prepare`]) and carries it out ([`executor`]) under a [`watchdog`] and the conditions of the
//! [`halt_monitor`]. The [`guardian`] can undo what the worker changes, the [`recorder`] writes to disks and terminals
//! what is said as a [`page`] or a [`live`] line. [`observe`] looks at what targets ask of servers, without a run.

pub mod admission;
pub mod approval;
pub mod changes;
pub mod channel;
pub mod cleanup;
pub mod dashboard;
pub mod effects;
pub mod escalation;
pub mod executor;
mod fd_store;
pub mod gate;
pub mod guardian;
pub mod halt_monitor;
pub mod kill_switch;
pub mod ledgers;
pub mod live;
pub mod measures;
mod members;
pub mod notifier;
pub mod observe;
pub mod page;
pub mod preflight;
pub mod recorder;
pub mod rendering;
pub mod rollback;
pub mod schedule;
mod signs;
mod spawn;
pub mod supervisor;
pub mod surroundings;
pub mod tell;
pub mod trial;
pub mod watchdog;
pub mod worker;
