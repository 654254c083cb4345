//! Breaks connections: finds a target's established TCP connections, idle ones included, and resets
//! those that the rule hits.

use std::{collections::HashSet, os::fd::AsFd};

use injector_common::{
    decide::{Memory, decide},
    filter::{FilterKey, Packet, bits, covers, matches},
    rule::Counters,
};
use rustix::net::{getpeername, getsockname, sockopt};

use super::rst::{Ends, RstSender};
use crate::{
    kernel::{clock::boot_ns, maps::Maps, netns::Namespace},
    plan::PlannedRule,
    target::{
        process::TaskKey,
        socket::{self, TargetSocket},
    },
};

/// `TCP_ESTABLISHED` of `include/net/tcp_states.h`.
const ESTABLISHED: u8 = 1;

/// The state of one `net.reset` fault.
#[derive(Debug, Default)]
pub(super) struct Resetter {
    /// Connections that were asked already, by cookie: each has one chance.
    asked: HashSet<u64>,
    memory: Memory,
    /// What it has done.
    pub(super) counters: Counters,
    sender: RstSender,
}

impl Resetter {
    /// Resets the connections of these processes that the rule hits and that were not asked before.
    pub(super) fn sweep(
        &mut self,
        rule: &PlannedRule,
        members: &[TaskKey],
        maps: &Maps,
        namespace: &Namespace,
    ) {
        for key in members {
            socket::visit_all(*key, |socket| self.consider(rule, &socket, maps, namespace));
        }
    }

    fn consider(
        &mut self,
        rule: &PlannedRule,
        socket: &TargetSocket,
        maps: &Maps,
        namespace: &Namespace,
    ) {
        let Some((packet, ends)) = connection(socket, maps) else {
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
        if self.sender.reset(&socket.fd, ends, namespace) {
            self.counters.hit_at(boot_ns());
        } else {
            self.counters.missed += 1;
        }
    }
}

/// The connection of an established TCP socket as filters see it.
fn connection(socket: &TargetSocket, maps: &Maps) -> Option<(Packet, Ends)> {
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
    let packet = Packet {
        remote: address.octets(),
        remote_port: remote.port(),
        local_port: local.port(),
        transport: bits::TCP,
        is_new: u32::from(is_new),
    };
    Some((packet, Ends { local, remote }.unmapped()))
}

/// The state of a TCP socket; `None` for any other.
pub(super) fn tcp_state(socket: &impl AsFd) -> Option<u8> {
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
