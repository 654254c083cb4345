//! Who is calling, as the kernel tells it.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::fs::Gid;
use tokio::net::UnixStream;

use crate::worker::{AskedBy, session_uid};

/// The longest list of supplementary groups that the kernel keeps (`NGROUPS_MAX`).
const MOST_GROUPS: usize = 65_536;

/// The process at the other end of a connection, as it was when it connected.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) asked_by: AskedBy,
    pub(super) gid: u32,
    pub(super) supplementary: Vec<u32>,
}

impl Caller {
    /// The caller of a connection. An error where the kernel would not say who it is.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        use std::os::fd::AsFd as _;
        let credentials = stream.peer_cred()?;
        // A process that our PID namespace does not show has no id here, and no ancestors to protect.
        let pid = credentials
            .pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or(0);
        Ok(Self {
            asked_by: AskedBy {
                uid: credentials.uid(),
                pid,
                login_uid: session_uid(pid),
            },
            gid: credentials.gid(),
            supplementary: supplementary_groups(stream.as_fd())?,
        })
    }

    /// Whether the process was in the group.
    pub(super) fn is_in(&self, group: Gid) -> bool {
        self.gid == group.as_raw() || self.supplementary.contains(&group.as_raw())
    }
}

/// `SO_PEERGROUPS` (Linux 4.13), which rustix and tokio do not have. `SO_PEERCRED` tells the first group
/// only, and people are put into groups as a further one.
fn supplementary_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_tells_who_calls() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let caller = Caller::of(&ours).unwrap();
        assert_eq!(caller.asked_by.pid, std::process::id());
        assert_eq!(caller.asked_by.uid, rustix::process::geteuid().as_raw());
        let mut expected: Vec<u32> = rustix::process::getgroups()
            .unwrap()
            .into_iter()
            .map(Gid::as_raw)
            .collect();
        let mut told = caller.supplementary.clone();
        expected.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, expected);
    }
}
