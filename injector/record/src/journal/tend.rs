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
    looked::{self, Look, Looked, Missing, When},
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
pub fn tend(directory: &Path, rule: Rule, look: Look) -> io::Result<usize> {
    let Some(index) = lock(&Index::path(directory))? else {
        return Ok(0);
    };
    let note = looked::open(directory, Missing::Made)?;
    if look == Look::Since && tend_since(directory, rule, &index, &note)? {
        return Ok(0);
    }
    let when = When::now(directory);
    let table = Table::load(directory);
    let mut known = table.in_order();
    let mut ended = Vec::new();
    let mut fresh = Noted::default();
    let mut looked = Looked::default();
    for name in names(directory)? {
        let row = known.get(name);
        let last = match row {
            Some(row) => Some(row.last_unix_ms),
            None => fresh.note(directory, &name.run()),
        };
        match last {
            Some(last_unix_ms) => ended.push(Ended {
                last_unix_ms,
                name,
                row,
            }),
            None => looked.unfinished.push(name.run()),
        }
    }
    let deleted = prune(directory, &mut ended, rule);
    looked.ended = ended.len();
    looked.oldest_unix_ms = ended.iter().map(|one| one.last_unix_ms).min();
    // Rows point at lines of the index, which may be lost or cut by itself.
    let has_lines = table.reaches() <= index.metadata()?.len();
    match table.condition() {
        // Its version knows what else has to agree.
        Condition::Newer(_) => return Ok(deleted),
        Condition::Whole if has_lines && !table.is_worn(ended.len()) => {
            fresh.append(directory, &index)?;
        }
        // The rows that are whole stay.
        Condition::Whole | Condition::Broken => fresh.rewrite(directory, &ended, &index)?,
    }
    if let Some(when) = when {
        looked.save(directory, when, &note)?;
    }
    Ok(deleted)
}

/// Notes which of the runs that were unfinished at the last look are over, where that is all there is to do: nothing else has
/// changed since then, and the rule keeps what is there.
fn tend_since(directory: &Path, rule: Rule, index: &File, note: &File) -> io::Result<bool> {
    let (Some(when), Some(mut looked)) = (When::now(directory), Looked::load(directory)) else {
        return Ok(false);
    };
    let mut fresh = Noted::default();
    let before = looked.unfinished.len();
    looked.unfinished.retain(|run| {
        let last = fresh.note(directory, run);
        looked.ended += usize::from(last.is_some());
        looked.oldest_unix_ms = match (looked.oldest_unix_ms, last) {
            (Some(oldest), Some(last)) => Some(oldest.min(last)),
            (oldest, last) => oldest.or(last),
        };
        last.is_none()
    });
    let is_kept = |last| last >= oldest_kept(rule);
    if looked.ended > rule.keep || !looked.oldest_unix_ms.is_none_or(is_kept) {
        return Ok(false);
    }
    if looked.unfinished.len() < before {
        fresh.append(directory, index)?;
        looked.save(directory, when, note)?;
    }
    Ok(true)
}

/// Deletes what the rule does not keep, the oldest first, and leaves the rest.
fn prune(directory: &Path, ended: &mut Vec<Ended<'_>>, rule: Rule) -> usize {
    ended.sort_by_key(|ended| (ended.last_unix_ms, ended.name));
    let oldest = oldest_kept(rule);
    let too_many = match ended.len().checked_sub(rule.keep) {
        // Some at a time, so that not each start has one to delete.
        Some(1..) => ended.len() - rule.keep + rule.keep / 64,
        Some(0) | None => 0,
    };
    let too_old = ended.partition_point(|ended| ended.last_unix_ms < oldest);
    let count = too_many.max(too_old).min(AT_ONCE);
    let mut deleted = 0;
    for one in ended.drain(..count) {
        // One that cannot be deleted is read and tried again by the next start.
        deleted += usize::from(fs::remove_file(file(directory, &one.name.run())).is_ok());
    }
    deleted
}

/// When the last record of a run was written at the earliest that the rule keeps, in milliseconds since 1970.
fn oldest_kept(rule: Rule) -> u64 {
    unix_ms().saturating_sub(millis(rule.max_age))
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
