//! The lines that other programs append to a file.
//!
//! A question is about the lines that were completed since the one before. The first question takes down where the
//! file ends, and is right where the file can be read: what was written before the run says nothing about it.
//!
//! A file that was moved away is read to its end before the new one of its name is read from its beginning; one that
//! was cut is read from its beginning. Reading has the time of an answer, and a line counts with its first
//! [`LONGEST_LINE`] bytes, so that no program that writes keeps a probe busy or fills this one's memory.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::OFlags;

use injector_spec::{
    condition::{FileProbe, Lines},
    printable,
    quantity::duration,
};

/// What of a line is looked at, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// How much of a line is told, in characters.
const TOLD: usize = 120;

/// A file, and how far it was read.
pub(super) struct Appended {
    probe: FileProbe,
    asked: Asked,
}

enum Asked {
    Never,
    Before(Option<Reader>),
}

struct Reader {
    file: File,
    /// Which file it is: its device and its inode.
    id: (u64, u64),
    read_to: u64,
    line: Line,
}

/// The beginning of a line that has no end yet.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
}

impl Appended {
    pub(super) fn to(probe: FileProbe) -> Self {
        Self {
            probe,
            asked: Asked::Never,
        }
    }

    pub(super) fn ask(&mut self, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + within;
        let path = &self.probe.path;
        let Asked::Before(reader) = &mut self.asked else {
            // One that is not there yet is read from its beginning when it is.
            let end = Reader::open(path, SeekFrom::End(0));
            let (reader, answer) = match end {
                Ok(reader) => (Some(reader), Ok(())),
                Err(error) => (None, Err(unreadable(&error))),
            };
            self.asked = Asked::Before(reader);
            return answer;
        };
        let mut found = None;
        let mut look = |line: &[u8]| {
            if found.is_none() && self.probe.pattern.is_in(line) {
                found = Some(told(line));
            }
        };
        let mut is_whole = true;
        if let Some(reader) = reader {
            is_whole = reader
                .read(deadline, &mut look)
                .map_err(|error| unreadable(&error))?;
        }
        if is_whole {
            let now = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
            let is_same = |reader: &Reader| reader.id == (now.dev(), now.ino());
            if !reader.as_ref().is_some_and(is_same) {
                let new =
                    Reader::open(path, SeekFrom::Start(0)).map_err(|error| unreadable(&error))?;
                is_whole = reader
                    .insert(new)
                    .read(deadline, &mut look)
                    .map_err(|error| unreadable(&error))?;
            }
        }
        match (self.probe.lines, found) {
            (Lines::Absent, Some(line)) => {
                Err(format!("a line was written that matches: `{line}`"))
            }
            (_, None) if !is_whole => {
                let within = duration::format(within);
                Err(format!("what was written cannot be read within {within}"))
            }
            (Lines::Present, Some(_)) | (Lines::Absent, None) => Ok(()),
            (Lines::Present, None) => {
                Err("no line was written that matches since the last question".to_owned())
            }
        }
    }
}

impl Reader {
    /// Opens a regular file; a FIFO or a device would keep its reader waiting.
    fn open(path: &Path, from: SeekFrom) -> io::Result<Self> {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Self {
            read_to: file.seek(from)?,
            id: (about.dev(), about.ino()),
            line: Line::default(),
            file,
        })
    }

    /// Reads what is new, and whether that was all.
    fn read(&mut self, deadline: Instant, look: &mut impl FnMut(&[u8])) -> io::Result<bool> {
        if self.file.metadata()?.len() < self.read_to {
            self.read_to = self.file.seek(SeekFrom::Start(0))?;
            self.line = Line::default();
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = match self.file.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.read_to += u64::try_from(length).unwrap_or_default();
            self.line.take(&chunk[..length], look);
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }
}

impl Line {
    /// Takes bytes, and shows each line that they complete.
    fn take(&mut self, bytes: &[u8], look: &mut impl FnMut(&[u8])) {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = LONGEST_LINE - self.bytes.len();
            self.bytes.extend(&part[..part.len().min(room)]);
            if parts.peek().is_some() {
                look(&self.bytes);
                self.bytes.clear();
            }
        }
    }
}

fn told(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let start: String = text.trim().chars().take(TOLD).collect();
    printable::line(&start).into_owned()
}

fn unreadable(error: &io::Error) -> String {
    format!("the file cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use proptest::prelude::*;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(5);

    fn probe(path: &Path, lines: Lines) -> Appended {
        Appended::to(FileProbe {
            path: path.to_owned(),
            pattern: "ERROR|beat".parse().unwrap(),
            lines,
        })
    }

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_question_is_about_what_was_written_since_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "ERROR of yesterday\n");
        let mut absent = probe(&path, Lines::Absent);
        let mut present = probe(&path, Lines::Present);
        assert_eq!((absent.ask(WITHIN), present.ask(WITHIN)), (Ok(()), Ok(())));
        assert_eq!(absent.ask(WITHIN), Ok(()));
        assert!(present.ask(WITHIN).is_err(), "nothing was written");
        append(&path, "fine\nERR");
        assert_eq!(absent.ask(WITHIN), Ok(()), "the line has no end yet");
        append(&path, "OR: it broke\n");
        let why = absent.ask(WITHIN).unwrap_err();
        assert!(why.contains("`ERROR: it broke`"), "{why}");
        assert_eq!(present.ask(WITHIN), Ok(()));
        assert_eq!(absent.ask(WITHIN), Ok(()), "it is told once");
    }

    #[test]
    fn a_file_that_is_moved_or_cut_is_read_on() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        append(&path, "a long first line\n");
        let mut absent = probe(&path, Lines::Absent);
        assert_eq!(absent.ask(WITHIN), Ok(()));
        fs::rename(&path, &old).unwrap();
        append(&old, "ERROR in the old one\n");
        append(&path, "new\n");
        assert!(absent.ask(WITHIN).unwrap_err().contains("in the old one"));
        append(&path, "ERROR in the new one\n");
        assert!(absent.ask(WITHIN).unwrap_err().contains("in the new one"));
        fs::write(&path, "ERROR\n").unwrap();
        assert!(absent.ask(WITHIN).is_err(), "it was cut");
        fs::remove_file(&path).unwrap();
        assert!(absent.ask(WITHIN).unwrap_err().contains("cannot be read"));
        append(&path, "ERROR again\n");
        assert!(absent.ask(WITHIN).unwrap_err().contains("ERROR again"));
    }

    #[test]
    fn what_would_keep_a_reader_waiting_is_refused() {
        let mut device = probe(Path::new("/dev/zero"), Lines::Absent);
        assert!(device.ask(WITHIN).unwrap_err().contains("no regular file"));
    }

    proptest! {
        /// However a text is cut into reads, the lines are the same.
        #[test]
        fn lines_do_not_hang_on_reads(text in "[ab\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut lines = Vec::new();
            let mut line = Line::default();
            for pair in cuts.windows(2) {
                line.take(&text.as_bytes()[pair[0]..pair[1]], &mut |line: &[u8]| lines.push(line.to_vec()));
            }
            let mut expected: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b'\n').collect();
            expected.pop();
            prop_assert_eq!(lines, expected);
        }
    }
}
