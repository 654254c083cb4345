//! What the schedule of the daemon has drawn for a run, and the folder that it draws from.
//!
//! A user who can write into the folder decides what root's schedule does to this host, so that user must be root (or the
//! daemon's own user): the folder and each file are looked at before anything in them is believed.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::regular::{self, Access};
use injector_spec::printable;

/// More bytes than any experiment has.
const LARGEST: u64 = 8 << 20;

/// What was drawn for one run. The seed draws the same of as many again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// What decided on the time, the experiment and the victim.
    pub seed: u64,
    /// The experiment's file in the suite.
    pub file: String,
    /// How many the suite had.
    pub of_files: usize,
    /// The victim, as in `unit web.service`.
    pub victim: String,
    /// How many were opted in.
    pub of_victims: usize,
}

impl fmt::Display for Scheduled {
    /// On one line, with names escaped.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "drawn by the schedule with seed {}: {} of {}, on {} of {}",
            self.seed,
            printable::line(&self.file),
            self.of_files,
            printable::line(&self.victim),
            self.of_victims
        )
    }
}

/// Why a suite, or a file of it, is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// It is not there, or not for us.
    #[error(
        "the suite {} cannot be read: {error}; name a folder that can be",
        printable::path(path)
    )]
    Unreadable {
        /// The folder or the file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// It is no folder.
    #[error("the suite {} is no folder; name the folder that has the experiments", printable::path(.0))]
    NoFolder(PathBuf),
    /// A user other than root decides what is in it.
    #[error(
        "{} can be written by others than root, and the schedule would run what they write; correct it with \
         `chown root:root` and `chmod go-w`",
        printable::path(.0)
    )]
    Exposed(PathBuf),
    /// It has no experiment.
    #[error("the suite {} has no experiment: no file of it ends in .yaml or .yml; put one there", printable::path(.0))]
    Empty(PathBuf),
}

/// The experiments of a suite, by their paths in order.
pub fn suite(folder: &Path) -> Result<Vec<PathBuf>, SuiteError> {
    let unreadable = |error| SuiteError::Unreadable {
        path: folder.to_owned(),
        error,
    };
    let metadata = fs::metadata(folder).map_err(unreadable)?;
    if !metadata.is_dir() {
        return Err(SuiteError::NoFolder(folder.to_owned()));
    }
    check_owner(folder, &metadata)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let extension = path.extension().unwrap_or_default();
        if extension == "yaml" || extension == "yml" {
            files.push(path);
        }
    }
    files.sort_unstable();
    if files.is_empty() {
        return Err(SuiteError::Empty(folder.to_owned()));
    }
    Ok(files)
}

/// The bytes of an experiment of a suite, from one descriptor: what is checked is what is read.
pub fn experiment(path: &Path) -> Result<Vec<u8>, SuiteError> {
    let unreadable = |error| SuiteError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let file = regular::open(path, Access::Read).map_err(|error| unreadable(error.into()))?;
    check_owner(path, &file.metadata().map_err(unreadable)?)?;
    regular::read_from(&file, LARGEST).map_err(|error| unreadable(error.into()))
}

fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), SuiteError> {
    let ours = rustix::process::geteuid().as_raw();
    let is_ours = metadata.uid() == 0 || metadata.uid() == ours;
    if !is_ours || metadata.mode() & 0o022 != 0 {
        return Err(SuiteError::Exposed(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_others_can_write_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let missing = suite(&path.join("none"));
        assert!(matches!(missing, Err(SuiteError::Unreadable { .. })));
        assert!(matches!(suite(path), Err(SuiteError::Empty(_))));
        for name in ["b.yaml", "a.yml", "notes.txt"] {
            fs::write(path.join(name), "name: x\n").unwrap();
        }
        let files = suite(path).unwrap();
        assert_eq!(files, [path.join("a.yml"), path.join("b.yaml")]);
        assert_eq!(experiment(&files[0]).unwrap(), b"name: x\n");
        assert!(matches!(suite(&files[0]), Err(SuiteError::NoFolder(_))));
        for mode in [0o620, 0o602] {
            fs::set_permissions(&files[0], fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(experiment(&files[0]), Err(SuiteError::Exposed(_))));
            fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o100)).unwrap();
            assert!(matches!(suite(path), Err(SuiteError::Exposed(_))));
        }
    }
}
