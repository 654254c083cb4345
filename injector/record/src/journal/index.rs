//! What ended runs were, in one file beside their journals, so that no process has to read them all again.
//!
//! `ended.index` has a row for each run that is over with nothing left to restore; `ended.table` beside it says where
//! each of them stands, so that one is read without the others. A row names the journal
//! that it was made from by inode, size and time of change (ctime), and counts only while all three
//! are what they were, and its own checksum fits. So the index can be missing, torn, old or of another
//! directory: what it does not know is read from the journal, and what it knows wrongly it cannot know. It
//! is never the only place of anything, and deleting it costs one reading.
//!
//! A row has fields with tabs between them (JSON has none): version, run, inode, size, ctime in
//! nanoseconds, time of the last record, the run as [`ListedRun`] without its report, the report, and a
//! CRC-32 of all that. Later versions add fields behind
//! the report, or count up the version, and older ones then read the journals.
//!
//! Rejected: a directory for ended runs, which moves evidence while others read it, and breaks every path
//! that a person has noted down; and rows by each run's end, which must wait for nothing.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::{ListedRun, Reports, RunId, table::Row as TableRow};
use crate::regular;

/// The file's name, which is no run's.
const NAME: &str = "ended.index";

/// What a row begins with.
const VERSION: &str = "1";

/// More bytes than the index of a hundred thousand runs has.
const LARGEST: u64 = 1 << 30;

/// Which journal a row was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) changed_ns: i128,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            changed_ns: i128::from(metadata.ctime()) * 1_000_000_000
                + i128::from(metadata.ctime_nsec()),
        }
    }
}

/// The index, as it was read.
#[derive(Debug, Default)]
pub(super) struct Index {
    bytes: Vec<u8>,
    rows: HashMap<RunId, Row>,
}

#[derive(Debug)]
struct Row {
    stamp: Stamp,
    whole: Range<usize>,
    brief: Range<usize>,
    report: Range<usize>,
}

impl Index {
    /// The file of a directory.
    pub(super) fn path(directory: &Path) -> PathBuf {
        directory.join(NAME)
    }

    /// Reads it; where that fails, nothing is known.
    pub(super) fn load(directory: &Path) -> Self {
        let bytes = regular::read(&Self::path(directory), LARGEST);
        Self::of(bytes.unwrap_or_default())
    }

    /// Reads it from the file that is locked.
    pub(super) fn load_from(file: &File) -> io::Result<Self> {
        Ok(Self::of(regular::read_from(file, LARGEST)?))
    }

    fn of(bytes: Vec<u8>) -> Self {
        let mut rows = HashMap::new();
        let mut start = 0;
        for line in bytes.split(|byte| *byte == b'\n') {
            let read = parse(line, start);
            start += line.len() + 1;
            rows.extend(read);
        }
        Self { bytes, rows }
    }

    /// The run, where the row is about this very journal.
    pub(super) fn listed(&self, run: &RunId, stamp: Stamp, reports: Reports) -> Option<ListedRun> {
        let row = self.rows.get(run).filter(|row| row.stamp == stamp)?;
        let mut listed: ListedRun =
            serde_json::from_slice(self.bytes.get(row.brief.clone())?).ok()?;
        if reports == Reports::With {
            listed.report = serde_json::from_slice(self.bytes.get(row.report.clone())?).ok()?;
        }
        Some(listed)
    }

    /// The row of a run, as it stands.
    pub(super) fn whole(&self, run: &RunId) -> Option<&[u8]> {
        let row = self.rows.get(run)?;
        self.bytes.get(row.whole.clone())
    }
}

/// A run as its row in the index tells it, where that is about this very journal.
pub(super) fn at_place(
    index: Option<&File>,
    run: &RunId,
    row: &TableRow,
    path: &Path,
) -> Option<ListedRun> {
    let stamp = stamp(path).filter(|stamp| *stamp == row.stamp)?;
    let mut line = vec![0; usize::try_from(row.place.length).ok()?];
    index?.read_exact_at(&mut line, row.place.at).ok()?;
    one(&line, run, stamp)
}

/// What a row of the index has to agree with. Of a link it is the link's, so that its file is read.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(Stamp::of(&metadata))
}

/// The run of one row, where it is about this very journal.
fn one(line: &[u8], run: &RunId, stamp: Stamp) -> Option<ListedRun> {
    let (of, row) = parse(line, 0)?;
    if of != *run || row.stamp != stamp {
        return None;
    }
    let mut listed: ListedRun = serde_json::from_slice(line.get(row.brief)?).ok()?;
    listed.report = serde_json::from_slice(line.get(row.report)?).ok()?;
    Some(listed)
}

/// A row, with its line feed.
pub(super) fn row(
    listed: &ListedRun,
    stamp: Stamp,
    last_unix_ms: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut brief = listed.clone();
    let report = serde_json::to_string(&brief.report.take())?;
    let Stamp {
        inode,
        size,
        changed_ns,
    } = stamp;
    let mut line = format!(
        "{VERSION}\t{}\t{inode}\t{size}\t{changed_ns}\t{last_unix_ms}\t{}\t{report}",
        listed.run,
        serde_json::to_string(&brief)?
    )
    .into_bytes();
    let checksum = format!("\t{:08x}\n", crc32fast::hash(&line));
    line.extend_from_slice(checksum.as_bytes());
    Ok(line)
}

/// A row that can be trusted; `start` is where it stands in the file.
fn parse(line: &[u8], start: usize) -> Option<(RunId, Row)> {
    let (body, checksum) = line.split_at_checked(line.len().checked_sub(9)?)?;
    if checksum != format!("\t{:08x}", crc32fast::hash(body)).as_bytes() {
        return None;
    }
    let mut at = 0;
    let mut fields = body.split(|byte| *byte == b'\t').map(|field| {
        let range = at..at + field.len();
        at = range.end + 1;
        (range, str::from_utf8(field).ok())
    });
    let mut next = || fields.next();
    if next()?.1? != VERSION {
        return None;
    }
    let run = next()?.1?.parse().ok()?;
    let stamp = Stamp {
        inode: next()?.1?.parse().ok()?,
        size: next()?.1?.parse().ok()?,
        changed_ns: next()?.1?.parse().ok()?,
    };
    let _last_unix_ms: u64 = next()?.1?.parse().ok()?;
    let within = |range: Range<usize>| start + range.start..start + range.end;
    let row = Row {
        stamp,
        whole: start..start + line.len(),
        brief: within(next()?.0),
        report: within(next()?.0),
    };
    Some((run, row))
}
