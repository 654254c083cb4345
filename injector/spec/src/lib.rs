//! What is asked of injector, as validated types: who (selectors), what (faults and steps), until when
//! (conditions), and what a host allows (configuration).
//!
//! [`grammar`] defines every fault once; a command line and an experiment file are both parsed by it.
//! [`experiment`] holds what they become, [`quantity`] the numbers in it, [`condition`] what ends a run, and
//! [`config`] the limits of a host. Nothing here touches a host: this crate builds on any system.

#![forbid(unsafe_code)]

pub mod condition;
pub mod config;
pub mod error;
pub mod experiment;
pub mod grammar;
pub mod nearest;
pub mod pattern;
pub mod printable;
pub mod quantity;
pub mod syscall;
