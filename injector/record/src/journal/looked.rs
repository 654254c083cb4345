//! What the last look through all names of a directory of journals has found, so that a start need not look again.
//!
//! A directory tells by its time of change (ctime) whether a name has come or gone. `unfinished.look` says what was there
//! at one such time: the runs that were not known to be over, and of those that are over how many there are and when
//! the oldest of them ended. It counts while the directory, `ended.table` and `ended.index` are what they were then, and
//! its checksum fits; else each name is looked at, as `injector sweep` always does. So it may be missing, torn, old or
//! of another directory, and deleting it costs one look.
//!
//! Two processes write it: one that has tended the directory, and one that makes a journal. Journals are made within the
//! start lock. The second empties the file first and fills it when its journal has its name, so that a process which is
//! killed in between leaves nothing that counts.
//!
//! Kernels before 6.13 tell times of change by their tick, which may be 10 ms: two changes within one tick look like one.
//! So nothing is written about a directory that has been changed a moment ago, except by the process that has changed it
//! itself. What that leaves is a journal that comes in the same tick and by another way than a start of this version, as
//! from a backup; the next change of any name makes it seen.
//!
//! Rejected: a directory for the runs that are not over, which a version that does not know it would leave empty; and
//! a hint that is believed without the directory's own word.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    RunId,
    index::{Index, Stamp, stamp},
    table::Table,
};
use crate::regular;

/// The file's name, which is no run's.
const NAME: &str = "unfinished.look";

/// Counted up where its content means something else.
const VERSION: u32 = 1;

/// More bytes than the names of ten thousand runs have.
const LARGEST: u64 = 1 << 20;

/// Longer than a tick of any kernel.
const TICK: Duration = Duration::from_millis(20);

/// How a directory of journals is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Each name.
    Whole,
    /// What is not known from the last look, where nothing has changed since then.
    Since,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Looked {
    /// The runs that the table does not know to be over.
    pub(super) unfinished: Vec<RunId>,
    /// How many there are that are over.
    pub(super) ended: usize,
    /// When the oldest of those wrote its last record.
    pub(super) oldest_unix_ms: Option<u64>,
}

/// When it was found: the directory, its table and its index as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct When([[u64; 3]; 3]);

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    when: When,
    looked: Looked,
}

impl When {
    /// A directory as it is now; nothing where a part of it is not there.
    pub(super) fn now(directory: &Path) -> Option<Self> {
        let of = |path: &Path| {
            let Stamp {
                inode,
                size,
                changed_ns,
            } = stamp(path)?;
            Some([inode, size, u64::try_from(changed_ns).ok()?])
        };
        Some(Self([
            of(directory)?,
            of(&Table::path(directory))?,
            of(&Index::path(directory))?,
        ]))
    }

    /// Whether no name has come or gone between the two.
    fn has_the_names_of(&self, other: Self) -> bool {
        self.0[0] == other.0[0]
    }

    /// Whether a change of the directory that comes now would show.
    fn is_settled(&self) -> bool {
        let Self([[_, _, changed_ns], ..]) = *self;
        let changed = UNIX_EPOCH + Duration::from_nanos(changed_ns);
        // A time that is still to come is that of a clock which was moved.
        let since = SystemTime::now().duration_since(changed);
        since.is_ok_and(|since| since > TICK)
    }
}

impl Looked {
    /// What the last look has found, where that is what there is now.
    pub(super) fn load(directory: &Path) -> Option<Self> {
        // First: what changes while the file is read is found by the next one.
        let now = When::now(directory)?;
        let bytes = regular::read(&path(directory), LARGEST).ok()?;
        let (body, checksum) = bytes
            .split_last_chunk::<9>()
            .map(|(body, sum)| (body, &sum[..]))?;
        if checksum != sum(body) {
            return None;
        }
        let saved: Saved = serde_json::from_slice(body).ok()?;
        (saved.version == VERSION && saved.when == now).then_some(saved.looked)
    }

    /// Writes down what was found in a directory as it was `when` the look began, unless names have come or gone since
    /// then, or would not show if they did now. Table and index are the caller's, who has their lock.
    pub(super) fn save(self, directory: &Path, when: When, file: &File) -> io::Result<()> {
        match When::now(directory) {
            Some(now) if now.has_the_names_of(when) && now.is_settled() => self.write(now, file),
            Some(_) | None => empty(file),
        }
    }

    fn write(self, when: When, file: &File) -> io::Result<()> {
        let saved = Saved {
            version: VERSION,
            when,
            looked: self,
        };
        let mut bytes = serde_json::to_vec(&saved)?;
        let sum = sum(&bytes);
        bytes.extend_from_slice(&sum);
        file.write_all_at(&bytes, 0)?;
        file.set_len(u64::try_from(bytes.len()).unwrap_or_default())
    }
}

/// What is known of a directory in which a journal is about to be made.
pub(super) struct Before(Option<(Looked, File)>);

impl Before {
    /// Takes what is known out of the file: until [`Self::add`], nothing counts.
    pub(super) fn take(directory: &Path) -> io::Result<Self> {
        let known = Looked::load(directory);
        let Some(known) = known else {
            // What says nothing now says nothing of a later time either.
            return Ok(Self(None));
        };
        let file = open(directory, Missing::Stays)?;
        empty(&file)?;
        Ok(Self(Some((known, file))))
    }

    /// Puts it back, with the run that has a journal now.
    pub(super) fn add(self, directory: &Path, run: &RunId) {
        let Some((mut known, file)) = self.0 else {
            return;
        };
        known.unfinished.push(run.clone());
        if let Some(when) = When::now(directory) {
            // What is not written is looked for.
            let _ = known.write(when, &file);
        }
    }
}

/// What is done where the file is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made.
    Made,
    /// It stays so.
    Stays,
}

/// Opens the file to write in it, at its place: its name neither comes nor goes with what it says.
pub(super) fn open(directory: &Path, missing: Missing) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(missing == Missing::Made)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path(directory))?;
    regular::check(&file.metadata()?)?;
    Ok(file)
}

fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

fn empty(file: &File) -> io::Result<()> {
    file.set_len(0)
}

fn sum(body: &[u8]) -> [u8; 9] {
    let mut bytes = [b'\t'; 9];
    let digits = format!("{:08x}", crc32fast::hash(body));
    bytes[1..].copy_from_slice(digits.as_bytes());
    bytes
}

#[cfg(test)]
mod tests;
