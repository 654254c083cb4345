//! The start lock: one start at a time looks which runs go on and becomes one of them.
//!
//! Without it two starts in the same moment would both see room for one more, or both miss that the other
//! acts on the same target. It is a lock on a file beside the journals, held from the last look until the
//! new run's journal exists, which takes milliseconds: what takes longer (resolving, probing) is over by
//! then. The kernel releases it with the process; one that is stopped meanwhile keeps others out, which
//! they are told after [`PATIENCE`].
//!
//! Rejected: the lock on the directory itself, which ends of runs take to put settings back. A start must
//! not keep an ending run from doing that.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

use crate::recorder::Recorder;
use injector_spec::error::Refusal;

/// The file's name.
pub const START_LOCK: &str = "entrance";

/// How long a start waits for others.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it looks away between two tries.
const BETWEEN: Duration = Duration::from_millis(5);

/// The right to look and become a run. It ends with the value.
#[derive(Debug)]
pub struct StartLock(#[expect(dead_code, reason = "the descriptor holds the lock")] File);

impl StartLock {
    /// Waits for its turn. The recorder opens the file: making one waits for the disk.
    pub(super) fn enter(directory: &Path, recorder: &Recorder) -> Result<Self, Refusal> {
        let file = recorder.start_lock(directory)?.into();
        Self::within(file, &directory.join(START_LOCK), PATIENCE)
    }

    fn within(file: File, path: &Path, patience: Duration) -> Result<Self, Refusal> {
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
                Err(TryLockError::Error(error)) => {
                    return Err(Refusal::failed(format!(
                        "{} cannot be locked: {error}; start again.",
                        path.display()
                    )));
                }
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
        let path = directory.path().join(START_LOCK);
        let enter = || StartLock::within(File::create(&path).unwrap(), &path, Duration::ZERO);
        let first = enter().unwrap();
        let refusal = enter().unwrap_err();
        assert!(refusal.message.contains("fuser"), "{refusal}");
        drop(first);
        enter().unwrap();
    }

    #[test]
    fn a_start_waits_for_its_turn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(START_LOCK);
        let enter = || StartLock::within(File::create(&path).unwrap(), &path, PATIENCE);
        let first = enter().unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| enter().map(drop));
            std::thread::sleep(4 * BETWEEN);
            assert!(!second.is_finished());
            drop(first);
            second.join().unwrap().unwrap();
        });
    }
}
