//! The lines that other programs append to a file.
//!
//! A question is about the lines that were completed since the one before. The first question takes down where the
//! file ends, and is right where the file can be read: what was written before the run says nothing about it.
//!
//! A file that was moved away is read to its end, as that is when the new one of its name is seen, which is then read
//! from its beginning; one that was cut is read from its beginning. A new one of another user is not read. Reading has the time of an answer, and a line counts with its first
//! [`line::LONGEST`] bytes, so that no program that writes keeps a probe busy or fills this one's memory.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::OFlags;

use super::line::{self, Line};
use injector_spec::{
    condition::{FileProbe, Lines},
    quantity::duration,
};

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// A file, and how far it was read.
pub(crate) struct Appended {
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
    /// The user that owns it.
    owner: u32,
    read_to: u64,
    line: Line,
}

impl Appended {
    pub(crate) fn to(probe: FileProbe) -> Self {
        Self {
            probe,
            asked: Asked::Never,
        }
    }

    pub(super) fn ask(&mut self, within: Duration) -> Result<(), String> {
        match (self.probe.lines, self.look(within)) {
            (_, Looked::First(answer) | Looked::Nothing(answer @ Err(_))) => answer,
            (Lines::Absent, Looked::Found(line)) => Err(line::written(&line)),
            // What was seen is used up by being seen, whatever comes after it.
            (Lines::Present, Looked::Found(_)) | (Lines::Absent, Looked::Nothing(Ok(()))) => Ok(()),
            (Lines::Present, Looked::Nothing(Ok(()))) => Err(line::MISSING.to_owned()),
        }
    }

    /// Whether a line that matches was completed since the last time; none was at the first.
    pub(crate) fn sees(&mut self, within: Duration) -> Result<bool, String> {
        match self.look(within) {
            Looked::First(answer) | Looked::Nothing(answer) => answer.map(|()| false),
            Looked::Found(_) => Ok(true),
        }
    }

    fn look(&mut self, within: Duration) -> Looked {
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
            return Looked::First(answer);
        };
        let mut found = None;
        let mut look = |line: &[u8]| {
            if found.is_none() && self.probe.pattern.is_in(line) {
                found = Some(line::told(line));
            }
        };
        let read = read_new(path, reader, deadline, &mut look);
        match (found, read) {
            (Some(line), _) => Looked::Found(line),
            (None, Ok(Reading::Whole)) => Looked::Nothing(Ok(())),
            (None, Err(error)) => Looked::Nothing(Err(unreadable(&error))),
            (None, Ok(Reading::Cut)) => {
                let within = duration::format(within);
                Looked::Nothing(Err(format!(
                    "what was written cannot be read within {within}"
                )))
            }
        }
    }
}

/// What one look at a file came to.
enum Looked {
    /// It took down where the file ends, or could not.
    First(Result<(), String>),
    /// A line that matches was completed.
    Found(String),
    /// None was, or not all could be read.
    Nothing(Result<(), String>),
}

/// Whether all that is new was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Whole,
    /// There was no time for the rest.
    Cut,
}

/// Reads what was appended, and what stands in a file that has taken the name meanwhile.
fn read_new(
    path: &Path,
    reader: &mut Option<Reader>,
    deadline: Instant,
    look: &mut impl FnMut(&[u8]),
) -> io::Result<Reading> {
    if let Some(reader) = reader
        && reader.read(deadline, look)? == Reading::Cut
    {
        return Ok(Reading::Cut);
    }
    let now = std::fs::metadata(path)?;
    if reader
        .as_ref()
        .is_some_and(|reader| reader.id == (now.dev(), now.ino()))
    {
        return Ok(Reading::Whole);
    }
    let new = Reader::open(path, SeekFrom::Start(0))?;
    // The owner of a log's folder can put anything in its place, and this process can read anything.
    if reader
        .as_ref()
        .is_some_and(|reader| reader.owner != new.owner)
    {
        return Err(io::Error::other("another user's file has taken its name"));
    }
    reader.insert(new).read(deadline, look)
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
            owner: about.uid(),
            line: Line::default(),
            file,
        })
    }

    /// Reads what is new.
    fn read(&mut self, deadline: Instant, look: &mut impl FnMut(&[u8])) -> io::Result<Reading> {
        if self.file.metadata()?.len() < self.read_to {
            self.read_to = self.file.seek(SeekFrom::Start(0))?;
            self.line = Line::default();
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = match self.file.read(&mut chunk) {
                Ok(0) => return Ok(Reading::Whole),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.read_to += u64::try_from(length).unwrap_or_default();
            self.line.take(&chunk[..length], look);
            if Instant::now() >= deadline {
                return Ok(Reading::Cut);
            }
        }
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("the file cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

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
    fn what_was_seen_is_told_although_the_new_file_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "first\n");
        let mut present = probe(&path, Lines::Present);
        assert_eq!(present.ask(WITHIN), Ok(()));
        append(&path, "beat\n");
        fs::rename(&path, folder.path().join("log.1")).unwrap();
        assert_eq!(present.ask(WITHIN), Ok(()));
        assert!(present.ask(WITHIN).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_file_of_another_user_is_not_read_under_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "first\n");
        let mut absent = probe(&path, Lines::Absent);
        assert_eq!(absent.ask(WITHIN), Ok(()));
        let Asked::Before(Some(reader)) = &mut absent.asked else {
            panic!("it was asked");
        };
        // As if the first had been another user's.
        reader.owner += 1;
        let secret = folder.path().join("secret");
        append(&secret, "ERROR: a secret\n");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        let why = absent.ask(WITHIN).unwrap_err();
        assert!(why.contains("another user's file"), "{why}");
    }

    #[test]
    fn what_would_keep_a_reader_waiting_is_refused() {
        let mut device = probe(Path::new("/dev/zero"), Lines::Absent);
        assert!(device.ask(WITHIN).unwrap_err().contains("no regular file"));
    }
}
