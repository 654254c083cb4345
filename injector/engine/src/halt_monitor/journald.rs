//! The lines that come into the journal of systemd.
//!
//! `journalctl` follows the journal for as long as the probe is asked, in a process of its own: its files have a format that
//! only systemd's own programs read (systemd, `docs/JOURNAL_FILE_FORMAT.md`). It is looked for where root's programs are,
//! never in the caller's PATH, and started as all programs are, without a shell and without any capability; the journal's
//! files are root's.
//!
//! A thread of its own takes what it prints, so that a question waits for nothing and a `journalctl` that hangs or is
//! silent holds up no thread but that one. A question is about the lines that came since the one before; the first takes
//! down what time it is, from which the journal is read. Where `journalctl` has ended the answer is bad, and the next
//! question begins another one, which reads on from the last question.
//!
//! Rejected:
//! - reading the journal's files, of which several are open at once, compressed and rotated: a second reader of a format that
//!   has changed before;
//! - a `journalctl` for each question: it opens every file of the journal each time, which takes longer than a second on hosts
//!   with many of them.

use std::{
    io::{self, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    exec_helper::{ExecHelper, Going, PATH},
    line::{self, Line},
};
use injector_spec::{
    condition::{JournaldProbe, Lines},
    pattern::Pattern,
};

/// The program that reads the journal.
const PROGRAM: &str = "journalctl";

/// How much is read at a time, in bytes.
const CHUNK: usize = 16 << 10;

/// Where `journalctl` is; the error says what to do where it is not.
pub(super) fn find() -> Result<PathBuf, String> {
    let places = PATH
        .split(':')
        .map(|folder| Path::new(folder).join(PROGRAM));
    let mut found = places.filter(|path| is_roots(path));
    found.next().ok_or_else(|| {
        format!(
            "there is no {PROGRAM} of root's on this host, so no journal of systemd; ask for the lines of a log by \
             `file`"
        )
    })
}

/// Whether it is a program that no user but root can have put there.
fn is_roots(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| {
        let mode = about.permissions().mode();
        about.is_file() && about.uid() == 0 && mode & 0o111 != 0 && mode & 0o022 == 0
    })
}

/// The journal of a unit, and what came into it since the last question.
pub(super) struct Journal {
    probe: JournaldProbe,
    /// From when on it is read where it is not read yet: the last question.
    asked: Option<SystemTime>,
    reader: Option<Reader>,
}

struct Reader {
    program: Going,
    found: Arc<Found>,
}

/// The first line that has matched since the last question.
type Found = Mutex<Option<String>>;

impl Journal {
    pub(super) fn of(probe: JournaldProbe) -> Self {
        Self {
            probe,
            asked: None,
            reader: None,
        }
    }

    /// Asks once; waits for nothing but the start of a process.
    pub(super) fn ask(&mut self) -> Result<(), String> {
        let now = SystemTime::now();
        let last = self.asked.replace(now);
        let begun_now = self.reader.is_none();
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(Reader::begin(&self.probe, last.unwrap_or(now))?),
        };
        let found = reader
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ending) = reader.program.ending() {
            self.reader = None;
            let why = || format!("{PROGRAM} does not follow the journal: {ending}");
            return match (self.probe.lines, found) {
                (Lines::Absent, Some(line)) => Err(line::written(&line)),
                (Lines::Present, Some(_)) => Ok(()),
                (Lines::Absent | Lines::Present, None) => Err(why()),
            };
        }
        match (self.probe.lines, found) {
            (Lines::Absent, Some(line)) => Err(line::written(&line)),
            (Lines::Present, Some(_)) | (Lines::Absent, None) => Ok(()),
            // The first question is where the time begins that the next one is about.
            (Lines::Present, None) if begun_now && last.is_none() => Ok(()),
            (Lines::Present, None) => Err(line::MISSING.to_owned()),
        }
    }
}

impl Reader {
    fn begin(probe: &JournaldProbe, since: SystemTime) -> Result<Self, String> {
        let words = words(&find()?, probe, since);
        let begun = ExecHelper::new(&words).start();
        let (program, said) = begun.map_err(|ending| ending.to_string())?;
        let found = Arc::new(Found::default());
        let (posted, pattern) = (Arc::clone(&found), probe.pattern.clone());
        // It ends with the program's output, which ends when the program is killed.
        thread::Builder::new()
            .name("journal".into())
            .spawn(move || listen(said, &pattern, &posted))
            .map_err(|error| {
                format!("no thread could be started that reads the journal: {error}")
            })?;
        Ok(Self { program, found })
    }
}

/// `journalctl` with all that it has to be told: nothing of before the time, all from then on, the lines alone.
fn words(program: &Path, probe: &JournaldProbe, since: SystemTime) -> Vec<String> {
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
    [
        program.display().to_string(),
        "--follow".into(),
        "--no-tail".into(),
        format!("--since=@{}.{:06}", since.as_secs(), since.subsec_micros()),
        "--output=cat".into(),
        "--quiet".into(),
        "--no-pager".into(),
        format!("--unit={}", probe.unit.as_str()),
    ]
    .into()
}

/// Takes lines until there are no more, and keeps the first that matches until it is asked for.
fn listen(mut said: impl Read, pattern: &Pattern, found: &Found) {
    let mut chunk = vec![0; CHUNK];
    let mut rest = Line::default();
    loop {
        let length = match said.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        rest.take(&chunk[..length], &mut |line: &[u8]| {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            if found.is_none() && pattern.is_in(line) {
                *found = Some(line::told(line));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::symlink, time::Duration};

    use super::*;

    fn probe(line: &str) -> JournaldProbe {
        match line.parse() {
            Ok(injector_spec::condition::Question {
                probe: injector_spec::condition::Probe::Journald(probe),
                ..
            }) => *probe,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_told_where_to_begin_and_what_to_print() {
        let probe = probe("journald my-agent absent ERROR");
        let since = UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_042);
        let words = words(Path::new("/usr/bin/journalctl"), &probe, since).join(" ");
        assert_eq!(
            words,
            "/usr/bin/journalctl --follow --no-tail --since=@1700000000.000042 --output=cat --quiet --no-pager \
             --unit=my-agent"
        );
    }

    #[test]
    fn the_first_line_that_matches_is_kept_until_it_is_asked_for() {
        let (said, mut writes) = io::pipe().unwrap();
        let found = Arc::new(Found::default());
        let posted = Arc::clone(&found);
        let pattern = "ERROR|panic".parse().unwrap();
        let listening = thread::spawn(move || listen(said, &pattern, &posted));
        writes
            .write_all(b"fine\nERROR: one\npanic: two\nERR")
            .unwrap();
        drop(writes);
        listening.join().unwrap();
        assert_eq!(found.lock().unwrap().take().as_deref(), Some("ERROR: one"));
        listen(
            &b"OR\nERROR without an end"[..],
            &"ERROR".parse().unwrap(),
            &found,
        );
        assert_eq!(found.lock().unwrap().take(), None);
    }

    #[test]
    fn only_a_program_of_roots_reads_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PROGRAM);
        assert!(!is_roots(&path), "it is not there");
        assert!(!is_roots(folder.path()), "it is a folder");
        fs::write(&path, "").unwrap();
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(!is_roots(&path), "it is no program");
        mode(0o777);
        assert!(!is_roots(&path), "others can change it");
        mode(0o755);
        assert_eq!(is_roots(&path), fs::metadata(&path).unwrap().uid() == 0);
        let link = folder.path().join("link");
        symlink("/proc/self/exe", &link).unwrap();
        assert_eq!(is_roots(&link), is_roots(&std::env::current_exe().unwrap()));
    }
}
