//! A TCP connection of a target, as filters see it and as people do.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
};

use injector_common::filter::{Packet, bits};
use rustix::net::{getpeername, getsockname, sockopt};

use super::rst::Ends;
use crate::effects::namespace::claim::Met;
use injector_host::{kernel::maps::Maps, targets::socket::TargetSocket};
use injector_record::report::{Connection, ConnectionState};

/// `TCP_ESTABLISHED` of `include/net/tcp_states.h`.
const ESTABLISHED: u8 = 1;

/// States that a connection may yet come from: before connect(2) is done (`TCP_SYN_SENT`, `TCP_SYN_RECV`,
/// `TCP_CLOSE`).
const MAY_COME: [u8; 3] = [2, 3, 7];

/// An established connection.
pub(super) struct Asked {
    /// As filters see it.
    pub(super) packet: Packet,
    pub(super) ends: Ends,
    /// As people do.
    pub(super) seen: Connection,
}

/// The connection of a socket; where it has none, whether it may yet have one.
pub(super) fn connection(socket: &TargetSocket, maps: &Maps) -> Result<Asked, Met> {
    match tcp_state(&socket.fd) {
        Some(ESTABLISHED) => {}
        Some(state) if MAY_COME.contains(&state) => return Err(Met::Asked(0)),
        _ => return Err(Met::Never),
    }
    established(socket, maps).ok_or(Met::Asked(0))
}

fn established(socket: &TargetSocket, maps: &Maps) -> Option<Asked> {
    let remote: SocketAddr = getpeername(&socket.fd).ok()??.try_into().ok()?;
    let local: SocketAddr = getsockname(&socket.fd).ok()?.try_into().ok()?;
    let address = match remote.ip() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        std::net::IpAddr::V6(v6) => v6,
    };
    let is_new = maps
        .tag_of(&socket.fd)
        .is_some_and(|tag| tag.is_new(socket.cookie));
    let packet = Packet {
        remote: address.octets(),
        remote_port: remote.port(),
        local_port: local.port(),
        transport: bits::TCP,
        is_new: u32::from(is_new),
    };
    let ends = Ends { local, remote }.unmapped();
    let unread_bytes = queued(&socket.fd, libc::FIONREAD)?;
    let unacknowledged_bytes = queued(&socket.fd, libc::TIOCOUTQ)?;
    let quiet_ms = quiet_ms(&socket.fd)?;
    let seen = Connection {
        local: ends.local,
        remote: ends.remote,
        state: ConnectionState::of(unread_bytes, unacknowledged_bytes, quiet_ms),
        unread_bytes,
        unacknowledged_bytes,
        quiet_ms,
    };
    Some(Asked { packet, ends, seen })
}

/// Bytes in a queue of a TCP socket: unread (`SIOCINQ`) or not acknowledged (`SIOCOUTQ`), as net/ipv4/tcp.c,
/// `tcp_ioctl`, counts them.
fn queued(socket: &impl AsFd, queue: libc::Ioctl) -> Option<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), queue, &raw mut bytes) };
    (result == 0).then(|| u32::try_from(bytes).unwrap_or_default())
}

/// Milliseconds since data was last sent or received.
fn quiet_ms(socket: &impl AsFd) -> Option<u32> {
    /// `tcpi_last_data_sent` and `tcpi_last_data_recv` (include/uapi/linux/tcp.h).
    const SENT: usize = 44;
    const RECEIVED: usize = 52;
    let info: [u8; RECEIVED + 4] = tcp_info(socket)?;
    let at = |offset: usize| {
        let bytes = info.get(offset..offset + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    Some(at(SENT)?.min(at(RECEIVED)?))
}

/// The state of a TCP socket; `None` for any other.
pub(super) fn tcp_state(socket: &impl AsFd) -> Option<u8> {
    if sockopt::socket_protocol(socket).ok()? != Some(rustix::net::ipproto::TCP) {
        return None;
    }
    // Its first byte is the state (`tcpi_state`).
    tcp_info::<1>(socket).map(|[state]| state)
}

/// The first bytes of what the kernel tells of a connection; `None` where it tells less.
fn tcp_info<const BYTES: usize>(socket: &impl AsFd) -> Option<[u8; BYTES]> {
    let mut info = [0u8; BYTES];
    let mut length = libc::socklen_t::try_from(BYTES).ok()?;
    // SAFETY: `TCP_INFO` writes at most `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (result == 0 && length as usize == BYTES).then_some(info)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn what_lies_unread_is_told_and_makes_a_connection_busy() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(&[7; 100]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while queued(&server, libc::FIONREAD) != Some(100) {
            assert!(Instant::now() < deadline, "the bytes never came");
        }
        assert_eq!(queued(&server, libc::TIOCOUTQ), Some(0));
        assert!(quiet_ms(&server).unwrap() < 5_000);
        assert_eq!(tcp_state(&server), Some(ESTABLISHED));
    }
}
