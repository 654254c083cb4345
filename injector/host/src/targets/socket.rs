//! Reaches the sockets that a target has open: copies of their descriptors, taken through pidfds.
//!
//! A copy is closed again at once. Holding one for a moment has one effect: a target that closes the
//! socket just then sends its FIN when the copy goes, microseconds later.

use std::{fs, os::fd::OwnedFd};

use rustix::{
    net::{AddressFamily, sockopt},
    process::{PidfdGetfdFlags, pidfd_getfd},
};

use super::{pidfd, process::TaskKey};

/// A copy of a target's internet socket.
#[derive(Debug)]
pub struct TargetSocket {
    /// The copy.
    pub fd: OwnedFd,
    /// The socket's cookie: unique while the host is up.
    pub cookie: u64,
}

/// Calls `visit` with the inode of each socket of a process, and with what copies its descriptor: that gives `None`
/// for a socket that is no internet socket. Processes and descriptors that vanish meanwhile are passed over.
pub fn visit(key: TaskKey, mut visit: impl FnMut(u64, &mut dyn FnMut() -> Option<TargetSocket>)) {
    let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", key.tgid)) else {
        return;
    };
    let mut pidfd = None;
    for entry in entries.flatten() {
        let Some(inode) = fs::read_link(entry.path())
            .ok()
            .as_deref()
            .and_then(socket_inode)
        else {
            continue;
        };
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        visit(inode, &mut || {
            if pidfd.is_none() {
                pidfd = pidfd::open(key).ok();
            }
            copy(pidfd.as_ref()?, number)
        });
    }
}

/// The inode in `socket:[123]`.
fn socket_inode(link: &std::path::Path) -> Option<u64> {
    link.to_str()?
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// A copy of a process's descriptor, where it is an internet socket.
pub fn copy(pidfd: &OwnedFd, number: i32) -> Option<TargetSocket> {
    let fd = pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).ok()?;
    let family = sockopt::socket_domain(&fd).ok()?;
    if family != AddressFamily::INET && family != AddressFamily::INET6 {
        return None;
    }
    let cookie = sockopt::socket_cookie(&fd).ok()?;
    Some(TargetSocket { fd, cookie })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_socket_links() {
        assert_eq!(socket_inode("socket:[4711]".as_ref()), Some(4711));
        assert_eq!(socket_inode("pipe:[4711]".as_ref()), None);
        assert_eq!(socket_inode("/tmp/socket:[1]".as_ref()), None);
    }

    #[test]
    fn finds_the_sockets_of_this_process_and_no_stranger() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let cookie = sockopt::socket_cookie(&listener).unwrap();
        let key = TaskKey::of(std::process::id()).unwrap();
        let mut seen = Vec::new();
        visit(key, |_, copy| {
            seen.extend(copy().map(|socket| socket.cookie));
        });
        assert!(seen.contains(&cookie));

        let stranger = TaskKey {
            start_ticks: key.start_ticks + 1,
            ..key
        };
        visit(stranger, |_, copy| {
            assert!(copy().is_none(), "a stranger's socket was taken");
        });
    }
}
