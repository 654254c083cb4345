//! The entrance: one start at a time looks which runs go on and becomes one of them.
//!
//! Without it two starts in the same moment would both see room for one more, or both miss that the other
//! acts on the same target. It is a lock on a file beside the journals, held from the last look until the
//! new run's journal exists, which takes milliseconds: what takes longer (resolving, probing) is over by
//! then. The kernel releases it with the process; one that is stopped meanwhile keeps others out, which
//! they are told after [`PATIENCE`].
//!
//! Rejected: the lock on the directory itself, which ends of runs take to put settings back. A start must
//! keep nobody from doing that.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    error::Refusal,
    journal::{self, JournalError},
    regular,
};

/// The file's name.
const NAME: &str = "entrance";

/// How long a start waits for others.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it looks away between two tries.
const BETWEEN: Duration = Duration::from_millis(5);

/// The right to look and become a run. It ends with the value.
#[derive(Debug)]
pub struct Entrance(#[expect(dead_code, reason = "the descriptor holds the lock")] File);

impl Entrance {
    /// Waits for its turn.
    pub(super) fn enter(directory: &Path) -> Result<Self, Refusal> {
        Self::within(directory, PATIENCE)
    }

    fn within(directory: &Path, patience: Duration) -> Result<Self, Refusal> {
        journal::make_directory(directory)?;
        let path = directory.join(NAME);
        // Where this cannot be written, neither can a journal.
        let barred = |error: io::Error| -> Refusal {
            JournalError::Unwritable {
                path: path.clone(),
                error,
            }
            .into()
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .map_err(barred)?;
        file.metadata()
            .and_then(|metadata| Ok(regular::check(&metadata)?))
            .map_err(barred)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(BETWEEN);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Refusal::failed(format!(
                        "another start has not finished for {} s; `fuser {}` tells which process that \
                         is, and `kill -CONT` or `kill` helps it along.",
                        patience.as_secs(),
                        path.display()
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(barred(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let enter = || Entrance::within(directory.path(), Duration::ZERO);
        let first = enter().unwrap();
        let refusal = enter().unwrap_err();
        assert!(refusal.message.contains("fuser"), "{refusal}");
        drop(first);
        enter().unwrap();
    }

    #[test]
    fn a_start_waits_for_its_turn() {
        let directory = tempfile::tempdir().unwrap();
        let first = Entrance::enter(directory.path()).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| Entrance::enter(directory.path()).map(drop));
            std::thread::sleep(4 * BETWEEN);
            assert!(!second.is_finished());
            drop(first);
            second.join().unwrap().unwrap();
        });
    }
}
