//! Sends a RST that looks as if it came from the peer, so that the target sees its connection reset.
//!
//! The kernel accepts a RST only with exactly the sequence number that it expects next (RFC 5961);
//! `inj_sequence` tells it. The packet leaves through a raw socket in the target's network namespace and
//! is routed to the target's own address, so it never leaves the host. The peer is not told: it finds
//! out when it next sends, from the target's kernel.
//!
//! Rejected: `connect(AF_UNSPEC)` on a copy of the descriptor, which a thread that waits in `read(2)` sees
//! as EPIPE (include/net/sock.h, `sk_wait_event`), and `SOCK_DESTROY`, which shows ECONNABORTED.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use injector_common::sequence;
use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with,
};

use injector_host::{delay_line::checksum, kernel::netns::Namespace};

/// How often the number is asked for again when the peer's data came in between.
const TRIES: usize = 10;

/// How long a RST may wait for the socket before another is sent.
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(1);

/// `TCP_CLOSE` of `include/net/tcp_states.h`.
const CLOSED: u8 = 7;

/// Raw sockets of a network namespace, made when they are needed.
#[derive(Debug, Default)]
pub(super) struct RstSender {
    v4: Option<OwnedFd>,
    v6: Option<OwnedFd>,
}

/// The two ends of a connection, as the target's socket knows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The target's own end.
    pub(super) local: SocketAddr,
    /// The peer.
    pub(super) remote: SocketAddr,
}

impl RstSender {
    /// Resets the connection of a copied socket; whether the target will see it.
    pub(super) fn reset(&mut self, socket: &impl AsFd, ends: Ends, namespace: &Namespace) -> bool {
        for _ in 0..TRIES {
            let Ok(next) = next_sequence(socket) else {
                return false;
            };
            if self.send(ends, next, namespace).is_err() {
                return false;
            }
            if super::connection::tcp_state(socket) == Some(CLOSED) {
                return true;
            }
            // It may wait behind a call of the target's that holds the socket.
            std::thread::sleep(BETWEEN_TRIES);
            if super::connection::tcp_state(socket) == Some(CLOSED) {
                return true;
            }
        }
        false
    }

    fn send(&mut self, ends: Ends, next: u32, namespace: &Namespace) -> io::Result<()> {
        let packet = packet(ends, next);
        let (raw, family) = match ends.local {
            SocketAddr::V4(_) => (&mut self.v4, AddressFamily::INET),
            SocketAddr::V6(_) => (&mut self.v6, AddressFamily::INET6),
        };
        if raw.is_none() {
            *raw = Some(
                namespace
                    .run(|| raw_socket(family))
                    .map_err(io::Error::other)??,
            );
        }
        let Some(raw) = raw else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut to = ends.local;
        // A raw socket takes the port for a protocol.
        to.set_port(0);
        sendto(raw, &packet, SendFlags::empty(), &to)?;
        Ok(())
    }
}

/// A socket that sends whole IP packets.
fn raw_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let protocol: Option<Protocol> = Some(ipproto::RAW);
    Ok(socket_with(
        family,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        protocol,
    )?)
}

/// The sequence number that the connection expects next.
fn next_sequence(socket: &impl AsFd) -> io::Result<u32> {
    let mut value = 0u32;
    let mut length: libc::socklen_t = 4;
    // SAFETY: the kernel writes at most `length` bytes into `value`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            sequence::LEVEL,
            sequence::NAME,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(value)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// An IP packet with a RST from the peer to the target. The kernel fills in the IPv4 checksum.
fn packet(ends: Ends, sequence: u32) -> Vec<u8> {
    const TCP: u8 = 6;
    const RST: u8 = 0x04;
    let mut tcp = [0u8; 20];
    tcp[0..2].copy_from_slice(&ends.remote.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&ends.local.port().to_be_bytes());
    tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
    tcp[12] = 5 << 4;
    tcp[13] = RST;
    let mut packet = Vec::with_capacity(60);
    let addresses = addresses(ends);
    let sum = checksum::pseudo(&addresses, TCP, &tcp);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    if addresses.len() == 8 {
        // Version and length, 40 bytes in all, not to be fragmented, TTL 64.
        packet.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, TCP, 0, 0]);
    } else {
        // Version, 20 bytes of payload, hop limit 64.
        packet.extend([0x60, 0, 0, 0, 0, 20, TCP, 64]);
    }
    packet.extend(addresses);
    packet.extend(tcp);
    packet
}

/// The peer's address and the target's, as they stand in the header.
fn addresses(ends: Ends) -> Vec<u8> {
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    [octets(ends.remote), octets(ends.local)].concat()
}

impl Ends {
    /// The ends with v4-mapped addresses made IPv4, which is what travels.
    pub(super) fn unmapped(self) -> Self {
        let unmap = |address: SocketAddr| match address {
            SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
                Some(v4) => SocketAddr::new(v4.into(), v6.port()),
                None => address,
            },
            SocketAddr::V4(_) => address,
        };
        Self {
            local: unmap(self.local),
            remote: unmap(self.remote),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(local: &str, remote: &str) -> Ends {
        Ends {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    #[test]
    fn the_packet_says_what_it_should() {
        let packet = packet(ends("10.0.0.1:4000", "10.0.0.2:80"), 0x0102_0304);
        assert_eq!(packet.len(), 40);
        assert_eq!(packet[12..20], [10, 0, 0, 2, 10, 0, 0, 1]);
        assert_eq!(packet[20..28], [0, 80, 0x0f, 0xa0, 1, 2, 3, 4]);
        assert_eq!(packet[33], 0x04);
        assert_eq!(
            checksum::pseudo(&packet[12..20], 6, &packet[20..]),
            0,
            "the sum must verify"
        );
    }

    #[test]
    fn mapped_addresses_travel_as_ipv4() {
        let ends = ends("[::ffff:10.0.0.1]:4000", "[::ffff:10.0.0.2]:80").unmapped();
        assert!(ends.local.is_ipv4() && ends.remote.is_ipv4());
        let packet = packet(self::ends("[fd00::1]:1", "[fd00::2]:2"), 7);
        assert_eq!(packet.len(), 60);
        assert_eq!(checksum::pseudo(&packet[8..40], 6, &packet[40..]), 0);
    }
}
