//! The socket: where it is, and how one is made to which no caller can connect who may not, even for a moment.
//!
//! The path comes from outside, so what lies there may be anything. Only a socket that refuses connections
//! is taken for a dead daemon's and replaced; a file, a link, a folder or a living socket stays, and the
//! daemon does not start. At its end the daemon removes the file that it made, known by device and inode,
//! and no other that has its name by then.
//!
//! The socket is made in a folder of its own, which no other user can enter, gets its mode there, and its
//! name last: there is no moment in which it is open to others, and none in which a link that another
//! process puts in its way gets its mode.

use std::{
    fs::{self, DirBuilder, FileType, Metadata, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags, chown, renameat_with},
    io::Errno,
};

use super::Access;
use injector_spec::{
    config::{SOCKET_VARIABLE, USUAL_SOCKET},
    error::Refusal,
};

/// How many names are tried for the folder in which the socket is made.
const TRIES: u32 = 16;

/// Why a socket is not made, or not spoken to.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    /// A process listens there.
    #[error("a daemon answers at {} already; use it, stop it, or set {SOCKET_VARIABLE} to another path", .0.display())]
    Answers(PathBuf),
    /// Something that is no socket.
    #[error(
        "{} is {kind} and not the socket of a daemon, and injector replaces nothing else; set {SOCKET_VARIABLE} to \
         another path, or move it away",
        path.display()
    )]
    Occupied {
        /// What the variable says.
        path: PathBuf,
        /// What is there.
        kind: &'static str,
    },
    /// Two daemons started at once, or another process changed the path meanwhile.
    #[error("{} was made or replaced by another process meanwhile; try again", .0.display())]
    Raced(PathBuf),
    /// The kernel said no.
    #[error("the socket {} cannot be made: {error}; set {SOCKET_VARIABLE} to a path that can be", path.display())]
    Unmade {
        /// What the variable says.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

impl From<SocketError> for Refusal {
    fn from(error: SocketError) -> Self {
        Self::usage(error.to_string())
    }
}

/// A socket that takes connections, and the file that is its name.
#[derive(Debug)]
pub struct Bound {
    /// Takes connections; does not block.
    pub listener: UnixListener,
    /// What others connect to.
    pub file: SocketFile,
}

/// The file that a daemon made for its socket.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// One file of this host, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// The file at a path itself, were it a link.
    fn at(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|metadata| Self::of(&metadata))
    }
}

impl SocketFile {
    /// Removes it, unless its name is another file's by now.
    pub fn remove(&self) -> io::Result<()> {
        match Identity::at(&self.path) {
            Ok(there) if there == self.identity => fs::remove_file(&self.path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Makes the daemon's socket, replacing that of a dead daemon. A living one, and anything else that lies
/// there, is a refusal.
pub fn bind(path: &Path, access: Access) -> Result<Bound, Refusal> {
    let dead = dead_socket(path)?;
    Ok(make(path, access, dead)?)
}

/// What is at a path, if it is no socket: for messages.
pub(super) fn foreign(path: &Path) -> Option<SocketError> {
    let kind = fs::metadata(path).ok()?.file_type();
    (!kind.is_socket()).then(|| SocketError::Occupied {
        path: path.to_owned(),
        kind: name(kind),
    })
}

/// The socket at a path on which no process listens; `None` where there is nothing at all.
fn dead_socket(path: &Path) -> Result<Option<Identity>, SocketError> {
    let unmade = |error| SocketError::Unmade {
        path: path.to_owned(),
        error,
    };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(unmade)?,
    };
    let kind = metadata.file_type();
    if !kind.is_socket() {
        return Err(SocketError::Occupied {
            path: path.to_owned(),
            kind: name(kind),
        });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(Some(Identity::of(&metadata)))
        }
        // A process that listens to datagrams listens, too.
        Ok(_) => Err(SocketError::Answers(path.to_owned())),
        Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
            Err(SocketError::Answers(path.to_owned()))
        }
        Err(error) => Err(unmade(error)),
    }
}

fn name(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_file() {
        "a file"
    } else {
        "a device"
    }
}

fn make(path: &Path, access: Access, dead: Option<Identity>) -> Result<Bound, SocketError> {
    let unmade = |error| SocketError::Unmade {
        path: path.to_owned(),
        error,
    };
    let door = access.door();
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(door.directory_mode)
        .create(parent)
        .map_err(unmade)?;
    if path == Path::new(USUAL_SOCKET) {
        // Ours alone, and perhaps made by a daemon that let others in, or did not.
        fs::set_permissions(parent, Permissions::from_mode(door.directory_mode)).map_err(unmade)?;
    }
    let workshop = workshop(parent).map_err(unmade)?;
    let unnamed = workshop.join("s");
    let made = (|| {
        let listener = UnixListener::bind(&unnamed)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
        if door.group.is_some() {
            chown(&unnamed, None, door.group)?;
        }
        fs::set_permissions(&unnamed, Permissions::from_mode(door.mode))?;
        Ok((listener, Identity::at(&unnamed)?))
    })();
    let bound = made.map_err(unmade).and_then(|(listener, identity)| {
        give_name(&unnamed, path, dead)?;
        let path = path.to_owned();
        Ok(Bound {
            listener,
            file: SocketFile { path, identity },
        })
    });
    // What is left in it is our own socket, or the dead one. Nothing depends on either.
    let _ = fs::remove_file(&unnamed);
    let _ = fs::remove_dir(&workshop);
    bound
}

/// A folder that only we can enter. One of that name which is there already is not ours.
fn workshop(parent: &Path) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let path = parent.join(format!(".inj{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < TRIES => {
                number += 1;
            }
            made => return made.map(|()| path),
        }
    }
}

/// Moves the socket to its path, and the dead one into its place; what came there meanwhile stays there.
fn give_name(unnamed: &Path, path: &Path, dead: Option<Identity>) -> Result<(), SocketError> {
    let raced = || SocketError::Raced(path.to_owned());
    let swap = |flags| renameat_with(CWD, unnamed, CWD, path, flags);
    let moved = match dead {
        None => swap(RenameFlags::NOREPLACE),
        Some(dead) => match swap(RenameFlags::EXCHANGE) {
            Ok(()) if Identity::at(unnamed).is_ok_and(|there| there == dead) => Ok(()),
            Ok(()) => {
                // Not what we looked at: it gets its name back.
                let _ = swap(RenameFlags::EXCHANGE);
                return Err(raced());
            }
            // Another process removed it meanwhile, as `injector sweep` does.
            Err(Errno::NOENT) => swap(RenameFlags::NOREPLACE),
            Err(errno) => Err(errno),
        },
    };
    moved.map_err(|errno| match errno {
        Errno::EXIST => raced(),
        errno => SocketError::Unmade {
            path: path.to_owned(),
            error: errno.into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixDatagram};

    use super::*;

    fn refused(path: &Path) -> String {
        bind(path, Access::default()).unwrap_err().message
    }

    #[test]
    fn only_a_dead_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "mine").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        rustix::fs::mknodat(
            CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let _datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
        for (name, kind) in [
            ("file", "a file"),
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("folder", "a folder"),
            ("pipe", "a pipe"),
            ("datagrams", "answers"),
        ] {
            let before = Identity::at(&at(name)).unwrap();
            let message = refused(&at(name));
            assert!(message.contains(kind), "{name}: {message}");
            assert_eq!(Identity::at(&at(name)).unwrap(), before, "{name}");
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"mine");
        drop(UnixListener::bind(at("dead")).unwrap());
        let dead = Identity::at(&at("dead")).unwrap();
        let bound = bind(&at("dead"), Access::default()).unwrap();
        assert_ne!(Identity::at(&at("dead")).unwrap(), dead);
        assert!(refused(&at("dead")).contains("answers"));
        bound.file.remove().unwrap();
        // Nothing else came or went.
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["dangling", "datagrams", "file", "folder", "link", "pipe"]
        );
    }

    #[test]
    fn only_the_socket_that_was_made_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let bound = bind(&path, Access::default()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        bound.file.remove().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
        fs::remove_file(&path).unwrap();
        bound.file.remove().unwrap();
    }

    /// What came to the place after the look at it is not replaced.
    #[test]
    fn a_race_has_no_victim() {
        let folder = tempfile::tempdir().unwrap();
        let (new, path) = (folder.path().join("new"), folder.path().join("s"));
        let _listener = UnixListener::bind(&new).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        let seen = Identity::at(&new).unwrap();
        for dead in [None, Some(seen)] {
            let error = give_name(&new, &path, dead).unwrap_err();
            assert!(matches!(error, SocketError::Raced(_)), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
        }
    }
}
