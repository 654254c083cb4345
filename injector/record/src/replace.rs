//! Puts a file under a name whole or not at all, for a path that a person names.
//!
//! The text is written beside the name, handed to the disk, and takes the name in one step. What stands there may be
//! a regular file or nothing: a rename would replace a device (`/dev/null`) for every process of the host, and a link
//! may have been put there by a user who wants another file replaced.
//!
//! Rejected: writing to the name itself, which leaves half a file where the disk is full, and following links.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::regular::{self, Kind, OpenError};

/// Why a file is not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Something else than a regular file is there.
    #[error("it is {0}, and only a regular file is replaced")]
    Special(Kind),
    /// A link is there.
    #[error("it is a symbolic link, and links are not followed")]
    Link,
    /// The path ends in no name.
    #[error("it names no file")]
    NoName,
    /// The kernel refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a file whole, in place of what was there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReplaceError> {
    check(path)?;
    let beside = beside(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)?;
    let written = write(&mut file, bytes).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        // It has no name that a reader would look for; that it stays behind is no second failure.
        let _ = fs::remove_file(&beside);
        return Err(error.into());
    }
    Ok(())
}

fn check(path: &Path) -> Result<(), ReplaceError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if metadata.is_symlink() {
        return Err(ReplaceError::Link);
    }
    match regular::check(&metadata) {
        Err(OpenError::Special(kind)) => Err(ReplaceError::Special(kind)),
        Err(OpenError::TooLarge(_)) | Ok(()) => Ok(()),
        Err(OpenError::Io(error)) => Err(error.into()),
    }
}

/// The name under which it is written: hidden, and of this process alone.
fn beside(path: &Path) -> Result<PathBuf, ReplaceError> {
    let name = path.file_name().ok_or(ReplaceError::NoName)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    Ok(path.with_file_name(hidden))
}

fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        for text in ["one", "two"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        fs::write(at("precious"), "kept").unwrap();
        symlink(at("precious"), at("link")).unwrap();
        assert!(matches!(
            replace(&at("link"), b"x"),
            Err(ReplaceError::Link)
        ));
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "kept");
        let of_kind = |path: &Path| match replace(path, b"x") {
            Err(ReplaceError::Special(kind)) => kind,
            other => panic!("{}: {other:?}", path.display()),
        };
        assert_eq!(of_kind(folder.path()), Kind::Directory);
        assert_eq!(of_kind(Path::new("/dev/null")), Kind::Device);
        let nowhere = replace(&at("no/such/folder"), b"x");
        assert!(matches!(nowhere, Err(ReplaceError::Io(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
