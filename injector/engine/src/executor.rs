//! The executor: the one place that touches the host.
//!
//! [`run::execute`] takes a plan through its life: write the journal, arm, walk the steps, disarm, put
//! everything back, report. [`arm`] makes one network namespace ready, [`coverage`] keeps its devices
//! covered, [`claim`] reaches sockets that are open, as often as [`pace`] lets it, [`reset`] and [`rst`] reset their
//! connections, [`process`] signals, pauses and starves processes, `roster` knows the targets as they come and go,
//! [`changes`] changes host settings and restores them.
//!
//! Invariants:
//! - Nothing is touched before the journal is on disk.
//! - Every step of arming is undone when a later one fails, because everything is owned: links before
//!   the TAP that they redirect to, host settings last.
//! - After [`run::execute`] has returned, nothing fires and nothing is left.

pub mod arm;
pub mod budget;
mod calls;
pub mod changes;
mod claim;
mod coverage;
mod ending;
pub mod fd_store;
mod pace;
mod process;
mod request;
mod reset;
mod roster;
mod rst;
pub mod run;
mod unjudged;

pub use arm::Listening;
pub use budget::Budget;
pub use calls::places;
pub use changes::undo;
pub use fd_store::FdStore;
pub use request::{Order, Request, Surroundings};
pub use run::execute;

/// A time for people, in tenths of a second.
fn seconds(nanoseconds: u64) -> String {
    let tenths = nanoseconds.saturating_add(50_000_000) / 100_000_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_rounded_to_tenths() {
        assert_eq!(seconds(0), "0.0 s");
        assert_eq!(seconds(1_280_000_000), "1.3 s");
        assert_eq!(seconds(61_000_000_000), "61.0 s");
    }
}
