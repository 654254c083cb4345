//! A person lets a run go on that waits at a gate.
//!
//! As the kill switch, an approval is a file in the directory of the journals, `RUN.approval`, so that it works without a
//! daemon, a socket or a signal, on runs of the daemon as on those of other processes. The directory belongs to root and
//! no other user can write to it, so only root approves. The command that made the file takes it away when the run has
//! gone on.
//!
//! It names the step at which the person has seen the run waiting, and when: one that is left over opens no later gate.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use injector_record::{gate::Approval, journal::RunId};

/// A content longer than this is not ours.
const LONGEST: u64 = 64 * 1024;

/// Where the approval of a run is.
pub fn file(directory: &Path, run: &RunId) -> PathBuf {
    directory.join(format!("{run}.approval"))
}

/// Makes the approval; one that is there already is replaced.
pub fn give(directory: &Path, run: &RunId, approval: &Approval) -> io::Result<()> {
    let text = serde_json::to_vec(approval)?;
    let path = file(directory, run);
    // Under another name first: the run reads the whole of it, or none.
    let draft = path.with_extension(format!("approval.{}", approval.by_pid));
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&draft);
    let written = made.and_then(|mut file| io::Write::write_all(&mut file, &text));
    let given = written.and_then(|()| fs::rename(&draft, &path));
    if given.is_err() {
        let _ = fs::remove_file(&draft);
    }
    given
}

/// Takes it away again.
pub fn take_away(directory: &Path, run: &RunId) -> io::Result<()> {
    fs::remove_file(file(directory, run))
}

/// The approval of a run, where there is one that can be read.
pub fn read(directory: &Path, run: &RunId) -> Option<Approval> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file: File = options.open(file(directory, run)).ok()?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_is_read_whole_and_gone_when_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let run: RunId = "r000000010001".parse().unwrap();
        assert_eq!(read(folder.path(), &run), None);
        let mut approval = Approval {
            by_uid: 0,
            by_pid: 7,
            login_uid: None,
            boot_ns: 9,
            step: "go".into(),
        };
        for step in ["go", "on"] {
            approval.step = step.into();
            give(folder.path(), &run, &approval).unwrap();
            assert_eq!(read(folder.path(), &run).as_ref(), Some(&approval));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        take_away(folder.path(), &run).unwrap();
        assert_eq!(read(folder.path(), &run), None);
        for noise in ["", "{}", "approve"] {
            fs::write(file(folder.path(), &run), noise).unwrap();
            assert_eq!(read(folder.path(), &run), None, "{noise}");
        }
    }
}
