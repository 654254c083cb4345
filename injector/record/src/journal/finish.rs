//! The end of a journal: what was set aside for it is given back.

use std::{io, os::fd::AsFd};

use rustix::fs::{fstat, ftruncate};

/// Cuts an open journal to its length, so that the blocks set aside behind it are free again. ext4, XFS
/// and btrfs free them on a truncation to the same size (`ext4_setattr`: "to truncate possible preallocated
/// blocks"), tmpfs too (`shmem_setattr`). Later records still find a place, or an error.
///
/// The caller holds the journal's lock: no other process writes to it between the look and the cut.
pub fn finish(journal: impl AsFd) -> io::Result<()> {
    let length = fstat(journal.as_fd())?.st_size;
    let length = u64::try_from(length).map_err(io::Error::other)?;
    Ok(ftruncate(journal, length)?)
}
