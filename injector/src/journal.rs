//! What was done, on disk before it is done: one append-only file of JSON lines for each run.
//!
//! The file is evidence twice over. Its lines say what must be restored; the lock on it says whether
//! anybody is still there to do it. Whoever holds the descriptor, or a copy of it in another process,
//! holds the lock, and the kernel releases it with the last copy.
//!
//! Reading never fails on a torn or corrupt line: what a crash leaves is exactly what must be read.
//!
//! Rejected: a database (one more format to repair after a power cut), and one file for all runs (a lock
//! for each run is what tells the living from the dead).

mod line;
mod list;
mod record;
mod replay;
mod run_id;
mod writer;

pub use list::{Asked, ListedRun, RunState, files, list, read};
pub use record::{HostChange, Process, Record};
pub use replay::{Damaged, Replay, Stamped, replay};
pub use run_id::{RunId, RunIdError};
pub use writer::{Journal, JournalError, directory, make_directory, unix_ms};

/// A wall-clock time in milliseconds since 1970, as in `2026-01-31T08:30:00Z`.
pub fn time(unix_ms: u64) -> String {
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(unix_ms));
    humantime::format_rfc3339_seconds(time.unwrap_or(std::time::UNIX_EPOCH)).to_string()
}
