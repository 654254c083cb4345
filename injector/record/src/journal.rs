//! What was done, on disk before it is done: one append-only file of JSON lines for each run.
//!
//! The file is evidence twice over. Its lines say what must be restored; the lock on it says whether a
//! process is still there to do it. The process that holds the descriptor, or another one that holds a
//! copy of it, holds the lock, and the kernel releases it with the last copy.
//!
//! Reading never fails on a torn or corrupt line: what a crash leaves is exactly what must be read.
//!
//! Rejected: a database (one more format to repair after a power cut), and one file for all runs (a lock
//! for each run is what tells the living from the dead).
//!
//! What grows with every run is kept in bounds by [`finish`], which gives back what a journal did not
//! use, and [`tend`], which deletes what the configuration no longer keeps and notes ended runs in an
//! index and a table, so that a start reads only those that a process must look after ([`unfinished`]).

mod finish;
mod follow;
mod index;
mod line;
mod list;
mod listed;
mod looked;
mod names;
mod noted;
mod record;
mod replay;
mod run_id;
#[cfg(test)]
mod samples;
mod seen;
mod starts;
pub(crate) mod table;
mod tend;
pub(crate) mod verdicts;
mod writer;

pub use finish::finish;
pub use follow::{Follower, Held};
pub use list::{halted_since, list, look, newest, unfinished};
pub use listed::{Asked, ListedRun, Listing, Newest, Reports, RunState, Unreadable};
pub use looked::Look;
pub use names::{file, files};
pub use record::{HostChange, Process, Record};
pub use replay::{Damaged, Replay, Stamped, replay};
pub use run_id::{RunId, RunIdError};
pub use seen::read;
pub use starts::scheduled_since;
pub use tend::tend;
pub use verdicts::was_inconclusive_before;
pub use writer::{Journal, JournalError, directory, make_directory, unix_ms};

/// The end of the year 9999, behind which no time has four digits for its year.
const LAST_UNIX_MS: u64 = 253_402_300_800_000;

/// A wall-clock time in milliseconds since 1970, as in `2026-01-31T08:30:00Z`. What no clock has said is
/// an unknown time.
pub fn time(unix_ms: u64) -> String {
    let time = std::time::UNIX_EPOCH
        .checked_add(std::time::Duration::from_millis(unix_ms))
        .filter(|_| unix_ms < LAST_UNIX_MS);
    match time {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        None => "unknown time".to_owned(),
    }
}
