//! Breaks connections: disconnects a target's own TCP sockets through copies of their descriptors.
//!
//! `connect(AF_UNSPEC)` on a connected TCP socket sends a RST to the peer and leaves ECONNRESET for the
//! owner (net/ipv4/tcp.c, `tcp_disconnect`), whether or not a packet ever comes. A socket disconnected
//! so can be connected again, which a reset one cannot; LIMITS.md says so.

use std::{collections::HashSet, os::fd::AsFd};

use injector_common::{
    decide::{Memory, decide},
    filter::{FilterKey, Packet, bits, matches},
    rule::Counters,
};
use rustix::net::{getpeername, getsockname, sockopt};

use crate::{
    kernel::maps::Maps,
    plan::PlannedRule,
    target::{
        process::TaskKey,
        socket::{self, TargetSocket},
    },
};

/// `TCP_ESTABLISHED` of include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;

/// The state of one `net.reset` fault.
#[derive(Default)]
pub(super) struct Resetter {
    /// Connections that were asked already, by cookie: each has one chance.
    asked: HashSet<u64>,
    memory: Memory,
    /// What it has done.
    pub(super) counters: Counters,
}

impl Resetter {
    /// Resets the connections of these processes that the rule hits and that were not asked before.
    pub(super) fn sweep(&mut self, rule: &PlannedRule, members: &[TaskKey], maps: &Maps) {
        for key in members {
            socket::visit_all(*key, |socket| self.consider(rule, &socket, maps));
        }
    }

    fn consider(&mut self, rule: &PlannedRule, socket: &TargetSocket, maps: &Maps) {
        let Some(packet) = connection(socket, maps) else {
            return;
        };
        if !self.asked.insert(socket.cookie) {
            return;
        }
        self.counters.seen += 1;
        let record = &rule.compiled.rule;
        let id = injector_common::rule_id(rule.scope, rule.slot);
        let contains = |key: &FilterKey| {
            rule.compiled
                .filters
                .iter()
                .any(|(prefix, bits)| covers(prefix, *bits, key))
        };
        if !matches(record.filters, id, &packet, contains) {
            return;
        }
        self.counters.matched += 1;
        if self.counters.hit >= record.max_hits
            || !decide(record, self.counters.matched, &mut self.memory)
        {
            return;
        }
        if disconnect(&socket.fd) {
            self.counters.hit += 1;
        } else {
            self.counters.missed += 1;
        }
    }
}

/// The connection of an established TCP socket as filters see it.
fn connection(socket: &TargetSocket, maps: &Maps) -> Option<Packet> {
    if tcp_state(&socket.fd)? != ESTABLISHED {
        return None;
    }
    let remote: std::net::SocketAddr = getpeername(&socket.fd).ok()??.try_into().ok()?;
    let local: std::net::SocketAddr = getsockname(&socket.fd).ok()?.try_into().ok()?;
    let address = match remote.ip() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        std::net::IpAddr::V6(v6) => v6,
    };
    let is_new = maps
        .tag_of(&socket.fd)
        .is_some_and(|tag| tag.is_new(socket.cookie));
    Some(Packet {
        remote: address.octets(),
        remote_port: remote.port(),
        local_port: local.port(),
        transport: bits::TCP,
        is_new: u32::from(is_new),
    })
}

/// The state of a TCP socket; `None` for any other.
fn tcp_state(socket: &impl AsFd) -> Option<u8> {
    use std::os::fd::AsRawFd;
    if sockopt::socket_protocol(socket).ok()? != Some(rustix::net::ipproto::TCP) {
        return None;
    }
    let mut state = 0u8;
    let mut length: libc::socklen_t = 1;
    // SAFETY: `TCP_INFO` writes at most `length` bytes, and its first byte is the state
    // (include/uapi/linux/tcp.h, `tcpi_state`).
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut state).cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(state)
}

/// Disconnects; the owner sees ECONNRESET.
fn disconnect(socket: &impl AsFd) -> bool {
    rustix::net::connect_unspec(socket).is_ok()
}

/// Whether a prefix covers a key, as the kernel's trie decides it; ports sit in the value's first bits.
fn covers(prefix: &FilterKey, bits: u32, key: &FilterKey) -> bool {
    let same = |n: u32| {
        let (byte, shift) = ((n / 8) as usize, 7 - n % 8);
        prefix.value[byte] >> shift & 1 == key.value[byte] >> shift & 1
    };
    prefix.kind == key.kind && (0..bits).all(same)
}

#[cfg(test)]
mod tests {
    use injector_common::filter::kind;
    use std::{
        io::Read,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn the_owner_of_a_disconnected_socket_sees_a_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        assert_eq!(tcp_state(&client), Some(ESTABLISHED));
        assert!(disconnect(&client));
        let error = client.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
        let error = server.read(&mut [0; 1]).unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(libc::ECONNRESET),
            "the peer sees it too"
        );
    }

    #[test]
    fn prefixes_cover_what_they_should() {
        let prefix = FilterKey::port(0, kind::DEST_PORT, 8000);
        assert!(covers(
            &prefix,
            16,
            &FilterKey::port(0, kind::DEST_PORT, 8000)
        ));
        assert!(covers(
            &prefix,
            13,
            &FilterKey::port(0, kind::DEST_PORT, 8007)
        ));
        assert!(!covers(
            &prefix,
            16,
            &FilterKey::port(0, kind::DEST_PORT, 8001)
        ));
        assert!(!covers(
            &prefix,
            16,
            &FilterKey::port(0, kind::SOURCE_PORT, 8000)
        ));
    }
}
