//! Who is calling, as the kernel tells it.

use std::io;

use rustix::fs::Gid;
use tokio::net::UnixStream;

use injector_engine::worker::{AskedBy, session_uid};
use injector_host::other_end;

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
            supplementary: other_end::supplementary_groups(stream.as_fd())?,
        })
    }

    /// Whether the process was in the group.
    pub(super) fn is_in(&self, group: Gid) -> bool {
        self.gid == group.as_raw() || self.supplementary.contains(&group.as_raw())
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
