//! What the schedule of the daemon has drawn for a run, and the folder that it draws from.
//!
//! A user who can write into the folder decides what root's schedule does to this host, so that user must be root (or the
//! daemon's own user): the folder and each file are looked at before anything in them is believed.
//!
//! Invariant: the folders above are looked at as well, from `/` down, and no link is followed. Below a folder that was found
//! to be root's, no other user changes what a name means, so what was looked at is what is read. A folder with the sticky
//! bit, as `/tmp`, lets others add names and leaves alone what is root's.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::regular::{self, Access};
use injector_spec::printable;

/// More bytes than any experiment has.
const LARGEST: u64 = 8 << 20;

/// `S_ISVTX` of inode(7): in such a folder only its owner and the owner of a file take the file's name away.
const STICKY: u32 = 0o1000;

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
    /// Its path leads through a link, or back up: what it means may change.
    #[error(
        "the suite {} is not named by its own path, since {} leads elsewhere; name the folder itself{}",
        printable::path(suite),
        printable::path(part),
        in_place(itself.as_deref())
    )]
    Indirect {
        /// As it was named.
        suite: PathBuf,
        /// The part of it that leads elsewhere.
        part: PathBuf,
        /// The folder that it leads to, where there is one.
        itself: Option<PathBuf>,
    },
    /// An experiment that is a link.
    #[error(
        "{} is a link, and what it leads to may be written by others than root; put the file itself there",
        printable::path(.0)
    )]
    Linked(PathBuf),
    /// It has no experiment.
    #[error("the suite {} has no experiment: no file of it ends in .yaml or .yml; put one there", printable::path(.0))]
    Empty(PathBuf),
}

fn in_place(itself: Option<&Path>) -> String {
    itself.map_or_else(String::new, |path| format!(", {}", printable::path(path)))
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
    check_way(folder)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let extension = path.extension().unwrap_or_default();
        if extension != "yaml" && extension != "yml" {
            continue;
        }
        if entry.file_type().map_err(unreadable)?.is_symlink() {
            return Err(SuiteError::Linked(path));
        }
        files.push(path);
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

/// Looks at a folder and all above it, `/` first: each is looked at when no other user can give its name to another.
fn check_way(folder: &Path) -> Result<(), SuiteError> {
    let indirect = |part: &Path| SuiteError::Indirect {
        suite: folder.to_owned(),
        part: part.to_owned(),
        itself: folder.canonicalize().ok(),
    };
    let way: Vec<&Path> = folder.ancestors().collect();
    for part in way.into_iter().rev() {
        // Neither its parent nor a name of its own.
        if part.components().next_back() == Some(Component::ParentDir) {
            return Err(indirect(part));
        }
        let metadata = fs::symlink_metadata(part).map_err(|error| SuiteError::Unreadable {
            path: part.to_owned(),
            error,
        })?;
        if metadata.is_symlink() {
            return Err(indirect(part));
        }
        if part == folder || metadata.mode() & STICKY == 0 {
            check_owner(part, &metadata)?;
        } else if !regular::is_ours(&metadata) {
            return Err(SuiteError::Exposed(part.to_owned()));
        }
    }
    Ok(())
}

fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), SuiteError> {
    if !regular::is_ours_alone(metadata) {
        return Err(SuiteError::Exposed(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

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

    /// A folder with one experiment, below one of this mode.
    fn below(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().join("above");
        let own = above.join("suite");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("a.yaml"), "name: x\n").unwrap();
        fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
        (folder, own)
    }

    #[test]
    fn a_folder_above_that_others_can_write_is_named() {
        for mode in [0o777, 0o775, 0o757] {
            let (_folder, own) = below(mode);
            match suite(&own) {
                Err(SuiteError::Exposed(path)) => assert_eq!(path, own.parent().unwrap()),
                other => panic!("{mode:o}: {other:?}"),
            }
        }
        for mode in [0o755, 0o700, 0o1777] {
            let (_folder, own) = below(mode);
            assert_eq!(suite(&own).unwrap(), [own.join("a.yaml")], "{mode:o}");
        }
    }

    /// Root's own folder is that of no other user, wherever it is.
    #[test]
    fn a_folder_above_that_is_another_users_is_named() {
        let (_folder, own) = below(0o1755);
        let above = own.parent().unwrap();
        // Only root gives a folder away.
        if std::os::unix::fs::chown(above, Some(65_534), None).is_ok() {
            match suite(&own) {
                Err(SuiteError::Exposed(path)) => assert_eq!(path, above),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn no_link_and_no_way_back_leads_to_a_suite() {
        let (folder, own) = below(0o755);
        let folder = folder.path();
        let (link, above) = (folder.join("link"), folder.join("link-above"));
        symlink(&own, &link).unwrap();
        symlink(own.parent().unwrap(), &above).unwrap();
        let through = above.join("suite");
        let back = own.join("../suite");
        for (named, led_by) in [(&link, &link), (&through, &above), (&back, &own.join(".."))] {
            match suite(named) {
                Err(SuiteError::Indirect { part, itself, .. }) => {
                    assert_eq!((&part, itself.as_ref()), (led_by, Some(&own)));
                }
                other => panic!("{}: {other:?}", named.display()),
            }
        }
        let said = suite(&link).unwrap_err().to_string();
        let remedy = format!("name the folder itself, {}", own.display());
        assert!(said.ends_with(&remedy), "{said}");
    }

    #[test]
    fn an_experiment_that_is_a_link_is_named() {
        let (_folder, own) = below(0o755);
        symlink("a.yaml", own.join("b.yaml")).unwrap();
        match suite(&own) {
            Err(SuiteError::Linked(path)) => assert_eq!(path, own.join("b.yaml")),
            other => panic!("{other:?}"),
        }
        fs::rename(own.join("b.yaml"), own.join("b.txt")).unwrap();
        assert_eq!(suite(&own).unwrap(), [own.join("a.yaml")]);
    }
}
