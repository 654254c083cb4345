//! Writing a journal: nothing is armed that could not be written down first.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::{
    CWD, FallocateFlags, FlockOperation, RenameFlags, fallocate, flock, renameat_with,
};

use super::{Record, Replay, RunId, Stamped, finish, line, looked::Before};
use crate::clock::boot_ns;
use crate::regular::{self, Access};
use injector_spec::{error::Refusal, quantity::duration::millis};

/// Where journals are kept where nothing else is said.
const DIRECTORY: &str = "/var/lib/injector/runs";

/// The variable that says something else.
const VARIABLE: &str = "INJECTOR_STATE_DIR";

/// Bytes that are set aside when a run begins, so that a disk that fills up later cannot silence it.
const RESERVE: u64 = 256 * 1024;

/// The directory of the journals: `INJECTOR_STATE_DIR`, or `/var/lib/injector/runs`.
pub fn directory() -> PathBuf {
    std::env::var_os(VARIABLE)
        .filter(|path| !path.is_empty())
        .map_or_else(|| DIRECTORY.into(), PathBuf::from)
}

/// Why a journal cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory is missing and cannot be made, or the disk is full or read-only.
    #[error(
        "the journal in {} cannot be written: {error}; injector refuses to arm without a journal, so free \
         some space there, make it writable, or set {VARIABLE} to another directory",
        path.display()
    )]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// Another user could write there, and what a journal says is carried out with all privileges.
    #[error(
        "the journal directory {} can be written by others than its owner, or is not ours; correct it \
         with `chown root` and `chmod 700`, or set {VARIABLE} to another directory",
        .0.display()
    )]
    Exposed(PathBuf),
    /// Two runs drew the same name.
    #[error("the run {0} exists; start again, and it will get another name")]
    Exists(RunId),
    /// A record that is no JSON: a path that is not UTF-8.
    #[error("a record cannot be written as JSON: {0}; rename what it is about to plain UTF-8")]
    Encoding(#[from] serde_json::Error),
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        Self::usage(error.to_string())
    }
}

/// An open journal, locked for as long as this descriptor or a copy of it is open.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    next_seq: u64,
    /// Whether the file ends in the middle of a line, as after a crash or a full disk.
    is_torn: bool,
}

impl Journal {
    /// Begins the journal of a run in [`directory`].
    pub fn create(run: &RunId) -> Result<Self, JournalError> {
        Self::create_in(&directory(), run)
    }

    /// Begins the journal of a run.
    ///
    /// The file is locked before it gets its name: a reader that sees it without a lock sees a dead run.
    pub fn create_in(directory: &Path, run: &RunId) -> Result<Self, JournalError> {
        let path = directory.join(format!("{run}.jsonl"));
        let unnamed = directory.join(format!(".{run}.{}.new", std::process::id()));
        let unwritable = |error: io::Error| JournalError::Unwritable {
            path: path.clone(),
            error,
        };
        make_directory(directory)?;
        let before = Before::take(directory).map_err(unwritable)?;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&unnamed)
            .map_err(unwritable)?;
        let named = lock_and_reserve(&file)
            .and_then(|()| {
                // Not link(2) and unlink(2): one step, and it never replaces another run's file.
                renameat_with(CWD, &unnamed, CWD, &path, RenameFlags::NOREPLACE)?;
                File::open(directory)?.sync_all()
            })
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => JournalError::Exists(run.clone()),
                _ => unwritable(error),
            });
        if let Err(error) = named {
            // Nothing depends on it: a file that stays behind has no run's name and is never read.
            let _ = fs::remove_file(&unnamed);
            return Err(error);
        }
        before.add(directory, run);
        Ok(Self {
            file,
            path,
            next_seq: 0,
            is_torn: false,
        })
    }

    /// Adds a record to a journal that belongs to no run and is open to every process of root's, one line
    /// at a time. Never waits: where another process holds it for long, that is an error.
    pub fn note(path: &Path, record: &Record) -> Result<(), JournalError> {
        let unwritable = |error: io::Error| JournalError::Unwritable {
            path: path.to_owned(),
            error,
        };
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(unwritable)?;
        file.metadata()
            .and_then(|metadata| Ok(regular::check(&metadata)?))
            .map_err(unwritable)?;
        let mut tries = 0;
        while let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            tries += 1;
            if tries > 50 {
                return Err(unwritable(errno.into()));
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let (mut journal, _) = Self::adopt(file.into(), path.to_owned())?;
        journal.append(record)
    }

    /// Opens the journal of a run that is over, to add what came after its end. One process does: the one that asks about
    /// the run.
    ///
    /// Takes no lock, for one that is locked is a run that goes on, to every start that counts them; and makes no file,
    /// for one that was deleted is a run that is forgotten. A line is written in one step at the end of the file.
    pub fn reopen(path: &Path) -> Result<Self, JournalError> {
        let file =
            regular::open(path, Access::Append).map_err(|error| JournalError::Unwritable {
                path: path.to_owned(),
                error: error.into(),
            })?;
        Self::adopt(file.into(), path.to_owned()).map(|(journal, _)| journal)
    }

    /// Goes on with a journal that another process of the same run began, from a copy of its
    /// descriptor, and gives what it says. The numbers go on after the last record that can be read. The name is for
    /// messages: it may be gone.
    pub fn adopt(descriptor: OwnedFd, path: PathBuf) -> Result<(Self, Replay), JournalError> {
        let mut file = File::from(descriptor);
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.read_to_end(&mut bytes));
        read.map_err(|error| JournalError::Unwritable {
            path: path.clone(),
            error,
        })?;
        let is_torn = bytes.last().is_some_and(|last| *last != b'\n');
        let replay = Replay::of(&bytes);
        let journal = Self {
            file,
            path,
            next_seq: replay.next_seq(),
            is_torn,
        };
        Ok((journal, replay))
    }

    /// Writes a record and waits until the disk has it.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.append_made_at(record, boot_ns(), unix_ms())
    }

    /// The same for a record that was made at a time on the boot clock, in nanoseconds, and in milliseconds since 1970.
    pub fn append_made_at(
        &mut self,
        record: &Record,
        boot_ns: u64,
        unix_ms: u64,
    ) -> Result<(), JournalError> {
        let stamped = Stamped {
            seq: self.next_seq,
            boot_ns,
            unix_ms,
            record: record.clone(),
        };
        let mut bytes = if self.is_torn {
            vec![b'\n']
        } else {
            Vec::new()
        };
        bytes.extend(line::encode(&stamped)?);
        // Whatever happens now, the number is spent: a torn line must not have a successor's number.
        self.next_seq += 1;
        let written = self
            .file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data());
        self.is_torn = written.is_err();
        if let Record::Ended { .. } | Record::Aborted { .. } = record {
            // What was set aside has served; that it cannot be given back is no reason to fail.
            let _ = finish(&self.file);
        }
        written.map_err(|error| JournalError::Unwritable {
            path: self.path.clone(),
            error,
        })
    }

    /// The run's name, which is the file's.
    pub fn run(&self) -> &str {
        let stem = self.path.file_stem().and_then(|stem| stem.to_str());
        stem.unwrap_or_default()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Journal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Makes the directory of the journals, or checks that no other user can write to it.
pub fn make_directory(directory: &Path) -> Result<(), JournalError> {
    let unwritable = |error| JournalError::Unwritable {
        path: directory.to_owned(),
        error,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(unwritable)?;
    let metadata = fs::metadata(directory).map_err(unwritable)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(JournalError::Exposed(directory.to_owned()));
    }
    Ok(())
}

fn lock_and_reserve(file: &File) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, RESERVE) {
        // Some file systems cannot set space aside; there the first record finds out.
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The wall clock, in milliseconds since 1970.
pub fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    millis(since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::replay;

    fn run(text: &str) -> RunId {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_appended_is_replayed_and_adopted() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("a/b");
        let run = run("r000000010001");
        let mut journal = Journal::create_in(&state, &run).unwrap();
        journal.append(&Record::Armed).unwrap();
        let copy = journal.as_fd().try_clone_to_owned().unwrap();
        let path = journal.path().to_owned();
        drop(journal);
        // A line torn by a crash of the first writer does not swallow the second one's record.
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"seq\":")
            .unwrap();
        let (mut adopted, _) = Journal::adopt(copy, path.clone()).unwrap();
        adopted
            .append(&Record::Aborted {
                why: "killed".into(),
            })
            .unwrap();
        let replay = replay(&path).unwrap();
        let records: Vec<_> = replay
            .records
            .iter()
            .map(|stamped| stamped.record.clone())
            .collect();
        assert_eq!(
            records,
            [
                Record::Armed,
                Record::Aborted {
                    why: "killed".into()
                }
            ]
        );
        assert_eq!(replay.damaged.len(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&state), mode(&path)), (0o700, 0o600));
        let names: Vec<_> = fs::read_dir(&state)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["r000000010001.jsonl"]);
    }

    #[test]
    fn notes_are_added_whoever_made_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lever.jsonl");
        for by_pid in [1, 2] {
            let record = Record::Resumed { by_uid: 0, by_pid };
            Journal::note(&path, &record).unwrap();
        }
        let replay = replay(&path).unwrap();
        assert_eq!((replay.records.len(), replay.damaged.len()), (2, 0));
        assert_eq!(replay.next_seq(), 2);
    }

    #[test]
    fn what_is_added_after_an_end_leaves_the_run_over_and_the_forgotten_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("runs");
        let run = run("r000000010001");
        let mut journal = Journal::create_in(&state, &run).unwrap();
        let path = journal.path().to_owned();
        let aborted = |why: &str| Record::Aborted { why: why.into() };
        journal.append(&aborted("over")).unwrap();
        drop(journal);
        let mut reopened = Journal::reopen(&path).unwrap();
        reopened.append(&aborted("later")).unwrap();
        // As a start looks whether the run goes on, while the other process has it open.
        let look = File::open(&path).unwrap();
        flock(&look, FlockOperation::NonBlockingLockExclusive).unwrap();
        let replay = replay(&path).unwrap();
        assert_eq!((replay.records.len(), replay.next_seq()), (2, 2));
        fs::remove_file(&path).unwrap();
        reopened.append(&aborted("late")).unwrap();
        assert!(Journal::reopen(&path).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn a_name_is_never_taken_twice() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("runs");
        let run = run("r000000010001");
        drop(Journal::create_in(&state, &run).unwrap());
        assert!(matches!(
            Journal::create_in(&state, &run),
            Err(JournalError::Exists(_))
        ));
    }

    #[test]
    fn an_exposed_or_impossible_directory_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let run = run("r000000010001");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            Journal::create_in(directory.path(), &run),
            Err(JournalError::Exposed(_))
        ));
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Journal::create_in(&file.join("runs"), &run).unwrap_err();
        let refusal = Refusal::from(error);
        assert_eq!(refusal.exit, injector_spec::error::Exit::Usage);
        assert!(
            refusal.message.contains("refuses to arm without a journal"),
            "{}",
            refusal.message
        );
    }
}
