//! Names of errors, as the tests compare them.

use std::io::{Error, ErrorKind};

/// The errno's name; `timeout` where the victim's own patience ended, `eof` at an early end.
pub(crate) fn name(error: &Error) -> String {
    // A read timeout of a socket is EAGAIN; connect_timeout has no errno at all.
    match (error.raw_os_error(), error.kind()) {
        (Some(libc::EAGAIN), _) | (None, ErrorKind::TimedOut) => "timeout".to_owned(),
        (None, ErrorKind::UnexpectedEof) => "eof".to_owned(),
        (None, ErrorKind::InvalidData) => "damaged".to_owned(),
        (Some(errno), _) => errno_name(errno),
        (None, _) => error.to_string(),
    }
}

fn errno_name(errno: i32) -> String {
    let known = match errno {
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::ECONNRESET => "ECONNRESET",
        libc::ECONNABORTED => "ECONNABORTED",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::EPERM => "EPERM",
        libc::EACCES => "EACCES",
        libc::EPIPE => "EPIPE",
        libc::ENOBUFS => "ENOBUFS",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        libc::EIO => "EIO",
        libc::ENOSPC => "ENOSPC",
        libc::EROFS => "EROFS",
        other => return format!("errno {other}"),
    };
    known.to_owned()
}
