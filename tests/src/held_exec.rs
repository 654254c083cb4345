//! A program that no process gets to start: each that tries waits in the middle of execve(2), and is still what it
//! was before (fanotify(7), `FAN_OPEN_EXEC_PERM`).

use std::ffi::CString;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Holds who starts a program, until it is dropped. Then all go on that are still there.
#[derive(Debug)]
pub struct HeldExec(OwnedFd);

/// Why no program can be held here.
pub fn lacks() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    HeldExec::of(&program)
        .err()
        .map(|error| format!("this kernel lets no process decide about a start: {error:#}"))
}

impl HeldExec {
    /// Holds the starts of this program.
    pub fn of(program: &Path) -> Result<Self> {
        let path = CString::new(program.as_os_str().as_bytes())?;
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        // SAFETY: the call takes flags alone.
        let group = unsafe { libc::fanotify_init(flags, libc::O_RDONLY.cast_unsigned()) };
        ensure!(group >= 0, std::io::Error::last_os_error());
        // SAFETY: the kernel has just made it, and it has no other owner.
        let group = unsafe { OwnedFd::from_raw_fd(group) };
        // SAFETY: the path ends with a zero byte and outlives the call.
        let marked = unsafe {
            libc::fanotify_mark(
                group.as_raw_fd(),
                libc::FAN_MARK_ADD,
                libc::FAN_OPEN_EXEC_PERM,
                libc::AT_FDCWD,
                path.as_ptr(),
            )
        };
        ensure!(marked == 0, std::io::Error::last_os_error());
        Ok(Self(group))
    }

    /// The process id of the next that waits.
    pub fn next(&self, within: Duration) -> Result<u32> {
        let within = Timespec::try_from(within)?;
        let ready = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&within))?;
        ensure!(ready == 1, "no process started the program");
        let mut event = MaybeUninit::<libc::fanotify_event_metadata>::zeroed();
        let size = size_of::<libc::fanotify_event_metadata>();
        // SAFETY: the buffer is the record's own, and as long as it is said to be.
        let read =
            unsafe { libc::read(self.0.as_fd().as_raw_fd(), event.as_mut_ptr().cast(), size) };
        ensure!(
            usize::try_from(read) == Ok(size),
            std::io::Error::last_os_error()
        );
        // SAFETY: the kernel has filled it, and any bytes are such a record.
        let event = unsafe { event.assume_init() };
        if event.fd >= 0 {
            // SAFETY: the kernel made it for the reader of the event, which is this one.
            drop(unsafe { OwnedFd::from_raw_fd(event.fd) });
        }
        u32::try_from(event.pid).context("no process id")
    }
}
