//! A person answers for a run: lets it go on that waits at a gate, or takes over what others are asked about.
//!
//! As the kill switch, an approval is a file in the directory of the journals, `RUN.approval`, so that it works without a
//! daemon, a socket or a signal, on runs of the daemon as on those of other processes. The directory belongs to root and
//! no other user can write to it, so only root approves. The command that made the file takes it away when the run has
//! gone on.
//!
//! An acknowledgement is a file of the same kind, `RUN.acknowledgement`, which the process that asks looks for.
//!
//! An approval names the step at which the person has seen the run waiting, and when: one that is left over opens no later gate.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use injector_record::journal::RunId;
use serde::{Serialize, de::DeserializeOwned};

/// A content longer than this is not ours.
const LONGEST: u64 = 64 * 1024;

/// What a person says about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFile {
    /// That it may go on: an [`Approval`](injector_record::gate::Approval).
    Approval,
    /// That they take it over: an [`Acknowledgement`](injector_record::escalation::Acknowledgement).
    Acknowledgement,
}

impl AnswerFile {
    const fn ending(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Acknowledgement => "acknowledgement",
        }
    }
}

/// Where the answer to a run is.
pub fn file(directory: &Path, run: &RunId, which: AnswerFile) -> PathBuf {
    directory.join(format!("{run}.{}", which.ending()))
}

/// Makes the answer; one that is there already is replaced.
pub fn give(
    directory: &Path,
    run: &RunId,
    which: AnswerFile,
    answer: &impl Serialize,
) -> io::Result<()> {
    let text = serde_json::to_vec(answer)?;
    let path = file(directory, run, which);
    // Under another name first: the run reads the whole of it, or none.
    let draft = path.with_extension(format!("{}.{}", which.ending(), std::process::id()));
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
pub fn take_away(directory: &Path, run: &RunId, which: AnswerFile) -> io::Result<()> {
    fs::remove_file(file(directory, run, which))
}

/// The answer to a run, where there is one that can be read.
pub fn read<T: DeserializeOwned>(directory: &Path, run: &RunId, which: AnswerFile) -> Option<T> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file: File = options.open(file(directory, run, which)).ok()?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use injector_record::gate::Approval;

    use super::*;

    const APPROVAL: AnswerFile = AnswerFile::Approval;

    #[test]
    fn an_approval_is_read_whole_and_gone_when_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let run: RunId = "r000000010001".parse().unwrap();
        assert_eq!(read::<Approval>(folder.path(), &run, APPROVAL), None);
        let mut approval = Approval {
            by_uid: 0,
            by_pid: 7,
            login_uid: None,
            boot_ns: 9,
            step: "go".into(),
        };
        for step in ["go", "on"] {
            approval.step = step.into();
            give(folder.path(), &run, APPROVAL, &approval).unwrap();
            assert_eq!(read(folder.path(), &run, APPROVAL), Some(approval.clone()));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        take_away(folder.path(), &run, APPROVAL).unwrap();
        assert_eq!(read::<Approval>(folder.path(), &run, APPROVAL), None);
        for noise in ["", "{}", "approve"] {
            fs::write(file(folder.path(), &run, APPROVAL), noise).unwrap();
            assert_eq!(
                read::<Approval>(folder.path(), &run, APPROVAL),
                None,
                "{noise}"
            );
        }
    }
}
