//! The process at the other end of a connection: whether it is gone, and how to notice its end.
//!
//! A client may close its half when it has asked, as `socat` and `nc` do, and waits for the answer then. So
//! the end of what it sends is not its end, and hyper is told to go on. What tells the two apart is the
//! socket itself: the kernel reports a hang-up when the other end is closed in both directions
//! (`unix_poll` in `net/unix/af_unix.c`), which a descriptor of its own waits for here.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::Arc,
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::UnixStream,
};

/// The longest list of supplementary groups that the kernel keeps (`NGROUPS_MAX`).
const MOST_GROUPS: usize = 65_536;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct OtherEnd(Arc<AsyncFd<OwnedFd>>);

impl OtherEnd {
    /// That of this connection.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let copy = stream.as_fd().try_clone_to_owned()?;
        // A hang-up is reported with whatever else is waited for.
        // SAFETY: the descriptor is the `OwnedFd` that is moved in: it stays open and the same until the
        // `AsyncFd` is dropped.
        let copy = unsafe { AsyncFd::register_with_interest(copy, Interest::WRITABLE) };
        // The error carries the descriptor; what the kernel said is enough.
        copy.map(|copy| Self(Arc::new(copy)))
            .map_err(io::Error::from)
    }

    /// Returns when the other end is closed in both directions.
    pub async fn gone(&self) {
        while let Ok(mut ready) = self.0.writable().await {
            if ready.ready().is_write_closed() {
                return;
            }
            ready.clear_ready();
        }
    }

    /// The process that connected, as a descriptor that is ready when the process has ended.
    ///
    /// `SO_PEERPIDFD` (Linux 6.5) cannot mean another process. Before it, the id that the kernel noted at
    /// connect(2) is looked up; the process waits for an answer, so it is there.
    pub fn process(&self, pid: u32) -> io::Result<OwnedFd> {
        let mut descriptor: libc::c_int = -1;
        let mut length = libc::socklen_t::try_from(size_of_val(&descriptor)).unwrap_or(0);
        // SAFETY: the kernel writes at most `length` bytes, which is the size of `descriptor`.
        let outcome = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERPIDFD,
                (&raw mut descriptor).cast(),
                &raw mut length,
            )
        };
        if outcome == 0 {
            // SAFETY: the kernel has just made this descriptor for us, and no other code knows it.
            return Ok(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ENOPROTOOPT) {
            return Err(error);
        }
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        Ok(pidfd_open(pid, PidfdFlags::empty())?)
    }
}

/// `SO_PEERGROUPS` (Linux 4.13), which rustix and tokio do not have. `SO_PEERCRED` tells the first group
/// only, and people are put into groups as a further one.
pub fn supplementary_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 64];
    loop {
        let bytes = size_of::<u32>() * groups.len();
        let mut length = libc::socklen_t::try_from(bytes).unwrap_or(0);
        // SAFETY: the kernel writes at most `length` bytes, which is what `groups` has, and sets `length`.
        let outcome = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<u32>();
        if outcome == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // The list is longer than the buffer, and the kernel has said how long (`sk_getsockopt` in
        // net/core/sock.c).
        if error.raw_os_error() != Some(libc::ERANGE)
            || count <= groups.len()
            || count > MOST_GROUPS
        {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// Returns when the process behind a pidfd has ended; at once where it cannot be watched.
pub async fn ended(process: OwnedFd) {
    // SAFETY: the descriptor is the `OwnedFd` that is moved in: it stays open and the same until the `AsyncFd` is
    // dropped.
    let process = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
    if let Ok(process) = process {
        let _ = process.readable().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{io::AsyncWriteExt, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_half_that_is_closed_is_no_end() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let end = OtherEnd::of(&ours).unwrap();
        let within = |milliseconds| timeout(Duration::from_millis(milliseconds), end.gone());
        theirs.shutdown().await.unwrap();
        assert!(within(100).await.is_err(), "it still reads");
        drop(theirs);
        within(5_000).await.expect("it is gone");
        // And stays so.
        within(5_000).await.expect("it is gone");
    }

    #[tokio::test]
    async fn the_process_is_ours_here() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let end = OtherEnd::of(&ours).unwrap();
        let process = end.process(std::process::id()).unwrap();
        let info = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
        let info = std::fs::read_to_string(info).unwrap();
        let pid = format!("Pid:\t{}\n", std::process::id());
        assert!(info.contains(&pid), "{info}");
    }
}
