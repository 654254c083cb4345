//! The socket: where it is, and how one is made that nobody can connect to who may not, even for a moment.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::fs::chown;

use super::Access;
use crate::error::Refusal;

/// Where the socket is where nothing else is said.
const PATH: &str = "/run/injector/injector.sock";

/// The variable that says something else.
const VARIABLE: &str = "INJECTOR_SOCKET";

/// The daemon's socket: `INJECTOR_SOCKET`, or `/run/injector/injector.sock`.
pub fn socket_path() -> PathBuf {
    std::env::var_os(VARIABLE)
        .filter(|path| !path.is_empty())
        .map_or_else(|| PATH.into(), PathBuf::from)
}

/// Makes the daemon's socket, replacing that of a dead daemon. A living one is a refusal.
///
/// The socket gets its mode under another name and its own name afterwards, so that there is no moment
/// in which it is open to others.
pub fn bind(path: &Path, access: Access) -> Result<UnixListener, Refusal> {
    if UnixStream::connect(path).is_ok() {
        return Err(Refusal::usage(format!(
            "a daemon answers at {} already; use it, stop it, or set {VARIABLE} to another path",
            path.display()
        )));
    }
    make(path, access).map_err(|error| {
        Refusal::usage(format!(
            "the socket {} cannot be made: {error}; set {VARIABLE} to a path that can be",
            path.display()
        ))
    })
}

fn make(path: &Path, access: Access) -> io::Result<UnixListener> {
    let door = access.door();
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(door.directory_mode)
            .create(directory)?;
        if path == Path::new(PATH) {
            // Ours alone, and perhaps made by a daemon that let others in, or did not.
            fs::set_permissions(directory, Permissions::from_mode(door.directory_mode))?;
        }
    }
    let mut unnamed = path.as_os_str().to_owned();
    unnamed.push(format!(".{}.new", std::process::id()));
    let unnamed = PathBuf::from(unnamed);
    // Of an earlier process with our id that died here; mostly there is none.
    let _ = fs::remove_file(&unnamed);
    let listener = UnixListener::bind(&unnamed)?;
    fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
    if door.group.is_some() {
        chown(&unnamed, None, door.group)?;
    }
    // Last: until here nobody else could connect.
    fs::set_permissions(&unnamed, Permissions::from_mode(door.mode))?;
    fs::rename(&unnamed, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
