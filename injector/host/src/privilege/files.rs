//! A process that opens no file any more, root's own among them: Landlock (5.13; Documentation/userspace-api/landlock.rst).
//!
//! Without capabilities root is still the owner of root's files. A rule set that names every right of the first version and
//! allows none takes that away for good, from this thread and from what it starts. Changes of mode, owner and length by path
//! are not among these rights, nor are sockets, those with a path included.

use std::io;

/// `struct landlock_ruleset_attr` as all kernels with Landlock take it.
#[repr(C)]
struct Attributes {
    handled_access_fs: u64,
}

/// Every right of the first version: `LANDLOCK_ACCESS_FS_EXECUTE` to `LANDLOCK_ACCESS_FS_MAKE_SYM`.
const ALL: u64 = (1 << 13) - 1;

/// Closes the file system to the calling thread. It must be the only one of its process, and may get no new privileges.
pub(super) fn close_all() -> io::Result<()> {
    let attributes = Attributes {
        handled_access_fs: ALL,
    };
    // SAFETY: the kernel reads as many bytes as are said, and makes a descriptor.
    let rules = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size_of::<Attributes>(),
            0,
        )
    };
    if rules < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both take a descriptor that was just made, and touch no memory.
    let restricted = unsafe {
        let restricted = libc::syscall(libc::SYS_landlock_restrict_self, rules, 0);
        libc::syscall(libc::SYS_close, rules);
        restricted
    };
    match restricted {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules are a thread's, so that one can try on a thread of its own.
    #[test]
    fn no_file_is_opened_any_more() {
        let tried = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            match close_all() {
                Ok(()) => Some(std::fs::read("/proc/self/status").map_err(|error| error.kind())),
                Err(_) => None,
            }
        });
        if let Some(read) = tried.join().unwrap() {
            assert_eq!(read, Err(io::ErrorKind::PermissionDenied));
        }
    }
}
