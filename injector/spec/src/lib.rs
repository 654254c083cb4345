//! What is asked of injector, as validated types: who (selectors), what (faults and steps), until when
//! (conditions), and what a host allows (configuration).
//!
//! [`faults`] has every fault, in a file each; [`grammar`] has what their flags share: a command line and an
//! experiment file are both parsed by it.
//! [`experiment`] holds what they become, [`quantity`] the numbers in it, [`condition`] what ends a run, and
//! [`config`] the limits of a host. Nothing here touches a host: this crate builds on any system.

#![forbid(unsafe_code)]

pub mod condition;
pub mod config;
pub mod error;
pub mod escalation;
pub mod experiment;
mod faults;
pub mod grammar;
pub mod nearest;
pub mod pattern;
pub mod printable;
pub mod quantity;
pub mod syscall;
