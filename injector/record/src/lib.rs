//! What injector keeps of a run: the [`journal`] on disk, the [`event`]s that listeners get, what it [`measure`]s, the
//! [`report`] at its end, and the [`account`] of all that. Of runs that are over, a [`comparison`] holds two against
//! each other, a [`postmortem`] tells one, and [`lessons`] keeps what all of them taught; what several runs say together
//! are [`trials`], a folder of experiments is a [`suite`], and a [`search`] looks for the value that breaks one; [`stages`] tells whether one that comes first has held. [`regular`] and [`configuration`] read files that others
//! may have put there; [`replace`] puts one there whole.

#![forbid(unsafe_code)]

pub mod account;
pub mod comparison;
pub mod configuration;
pub mod escalation;
pub mod event;
pub mod gate;
pub mod halt;
pub mod journal;
mod junit;
pub mod lessons;
pub mod measure;
pub mod notice;
pub mod operations;
pub mod platform;
pub mod postmortem;
pub mod regular;
pub mod replace;
pub mod report;
pub mod rollback;
pub mod scheduled;
pub mod search;
pub mod stages;
pub mod suite;
pub mod trials;

mod clock;
