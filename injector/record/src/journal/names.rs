//! The names of a directory's journals, without a question to the kernel for each of them.
//!
//! A start, `injector list` and `injector lessons` look at every name and at few journals. getdents(2) tells name and
//! inode at some 0.5 µs each; lstat(2) takes another 3 µs, and a path as a text of its own as much as the name. So
//! names are numbers here.

use std::{
    ffi::CStr,
    io,
    mem::MaybeUninit,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};

use super::RunId;

/// Bytes that the kernel fills at a time.
const BUFFER: usize = 256 << 10;

/// Hexadecimal digits behind the `r` of a run's name.
const DIGITS: usize = 12;

/// A journal's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// The run's name as a number, which sorts by start.
    pub(super) run: u64,
    /// The inode behind it.
    pub(super) inode: u64,
}

impl Name {
    pub(super) fn run(self) -> RunId {
        RunId::of_number(self.run)
    }

    /// The second of its start, since 1970: the digits behind it are drawn.
    pub(super) const fn second(self) -> u64 {
        self.run >> 16
    }

    fn of(file: &CStr, inode: u64) -> Option<Self> {
        let digits = file
            .to_bytes()
            .strip_suffix(b".jsonl")?
            .strip_prefix(b"r")?;
        if digits.len() != DIGITS {
            return None;
        }
        let run = digits.iter().try_fold(0, |number, digit| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            Some(number << 4 | u64::from(value))
        })?;
        Some(Self { run, inode })
    }
}

/// The journal of a run.
pub fn file(directory: &Path, run: &RunId) -> PathBuf {
    directory.join(format!("{run}.jsonl"))
}

/// The journals of a directory, by the names of their runs. A directory that does not exist has none.
pub fn files(directory: &Path) -> io::Result<Vec<(PathBuf, RunId)>> {
    let runs = names(directory)?.into_iter().map(Name::run);
    Ok(runs.map(|run| (file(directory, &run), run)).collect())
}

/// The journals of a directory, the oldest run first. A directory that does not exist has none.
pub(super) fn names(directory: &Path) -> io::Result<Vec<Name>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = match openat(CWD, directory, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut buffer: Vec<MaybeUninit<u8>> = vec![MaybeUninit::uninit(); BUFFER];
    let mut entries = RawDir::new(&opened, &mut buffer);
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        found.extend(Name::of(entry.file_name(), entry.ino()));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;

    #[test]
    fn each_journal_is_found_once_with_its_inode() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(names(&folder.path().join("none")).unwrap(), []);
        for file in [
            "r000000010002.jsonl",
            "r000000010001.jsonl",
            "r00000001000g.jsonl",
            "r00000001000A.jsonl",
            "r0000000100010.jsonl",
            "x000000010001.jsonl",
            "r000000010003.json",
            "ended.index",
            ".r000000010004.7.new",
        ] {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        let found = names(folder.path()).unwrap();
        let runs: Vec<String> = found.iter().map(|name| name.run().to_string()).collect();
        assert_eq!(runs, ["r000000010001", "r000000010002"]);
        for name in found {
            let path = folder.path().join(format!("{}.jsonl", name.run()));
            assert_eq!(fs::metadata(path).unwrap().ino(), name.inode);
        }
    }
}
