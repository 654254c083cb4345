//! The kill switch: `injector halt` ends everything at once and lets nothing start until `injector resume`.
//!
//! The kill switch is a file, `halt` in the directory of the journals. Its existence is all that counts; what
//! stands in it says who, when and why. Every start looks for it, and every run's watchdog does so each
//! time before it renews the lease (250 ms), so that it works without a daemon, a socket or a signal, on
//! runs of other processes, and by hand: `touch /var/lib/injector/runs/halt`.
//!
//! The directory belongs to root and no other user can write to it (the journals refuse any other), so only
//! root can pull the kill switch or release it. Therefore a file of any owner, any mode and any content
//! halts: whatever went wrong with it, standing still is the safe side. So is a directory that is gone,
//! since a kill switch that cannot be looked for may have been pulled.
//!
//! It stays over a reboot: who halted a host wants to be asked before anything goes on.
//!
//! Rejected: signals (a process that hangs does not take them, and one that starts just now is missed), and
//! a file in /run (a reboot would resume).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, fstat, openat, renameat_with, statat},
    io::Errno,
};

use injector_record::{halt::Halt, journal};
use injector_spec::error::Refusal;

/// The file's name.
const NAME: &str = "halt";

/// The kill switch's own journal: who pulled and released it.
const RECORD: &str = "lever.jsonl";

/// A content longer than this is not ours.
const LONGEST: u64 = 64 * 1024;

/// Why the kill switch cannot be moved or looked at.
#[derive(Debug, thiserror::Error)]
pub enum KillSwitchError {
    /// Not ours to move.
    #[error("the kill switch {} is root's: {error}; use sudo", path.display())]
    NotRoot {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// The disk is full, read-only or broken.
    #[error(
        "the kill switch {} cannot be moved or looked for: {error}; free some space there or make it \
         writable. Runs end with `injector stop --all`, or with `kill` of their process",
        path.display()
    )]
    Stuck {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

impl From<KillSwitchError> for Refusal {
    fn from(error: KillSwitchError) -> Self {
        Self::usage(error.to_string())
    }
}

impl KillSwitchError {
    fn new(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::NotRoot { path, error },
            _ => Self::Stuck { path, error },
        }
    }
}

/// The refusal of a start while the kill switch is pulled.
pub fn refusal(halt: &Halt) -> Refusal {
    Refusal::endangers(format!(
        "injector is {halt}; nothing starts until `injector resume`."
    ))
}

/// Refuses while the kill switch in this directory is pulled.
pub fn check(directory: &Path) -> Result<(), Refusal> {
    match standing(directory) {
        Ok(Some(halt)) => Err(refusal(&halt)),
        // A caller who may not look may not arm either: this is an ordinary user's dry run.
        Ok(None) | Err(KillSwitchError::NotRoot { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Who pulled the kill switch in this directory, if it is pulled.
pub fn standing(directory: &Path) -> Result<Option<Halt>, KillSwitchError> {
    let path = directory.join(NAME);
    let metadata = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(|error| KillSwitchError::new(&path, error))?,
    };
    let told = metadata.is_file().then(|| content(&path)).flatten();
    let by_hand = || Halt {
        by_uid: metadata.uid(),
        by_pid: 0,
        login_uid: None,
        since_unix_ms: u64::try_from(metadata.mtime())
            .unwrap_or_default()
            .saturating_mul(1_000),
        reason: None,
    };
    Ok(Some(told.unwrap_or_else(by_hand)))
}

/// What the file says, where it says something.
fn content(path: &Path) -> Option<Halt> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .ok()?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Pulls the kill switch, durably. Returns who has pulled it: another caller, if that one was first.
///
/// The file is made before anything is written to it: on a disk without space for a line, it still halts.
pub fn pull(directory: &Path, halt: Halt) -> Result<Halt, KillSwitchError> {
    let path = directory.join(NAME);
    let stuck = |error| KillSwitchError::new(&path, error);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(stuck)?;
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let mut file = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Ok(standing(directory)?.unwrap_or(halt));
        }
        file => file.map_err(stuck)?,
    };
    // Who and why are worth having, and not worth a kill switch that is let go.
    let _ = serde_json::to_writer(&file, &halt)
        .map_err(io::Error::from)
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all());
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(stuck)?;
    Ok(halt)
}

/// Releases the kill switch, durably. Returns who had pulled it, if it was pulled.
pub fn release(directory: &Path) -> Result<Option<Halt>, KillSwitchError> {
    let path = directory.join(NAME);
    let stuck = |error| KillSwitchError::new(&path, error);
    let Some(halt) = standing(directory)? else {
        return Ok(None);
    };
    match take_away(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.map_err(stuck)?,
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(stuck)?;
    Ok(Some(halt))
}

/// Removes the kill switch's file. One whose content is not ours keeps it under another name, `halt.NUMBER`: any
/// file halts, and the directory may be one in which a person keeps a file of that name.
fn take_away(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink()
        || metadata.is_file() && (metadata.len() == 0 || content(path).is_some())
    {
        return fs::remove_file(path);
    }
    let aside = path.with_extension(journal::unix_ms().to_string());
    Ok(renameat_with(
        CWD,
        path,
        CWD,
        aside,
        RenameFlags::NOREPLACE,
    )?)
}

/// The kill switch's own journal in a directory of journals.
pub fn journal(directory: &Path) -> PathBuf {
    directory.join(RECORD)
}

/// The kill switch as a run's watchdog looks at it: two cheap system calls on a directory that is open already.
#[derive(Debug)]
pub struct KillSwitch(OwnedFd);

impl KillSwitch {
    /// Opens the directory.
    pub fn watch(directory: &Path) -> Result<Self, KillSwitchError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, directory, flags, Mode::empty())
            .map(Self)
            .map_err(|errno| KillSwitchError::new(&directory.join(NAME), errno.into()))
    }

    /// Whether the kill switch is pulled, or that cannot be told. It does not block on anything but the file
    /// system itself; where that hangs, the lease runs out meanwhile.
    pub fn is_pulled(&self) -> bool {
        match statat(&self.0, NAME, AtFlags::SYMLINK_NOFOLLOW) {
            // A directory without a name finds no file in it, whatever is at its old path now.
            Err(Errno::NOENT) => fstat(&self.0).map_or(true, |stat| stat.st_nlink == 0),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halt(reason: &str) -> Halt {
        Halt {
            by_uid: 7,
            by_pid: 9,
            login_uid: Some(1000),
            since_unix_ms: 1_700_000_000_000,
            reason: Some(reason.to_owned()),
        }
    }

    #[test]
    fn the_first_hand_on_it_counts() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("a/runs");
        assert!(check(&state).is_ok(), "no directory, no kill switch");
        assert_eq!(pull(&state, halt("fire")).unwrap(), halt("fire"));
        assert_eq!(pull(&state, halt("later")).unwrap(), halt("fire"));
        let refused = check(&state).unwrap_err();
        assert_eq!(refused.exit, injector_spec::error::Exit::Unsafe);
        assert!(refused.message.contains("user 7"), "{refused}");
        assert!(refused.message.contains("fire"), "{refused}");
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
        assert_eq!(release(&state).unwrap(), Some(halt("fire")));
        assert_eq!(release(&state).unwrap(), None);
        assert!(check(&state).is_ok());
    }

    #[test]
    fn whatever_is_there_halts() {
        let directory = tempfile::tempdir().unwrap();
        let kill_switch = KillSwitch::watch(directory.path()).unwrap();
        let path = directory.path().join(NAME);
        assert!(!kill_switch.is_pulled());
        for content in ["", "touched by hand", "{\"by_uid\":"] {
            fs::write(&path, content).unwrap();
            assert!(kill_switch.is_pulled());
            let halt = standing(directory.path()).unwrap().unwrap();
            assert_eq!((halt.by_pid, halt.reason), (0, None));
            release(directory.path()).unwrap();
            assert!(!kill_switch.is_pulled());
            // What injector did not write is kept.
            let kept = fs::read_dir(directory.path()).unwrap().find_map(|entry| {
                let path = entry.unwrap().path();
                (path.file_stem()? == NAME).then_some(path)
            });
            assert_eq!(kept.is_some(), !content.is_empty(), "{content}");
            if let Some(kept) = kept {
                assert_eq!(fs::read_to_string(&kept).unwrap(), content);
                fs::remove_file(kept).unwrap();
            }
        }
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        assert!(kill_switch.is_pulled());
        release(directory.path()).unwrap();
        assert!(!kill_switch.is_pulled());
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert!(kill_switch.is_pulled());
        assert!(check(directory.path()).is_err());
        release(directory.path()).unwrap();
        assert!(!kill_switch.is_pulled());
    }

    #[test]
    fn a_directory_that_is_gone_halts_its_runs() {
        let directory = tempfile::tempdir().unwrap();
        let kill_switch = KillSwitch::watch(directory.path()).unwrap();
        assert!(!kill_switch.is_pulled());
        directory.close().unwrap();
        assert!(kill_switch.is_pulled());
    }
}
