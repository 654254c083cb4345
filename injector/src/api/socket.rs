//! The socket: where it is, and how one is made that nobody else can connect to, even for a moment.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

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
pub fn bind(path: &Path) -> Result<UnixListener, Refusal> {
    if UnixStream::connect(path).is_ok() {
        return Err(Refusal::usage(format!(
            "a daemon answers at {} already; use it, stop it, or set {VARIABLE} to another path",
            path.display()
        )));
    }
    make(path).map_err(|error| {
        Refusal::usage(format!(
            "the socket {} cannot be made: {error}; set {VARIABLE} to a path that can be",
            path.display()
        ))
    })
}

fn make(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let mut unnamed = path.as_os_str().to_owned();
    unnamed.push(format!(".{}.new", std::process::id()));
    let unnamed = PathBuf::from(unnamed);
    // Of an earlier process with our id that died here; mostly there is none.
    let _ = fs::remove_file(&unnamed);
    let listener = UnixListener::bind(&unnamed)?;
    fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
    fs::rename(&unnamed, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
