//! What a start, `injector list` and `injector lessons` need to know of runs that are over, in rows of one length.
//!
//! `ended.table` stands beside `ended.index` and is made with it: a row has the run, the journal that it was made from
//! (inode, size, time of change), the time of its last record, its verdict, two digests of what was asked, where the
//! run's row stands in the index, and a CRC-32. A hundred thousand of them are 8 MB, where the index has 200 MB: that
//! was read whole by each start.
//!
//! A row counts while its checksum fits and the journal's name leads to its inode, which the directory tells without a
//! look at the file; where a row's content is shown, size and time of change have to agree, too. What the table does
//! not know is read from the journal, so it may be missing, torn or damaged, and is then written anew. One of a later
//! version is left as it is: nothing is read from it, nothing is added, and `injector lessons` names it.
//!
//! Rejected: SQLite. It would be a second place of what journals say, with locks that a run waits for or does
//! without, and repairs of its own. Rejected, too: rows of text, whose numbers have to be parsed by each start.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{RunId, index::Stamp, names::Name};
use crate::{measure::Verdict, regular};
use injector_spec::experiment::Fingerprint;

/// The file's name, which is no run's.
const NAME: &str = "ended.table";

/// What the file begins with.
const MAGIC: [u8; 8] = *b"inj-runs";

/// Counted up where rows change, or what a [`Fingerprint`] covers.
const VERSION: u32 = 1;

/// Bytes in front of the rows: magic, version, length of a row.
const HEAD: usize = 16;

/// Bytes of a row.
const LENGTH: usize = 80;

/// More bytes than three million rows have.
const LARGEST: u64 = 256 << 20;

/// What a run said of its hypothesis, in one byte of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It was not judged.
    None,
    Held,
    Deviated,
    Halted,
    Inconclusive,
    Unsafe,
}

impl Word {
    pub(crate) fn of(verdict: Option<&Verdict>) -> Self {
        match verdict {
            None => Self::None,
            Some(Verdict::Held) => Self::Held,
            Some(Verdict::Deviated(_)) => Self::Deviated,
            Some(Verdict::Halted(_)) => Self::Halted,
            Some(Verdict::Inconclusive(_)) => Self::Inconclusive,
            Some(Verdict::Unsafe(_)) => Self::Unsafe,
        }
    }

    const ALL: [Self; 6] = [
        Self::None,
        Self::Held,
        Self::Deviated,
        Self::Halted,
        Self::Inconclusive,
        Self::Unsafe,
    ];

    fn number(self) -> u32 {
        let place = Self::ALL.iter().position(|word| *word == self);
        place
            .and_then(|place| u32::try_from(place).ok())
            .unwrap_or_default()
    }

    fn of_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// What was asked, by its digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Of its name and its content: runs with the same are runs of one experiment.
    pub(crate) key: Fingerprint,
    /// Of its content.
    pub(crate) content: Fingerprint,
}

/// Where a run's row stands in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) length: u32,
}

/// One run that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) run: u64,
    pub(super) stamp: Stamp,
    pub(super) last_unix_ms: u64,
    pub(super) word: Word,
    /// Absent where the journal does not say what was asked.
    pub(super) asked: Option<Asked>,
    pub(super) place: Place,
}

/// In what state the table was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It can be added to.
    Whole,
    /// It has to be written anew: it is missing, torn or damaged.
    Broken,
    /// A later version of this program has made it.
    Newer(u32),
}

/// The table, as it was read.
#[derive(Debug)]
pub(super) struct Table {
    /// By run; of several rows of one run, the newest.
    rows: Vec<Row>,
    /// Rows that say nothing any more.
    idle: usize,
    condition: Condition,
}

impl Table {
    pub(super) fn path(directory: &Path) -> PathBuf {
        directory.join(NAME)
    }

    /// Reads it; what cannot be read is not known.
    pub(super) fn load(directory: &Path) -> Self {
        match regular::read(&Self::path(directory), LARGEST) {
            Ok(bytes) => Self::of(&bytes),
            Err(_) => Self::none(Condition::Broken),
        }
    }

    fn none(condition: Condition) -> Self {
        Self {
            rows: Vec::new(),
            idle: 0,
            condition,
        }
    }

    fn of(bytes: &[u8]) -> Self {
        let Some((head, rows)) = bytes.split_at_checked(HEAD) else {
            return Self::none(Condition::Broken);
        };
        let mut head = Fields(head);
        let (magic, version, length) = (head.take::<8>(), head.u32(), head.u32());
        if magic != MAGIC {
            return Self::none(Condition::Broken);
        }
        if version > VERSION {
            return Self::none(Condition::Newer(version));
        }
        if version != VERSION || usize::try_from(length) != Ok(LENGTH) {
            return Self::none(Condition::Broken);
        }
        let chunks = rows.chunks_exact(LENGTH);
        let is_torn = !chunks.remainder().is_empty();
        let total = chunks.len();
        let mut rows: Vec<Row> = chunks.filter_map(Row::decode).collect();
        let is_damaged = is_torn || rows.len() < total;
        // Stable: the last row of a run is the newest.
        rows.sort_by_key(|row| row.run);
        rows.dedup_by(|later, kept| {
            let is_same = later.run == kept.run;
            if is_same {
                *kept = *later;
            }
            is_same
        });
        Self {
            idle: total - rows.len(),
            rows,
            condition: if is_damaged {
                Condition::Broken
            } else {
                Condition::Whole
            },
        }
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition
    }

    /// What is known of journals, for names that come in order.
    pub(super) fn in_order(&self) -> InOrder<'_> {
        InOrder(&self.rows)
    }

    /// Whether more of it is about nothing than about the runs that are there.
    pub(super) fn is_worn(&self, there: usize) -> bool {
        let gone = self.rows.len().saturating_sub(there);
        self.idle + gone > 64 + self.rows.len() / 2
    }

    /// Adds rows.
    pub(super) fn append(directory: &Path, rows: &[Row]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
            .open(Self::path(directory))?;
        regular::check(&file.metadata()?)?;
        file.write_all(&encode(rows))
    }

    /// A table of these rows.
    pub(super) fn bytes(rows: &[Row]) -> Vec<u8> {
        let length = u32::try_from(LENGTH).unwrap_or_default();
        let head = [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes()].concat();
        [head, encode(rows)].concat()
    }

    /// How far into the index its rows point, in bytes.
    pub(super) fn reaches(&self) -> u64 {
        let ends = self
            .rows
            .iter()
            .map(|row| row.place.at.saturating_add(row.place.length.into()));
        ends.max().unwrap_or_default()
    }
}

/// The rows that are still to come.
pub(super) struct InOrder<'t>(&'t [Row]);

impl<'t> InOrder<'t> {
    /// What is known of the journal behind a name; each name is behind the one before.
    pub(super) fn get(&mut self, name: Name) -> Option<&'t Row> {
        while let [first, rest @ ..] = self.0 {
            if first.run >= name.run {
                let is_it = first.run == name.run && first.stamp.inode == name.inode;
                return is_it.then_some(first);
            }
            self.0 = rest;
        }
        None
    }
}

fn encode(rows: &[Row]) -> Vec<u8> {
    rows.iter().flat_map(Row::encode).collect()
}

/// No digest: that of something is never all zero, but for one in 2^64.
const NOTHING: u64 = 0;

impl Row {
    fn encode(&self) -> Vec<u8> {
        let (key, content) = self.asked.map_or((NOTHING, NOTHING), |asked| {
            (asked.key.bits(), asked.content.bits())
        });
        let changed = i64::try_from(self.stamp.changed_ns).unwrap_or_default();
        let numbers = [
            self.run,
            self.stamp.inode,
            self.stamp.size,
            changed.cast_unsigned(),
            self.last_unix_ms,
            key,
            content,
            self.place.at,
        ];
        let mut bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        bytes.extend(self.place.length.to_le_bytes());
        bytes.extend(self.word.number().to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_at_checked(LENGTH - 4)?;
        if checksum != crc32fast::hash(body).to_le_bytes() {
            return None;
        }
        let mut fields = Fields(body);
        let run = fields.u64();
        let stamp = Stamp {
            inode: fields.u64(),
            size: fields.u64(),
            changed_ns: fields.u64().cast_signed().into(),
        };
        let (last_unix_ms, key, content) = (fields.u64(), fields.u64(), fields.u64());
        let place = Place {
            at: fields.u64(),
            length: fields.u32(),
        };
        Some(Self {
            run,
            stamp,
            last_unix_ms,
            word: Word::of_number(fields.u32())?,
            asked: (key != NOTHING).then(|| Asked {
                key: Fingerprint::of_bits(key),
                content: Fingerprint::of_bits(content),
            }),
            place,
        })
    }

    pub(super) fn name(&self) -> RunId {
        RunId::of_number(self.run)
    }
}

/// Bytes that are taken from the front; what is missing is zero.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((taken, rest)) = self.0.split_first_chunk::<N>() else {
            return [0; N];
        };
        self.0 = rest;
        *taken
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn row(run: u64) -> Row {
        Row {
            run,
            stamp: Stamp {
                inode: run + 1,
                size: 2,
                changed_ns: 1_800_000_000_123_456_789,
            },
            last_unix_ms: 4,
            word: Word::Deviated,
            asked: Some(Asked {
                key: Fingerprint::of_bits(5),
                content: Fingerprint::of_bits(u64::MAX),
            }),
            place: Place { at: 6, length: 7 },
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Table::load(folder.path()).condition(), Condition::Broken);
        let unasked = Row {
            asked: None,
            word: Word::None,
            ..row(3)
        };
        fs::write(Table::path(folder.path()), Table::bytes(&[row(2), row(1)])).unwrap();
        let newer = Row {
            last_unix_ms: 9,
            ..row(1)
        };
        Table::append(folder.path(), &[unasked, newer]).unwrap();
        let table = Table::load(folder.path());
        assert_eq!(table.condition(), Condition::Whole);
        assert_eq!(
            (table.rows.clone(), table.idle),
            (vec![newer, row(2), unasked], 1)
        );
        let name = |run, inode| Name { run, inode };
        let mut known = table.in_order();
        let names = [name(0, 1), name(1, 2), name(2, 9), name(3, 4), name(4, 5)];
        let found = names.map(|name| known.get(name).map(|row| row.run));
        assert_eq!(found, [None, Some(1), None, Some(3), None]);
        assert_eq!(table.in_order().get(name(2, 3)), Some(&row(2)));
        assert_eq!(table.reaches(), 13);
        for word in Word::ALL {
            assert_eq!(Word::of_number(word.number()), Some(word));
        }
        let bytes = fs::read(Table::path(folder.path())).unwrap();
        assert_eq!(bytes.len(), HEAD + 4 * LENGTH);
    }

    #[test]
    fn one_of_a_later_version_is_told_and_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = Table::bytes(&[row(1)]);
        bytes[8] = 2;
        fs::write(Table::path(folder.path()), bytes).unwrap();
        let table = Table::load(folder.path());
        assert_eq!(
            (table.condition(), table.rows.len()),
            (Condition::Newer(2), 0)
        );
    }

    proptest! {
        /// No byte that is changed or lost makes a row that was never written.
        #[test]
        fn damage_is_noticed(at: prop::sample::Index, by in 1u8.., cut in 0usize..100) {
            let rows = [row(1), row(2), row(3)];
            let mut bytes = Table::bytes(&rows);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            let table = Table::of(&bytes);
            prop_assert!(table.condition() != Condition::Whole);
            prop_assert!(table.rows.iter().all(|row| rows.contains(row)));
            bytes[at] ^= by;
            bytes.truncate(bytes.len() - cut);
            let table = Table::of(&bytes);
            prop_assert!(table.rows.iter().all(|row| rows.contains(row)));
            prop_assert_eq!(table.condition() == Condition::Whole, cut == 0 || cut == LENGTH);
        }

        #[test]
        fn reading_is_total(bytes: Vec<u8>) {
            let _ = Table::of(&bytes);
        }
    }
}
