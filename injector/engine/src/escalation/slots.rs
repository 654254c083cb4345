//! How many processes of a host ask about runs that are over.
//!
//! Each has a place of its own, a file beside the journals that it has locked; the kernel lets go of it with the process.
//! Trials by the hundred, and a daemon that goes on for months, would otherwise leave a process for each end.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use injector_record::regular;

/// The most that there are.
pub(super) const MOST: u32 = 16;

/// A place, for as long as the value lives.
#[derive(Debug)]
pub(super) struct Slot(#[expect(dead_code, reason = "the descriptor holds the lock")] File);

impl Slot {
    /// Takes one; `None` where all are taken.
    pub(super) fn take(directory: &Path) -> io::Result<Option<Self>> {
        for number in 0..MOST {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
                .open(directory.join(format!("asking-{number}")))?;
            regular::check(&file.metadata()?)?;
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_and_one_that_ends_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let take = || Slot::take(directory.path()).unwrap();
        let mut taken: Vec<Slot> = (0..MOST).filter_map(|_| take()).collect();
        assert_eq!(taken.len(), MOST as usize);
        assert!(take().is_none());
        taken.remove(3);
        assert!(take().is_some());
    }
}
