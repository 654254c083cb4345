//! What keeps a directory of journals from growing without an end: index and table are brought up to date, and
//! what the rule of the configuration no longer keeps is deleted.
//!
//! Deleted are only runs that are over with nothing left to restore: never one whose journal a process
//! holds, never one without an end, never one that could not be read. It waits for no other process: where
//! another one is tending the directory, that one does it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use super::{
    index::Index,
    names::{Name, file, names},
    noted::Noted,
    table::{Condition, Row, Table},
    unix_ms,
};
use injector_spec::{config::Rule, quantity::duration::millis};

use crate::regular;

/// The most journals that are deleted at once, so that no caller waits long for a directory that was
/// never tended; the next one goes on.
const AT_ONCE: usize = 2_000;

/// An ended run.
pub(super) struct Ended<'t> {
    last_unix_ms: u64,
    pub(super) name: Name,
    /// What the table knows of it.
    pub(super) row: Option<&'t Row>,
}

/// Tends the directory; returns how many journals were deleted.
pub fn tend(directory: &Path, rule: Rule) -> io::Result<usize> {
    let Some(index) = lock(&Index::path(directory))? else {
        return Ok(0);
    };
    let table = Table::load(directory);
    let mut known = table.in_order();
    let mut ended = Vec::new();
    let mut fresh = Noted::default();
    for name in names(directory)? {
        let row = known.get(name);
        let last = match row {
            Some(row) => Some(row.last_unix_ms),
            None => fresh.note(directory, &name.run()),
        };
        ended.extend(last.map(|last_unix_ms| Ended {
            last_unix_ms,
            name,
            row,
        }));
    }
    let deleted = prune(directory, &mut ended, rule);
    // Rows point at lines of the index, which may be lost or cut by itself.
    let has_lines = table.reaches() <= index.metadata()?.len();
    match table.condition() {
        // Its version knows what else has to agree.
        Condition::Newer(_) => {}
        Condition::Whole if has_lines && !table.is_worn(ended.len()) => {
            fresh.append(directory, &index)?;
        }
        // The rows that are whole stay.
        Condition::Whole | Condition::Broken => fresh.rewrite(directory, &ended, &index)?,
    }
    Ok(deleted)
}

/// Deletes what the rule does not keep, the oldest first, and leaves the rest.
fn prune(directory: &Path, ended: &mut Vec<Ended<'_>>, rule: Rule) -> usize {
    ended.sort_by_key(|ended| (ended.last_unix_ms, ended.name));
    let age = millis(rule.max_age);
    let oldest = unix_ms().saturating_sub(age);
    let too_many = ended.len().saturating_sub(rule.keep);
    let too_old = ended.partition_point(|ended| ended.last_unix_ms < oldest);
    let count = too_many.max(too_old).min(AT_ONCE);
    let mut deleted = 0;
    for one in ended.drain(..count) {
        // One that cannot be deleted is read and tried again by the next start.
        deleted += usize::from(fs::remove_file(file(directory, &one.name.run())).is_ok());
    }
    deleted
}

/// The index, made where it is missing, and locked; nothing where another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path)?;
    let metadata = file.metadata()?;
    regular::check(&metadata)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // It may have been replaced between the opening and the lock.
    let named = fs::symlink_metadata(path)?;
    Ok((named.ino() == metadata.ino()).then_some(file))
}

#[cfg(test)]
mod tests;
