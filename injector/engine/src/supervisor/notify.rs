//! Tells systemd how the daemon is, where systemd started it (`sd_notify(3)`): a word in a datagram to the
//! socket that `NOTIFY_SOCKET` names.
//!
//! The supervisor tells, since it is the service's main process. It says "alive" only when it has just
//! heard a heartbeat of its worker, so that systemd's watchdog watches both: a supervisor that hangs says nothing,
//! and one whose worker hangs has nothing to say.
//!
//! Rejected: the `sd-notify` crate, for three words in a datagram.

use std::os::{
    linux::net::SocketAddrExt,
    unix::{
        ffi::OsStrExt,
        net::{SocketAddr, UnixDatagram},
    },
};

/// Something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The socket is there, requests are served.
    Ready,
    /// Supervisor and worker are alive.
    Alive,
    /// The end has begun.
    Stopping,
}

/// The way to systemd.
#[derive(Debug, Default)]
pub(super) struct Notify(Option<UnixDatagram>);

impl Notify {
    /// From the environment; without `NOTIFY_SOCKET`, or where it leads nowhere, systemd is not told.
    pub(super) fn from_environment() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET");
        Self(name.and_then(|name| connect(name.as_bytes())))
    }

    /// Tells. Never waits: systemd's watchdog takes silence for what it is.
    pub(super) fn tell(&self, state: State) {
        if let Some(socket) = &self.0 {
            let word: &[u8] = match state {
                State::Ready => b"READY=1",
                State::Alive => b"WATCHDOG=1",
                State::Stopping => b"STOPPING=1",
            };
            let _ = socket.send(word);
        }
    }
}

fn connect(name: &[u8]) -> Option<UnixDatagram> {
    let address = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)),
        _ => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect_addr(&address.ok()?).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram, name: &[u8]) -> Vec<u8> {
        let notify = Notify(connect(name));
        notify.tell(State::Alive);
        let mut word = [0; 32];
        let length = listener.recv(&mut word).unwrap();
        word[..length].to_vec()
    }

    #[test]
    fn both_kinds_of_socket_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        assert_eq!(heard(&listener, path.as_os_str().as_bytes()), b"WATCHDOG=1");
        let name = format!("injector-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        assert_eq!(
            heard(&listener, format!("@{name}").as_bytes()),
            b"WATCHDOG=1"
        );
    }

    #[test]
    fn nobody_is_told_where_nobody_listens() {
        for name in [&b""[..], b"relative", b"/nowhere/at/all", b"@"] {
            Notify(connect(name)).tell(State::Ready);
        }
    }
}
