//! Echo requests on a raw socket: unlike ping sockets, root may always have one.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send,
    socket_with,
};

use crate::speak::{operations, rounds};
use crate::{Rounds, pattern};

const HEADER: usize = 8;

/// Round trips, each waited for.
pub(crate) fn ping(to: IpAddr, options: &Rounds) -> Result<()> {
    let (family, protocol, request, reply, ip_header) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, 8, 0, 20),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, 128, 129, 0),
    };
    let socket = socket_with(
        family,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(protocol),
    )?;
    connect(&socket, &SocketAddr::from((to, 0)))?;
    set_socket_timeout(
        &socket,
        Timeout::Recv,
        Some(options.timeout.max(Duration::from_millis(1))),
    )?;
    // Told apart from other pingers of this host, which the same raw socket hears too.
    let id = std::process::id().to_be_bytes();
    let mut serial = 0;
    rounds(options.wait, || {
        operations(options, |_number| {
            serial += 1;
            let mut message = [0; HEADER + 56];
            message[0] = request;
            message[4..6].copy_from_slice(&id[2..]);
            pattern::fill(&mut message[HEADER..], serial);
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            send(&socket, &message, SendFlags::empty())?;
            let mut buffer = [0; 256];
            loop {
                let (length, _all) = recv(&socket, &mut buffer, RecvFlags::empty())?;
                let answer = buffer.get(ip_header..length).unwrap_or_default();
                if answer.len() < HEADER || answer[0] != reply || answer[4..6] != id[2..] {
                    continue;
                }
                match pattern::number(&answer[HEADER..]) {
                    Some(number) if number == serial => return Ok(()),
                    Some(_late) => {}
                    None => return Err(ErrorKind::InvalidData.into()),
                }
            }
        })
    })
}

/// The Internet checksum (RFC 1071); the kernel writes the one of `ICMPv6` itself.
fn checksum(message: &[u8]) -> u16 {
    let mut sum: u32 = message
        .chunks(2)
        .map(|pair| {
            u32::from(u16::from_be_bytes([
                pair[0],
                pair.get(1).copied().unwrap_or(0),
            ]))
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
