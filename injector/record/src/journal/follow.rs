//! A journal while it is written: the records that came since the last look.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::{Stamped, line, seen};
use crate::regular::{self, Access};

/// What is read at a time at most, in bytes; the rest comes with the next look.
const CHUNK: u64 = 4 << 20;

/// A journal, read up to some place.
#[derive(Debug)]
pub struct Follower {
    file: File,
    read: u64,
    /// A line that is not whole yet.
    rest: Vec<u8>,
}

/// Whether a process holds a run's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The run goes on.
    Yes,
    /// It is over, or broke off.
    No,
}

impl Follower {
    /// Begins at the journal's first line.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: regular::open(path, Access::Read)?,
            read: 0,
            rest: Vec::new(),
        })
    }

    /// The records that came since the last time, and whether the run goes on: what it has written before its end is
    /// among them then. A line that cannot be trusted is left out.
    pub fn look(&mut self) -> io::Result<(Vec<Stamped>, Held)> {
        // The lock first: a run that ends in between has written its end by the time we read.
        let held = if seen::is_locked(&self.file)? {
            Held::Yes
        } else {
            Held::No
        };
        self.file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        (&self.file).take(CHUNK).read_to_end(&mut bytes)?;
        self.read += u64::try_from(bytes.len()).unwrap_or(0);
        self.rest.append(&mut bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok((Vec::new(), held));
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let lines = whole.split(|byte| *byte == b'\n');
        let records = lines.filter_map(|line| line::decode(line).ok()).collect();
        Ok((records, held))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::journal::Record;

    fn line(seq: u64) -> Vec<u8> {
        let stamped = Stamped {
            seq,
            boot_ns: seq,
            unix_ms: seq,
            record: Record::Armed,
        };
        line::encode(&stamped).unwrap()
    }

    #[test]
    fn each_record_is_told_once_and_a_half_one_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut file = File::create(&path).unwrap();
        let mut follower = Follower::open(&path).unwrap();
        let seen = |follower: &mut Follower| {
            let (records, held) = follower.look().unwrap();
            assert_eq!(held, Held::No);
            records
                .iter()
                .map(|stamped| stamped.seq)
                .collect::<Vec<_>>()
        };
        assert!(seen(&mut follower).is_empty());
        file.write_all(&line(0)).unwrap();
        let second = line(1);
        file.write_all(&second[..9]).unwrap();
        assert_eq!(seen(&mut follower), [0]);
        file.write_all(&second[9..]).unwrap();
        file.write_all(b"damaged\n").unwrap();
        file.write_all(&line(2)).unwrap();
        assert_eq!(seen(&mut follower), [1, 2]);
        assert!(seen(&mut follower).is_empty());
    }
}
