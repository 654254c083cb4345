//! What injector keeps of a run: the [`journal`] on disk, the [`event`]s that listeners get, what it
//! [`measure`]s, and the [`report`] at its end. [`regular`] and [`configuration`] read files that others may have put there.

#![forbid(unsafe_code)]

pub mod configuration;
pub mod event;
pub mod halt;
pub mod journal;
pub mod measure;
pub mod notice;
pub mod regular;
pub mod report;

mod clock;
