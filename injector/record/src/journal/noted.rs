//! What index and table note of runs that are over: a line and a row for each, written together.
//!
//! The index is written first, so that a row of the table never points behind its end. Either may be lost, torn or
//! from another time than the other: a row whose line is not there counts as not known, and its journal is read again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use super::{
    RunId, RunState,
    index::{self, Index},
    names::file,
    seen::look_at,
    table::{Place, Row, Table, Word},
    tend::Ended,
    verdicts::{asked, verdict},
};
use crate::regular;

/// Runs that are to be noted.
#[derive(Default)]
pub(super) struct Noted {
    /// For the index.
    lines: Vec<u8>,
    /// For the table; places count from the first of the lines.
    rows: Vec<Row>,
}

impl Noted {
    /// Reads a journal, and adds its rows where its run is over with nothing left to restore; returns when its last record
    /// was written.
    pub(super) fn note(&mut self, directory: &Path, run: &RunId) -> Option<u64> {
        // What cannot be read is told by the commands that list it, and no process deletes it.
        let seen = look_at(&file(directory, run), run.clone()).ok()?;
        let is_over = match &seen.listed.state {
            RunState::Ended { .. } | RunState::Aborted { why: Some(_) } => true,
            RunState::Running | RunState::Aborted { why: None } => false,
        };
        let last_unix_ms = seen.replay.records.last()?.unix_ms;
        if !is_over || !seen.listed.to_restore.is_empty() {
            return None;
        }
        let line = index::row(&seen.listed, seen.stamp, last_unix_ms).ok()?;
        let verdict = verdict(&seen.listed);
        self.add(
            &line,
            Row {
                run: run.number(),
                stamp: seen.stamp,
                last_unix_ms,
                word: Word::of(verdict),
                asked: asked(&seen.replay),
                place: Place { at: 0, length: 0 },
            },
        );
        Some(last_unix_ms)
    }

    /// Adds a line, which ends in a line feed, and its row.
    fn add(&mut self, line: &[u8], row: Row) {
        let at = u64::try_from(self.lines.len()).unwrap_or(u64::MAX);
        let length = u32::try_from(line.len().saturating_sub(1)).unwrap_or_default();
        let place = Place { at, length };
        self.lines.extend_from_slice(line);
        self.rows.push(Row { place, ..row });
    }

    /// Writes both files anew, with these rows alone.
    fn found(self, directory: &Path) -> io::Result<()> {
        put(&Index::path(directory), &self.lines)?;
        put(&Table::path(directory), &Table::bytes(&self.rows))
    }

    /// Adds these rows to both files. The index comes first: a row of the table never points behind its end.
    pub(super) fn append(mut self, directory: &Path, mut index: &File) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let length = index.metadata()?.len();
        let feed: &[u8] = if is_torn(index, length)? { b"\n" } else { b"" };
        let from = length + u64::try_from(feed.len()).unwrap_or_default();
        index.write_all(&[feed, &self.lines].concat())?;
        for row in &mut self.rows {
            row.place.at += from;
        }
        Table::append(directory, &self.rows)
    }

    /// Writes both files anew, with these rows, and with those of the runs that are there still. A line that the index has
    /// lost is made again from the journal.
    pub(super) fn rewrite(
        self,
        directory: &Path,
        ended: &[Ended<'_>],
        file: &File,
    ) -> io::Result<()> {
        // One that cannot be read knows nothing.
        let index = Index::load_from(file).unwrap_or_default();
        let mut kept = Self::default();
        for (run, row) in ended
            .iter()
            .filter_map(|one| Some((one.name.run(), one.row?)))
        {
            match index.whole(&run) {
                Some(line) => kept.add(&[line, b"\n"].concat(), *row),
                // When its last record was written is known.
                None => drop(kept.note(directory, &run)),
            }
        }
        for row in self.rows {
            let from = usize::try_from(row.place.at).map_err(io::Error::other)?;
            let length = usize::try_from(row.place.length).map_err(io::Error::other)?;
            if let Some(line) = self.lines.get(from..=from + length) {
                kept.add(line, row);
            }
        }
        kept.found(directory)
    }
}

/// Whether the index ends in the middle of a row.
fn is_torn(index: &File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else {
        return Ok(false);
    };
    let mut byte = [0];
    index.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

/// Puts a file in the place of the one of its name, in one step.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(&new)?;
    regular::check(&file.metadata()?)?;
    file.write_all(bytes)?;
    fs::rename(new, path)
}
