//! Files that a path from outside names: regular ones, of limited size, opened without waiting.
//!
//! The person or process that names a path decides what is behind it. That may be a FIFO, whose opening
//! waits for a writer for ever; a device without an end; one that acts as soon as it is opened
//! (/dev/watchdog); or a terabyte. So a path is first opened as a place alone (`O_PATH`, which no driver
//! hears of), looked at, and only then opened as a file, through /proc/self/fd, so that what was looked
//! at is what is read.
//!
//! Rejected: stat(2) and open(2) by name, between which the name may come to mean something else, and
//! `O_NONBLOCK` alone, which still opens devices.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
};

/// Whether a file is root's, or of the user that this process is.
pub(crate) fn is_ours(metadata: &Metadata) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    metadata.uid() == 0 || metadata.uid() == ours
}

/// Whether it is, and no other user can write to it.
pub(crate) fn is_ours_alone(metadata: &Metadata) -> bool {
    is_ours(metadata) && metadata.mode() & 0o022 == 0
}

/// Why a path is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is no regular file.
    #[error("it is {0}, and only regular files are read")]
    Special(Kind),
    /// More than its reader takes.
    #[error("it is larger than {0} bytes, which nothing of this kind is")]
    TooLarge(u64),
    /// The kernel refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What else a path may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A named pipe.
    Fifo,
    /// A directory.
    Directory,
    /// A socket.
    Socket,
    /// A character or block device.
    Device,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Fifo => "a FIFO",
            Self::Directory => "a directory",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io(error) => error,
            OpenError::Special(_) | OpenError::TooLarge(_) => {
                Self::new(io::ErrorKind::InvalidInput, error)
            }
        }
    }
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is read.
    Read,
    /// It is read, and added to at its end.
    Append,
}

/// Opens a file that is there. Follows links, as a person expects it.
pub fn open(path: &Path, access: Access) -> Result<File, OpenError> {
    let place = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)?;
    check(&place.metadata()?)?;
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let mut options = OpenOptions::new();
    options.read(true).append(access == Access::Append);
    Ok(options.custom_flags(libc::O_NONBLOCK).open(again)?)
}

/// Refuses what is no regular file. For files that are made where they are missing.
pub fn check(metadata: &Metadata) -> Result<(), OpenError> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    Err(OpenError::Special(if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_dir() {
        Kind::Directory
    } else if kind.is_socket() {
        Kind::Socket
    } else {
        Kind::Device
    }))
}

/// Reads a file of at most so many bytes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, OpenError> {
    read_from(&open(path, Access::Read)?, most)
}

/// Reads an open file of at most so many bytes, from where it stands.
pub fn read_from(file: &File, most: u64) -> Result<Vec<u8>, OpenError> {
    let length = file.metadata()?.len();
    if length > most {
        return Err(OpenError::TooLarge(most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // It may grow meanwhile.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(OpenError::TooLarge(most));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_nothing_waits() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        for (name, to) in [("zero", "/dev/zero"), ("link", "file"), ("loop", "loop")] {
            std::os::unix::fs::symlink(to, at(name)).unwrap();
        }
        fs::write(at("file"), "12345").unwrap();
        for (name, kind) in [
            ("fifo", Kind::Fifo),
            ("socket", Kind::Socket),
            ("directory", Kind::Directory),
            ("zero", Kind::Device),
        ] {
            for access in [Access::Read, Access::Append] {
                match open(&at(name), access) {
                    Err(OpenError::Special(found)) => assert_eq!(found, kind, "{name}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
        assert_eq!(read(&at("link"), 5).unwrap(), b"12345");
        assert!(matches!(read(&at("file"), 4), Err(OpenError::TooLarge(4))));
        assert!(matches!(read(&at("loop"), 4), Err(OpenError::Io(_))));
        assert!(matches!(read(&at("none"), 4), Err(OpenError::Io(_))));
        let sparse = File::create(at("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert!(matches!(
            read(&at("sparse"), 1 << 20),
            Err(OpenError::TooLarge(_))
        ));
    }
}
