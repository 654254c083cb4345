//! Breaks connections: finds a target's established TCP connections, idle ones included, and resets
//! those that the rule hits.
//!
//! Each connection has one chance with each rule: at the first look that finds it established, and busy or idle
//! where the rule asks for that. So a connection that waits in a pool keeps its chance until it is used.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use injector_common::{
    decide::{Memory, decide},
    filter::{FilterKey, Packet, bits, covers, matches},
    rule::Counters,
};
use rustix::net::{getpeername, getsockname, sockopt};

use super::{
    arm::ArmedNamespace,
    claim::{Asking, Met},
    pace::Reach,
    rst::{Ends, RstSender},
};
use injector_host::{
    kernel::{clock::boot_ns, maps::Maps, netns::Namespace},
    targets::{ResolvedTarget, socket::TargetSocket},
};
use injector_plan::PlannedRule;
use injector_record::{
    event::EventKind,
    report::{Connection, ConnectionState, MOST_NAMED},
};
use injector_spec::experiment::Activity;

/// `TCP_ESTABLISHED` of `include/net/tcp_states.h`.
const ESTABLISHED: u8 = 1;

/// States that a connection may yet come from: before connect(2) is done (`TCP_SYN_SENT`, `TCP_SYN_RECV`,
/// `TCP_CLOSE`).
const MAY_COME: [u8; 3] = [2, 3, 7];

/// How long one look may go on meeting connections: the run has its end and its watchdog to look after, and those
/// that are left are met at the next look.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The state of one `net.reset` fault.
#[derive(Debug, Default)]
pub(super) struct Resetter {
    memory: Memory,
    /// What it has done.
    pub(super) counters: Counters,
    /// The first connections that it has hit, [`MOST_NAMED`] at most.
    pub(super) hit: Vec<Connection>,
    sender: RstSender,
}

/// A rule of a step that resets, and what is known of it.
pub(super) struct Resets<'r> {
    /// The rules, with their places in the plan.
    pub(super) rules: Vec<(usize, &'r PlannedRule)>,
    /// All targets, by scope.
    pub(super) targets: &'r [ResolvedTarget],
    /// Whether anything may fire.
    pub(super) is_live: &'r dyn Fn() -> bool,
}

impl Resets<'_> {
    /// Lets the rules ask the connections of a namespace, and adds to `told` what they have hit.
    pub(super) fn look(
        &self,
        namespace: &mut ArmedNamespace,
        resetters: &mut BTreeMap<usize, Resetter>,
        told: &mut Vec<EventKind>,
    ) -> Reach {
        // Without a free descriptor now, there may be one at the next look.
        let Ok(network) = namespace.namespace.try_clone() else {
            return Reach::Whole;
        };
        let mut reach = Reach::Whole;
        let until = Instant::now() + LONGEST_LOOK;
        for scope in namespace.scopes.clone() {
            let of_scope = || self.rules.iter().filter(|(_, rule)| rule.scope == scope);
            let rules: Vec<_> = of_scope().map(|(_, rule)| *rule).collect();
            if rules.is_empty() {
                continue;
            }
            let asking = asking(&rules);
            namespace.look(scope, self.targets, asking, &mut |maps, socket, slots| {
                if Instant::now() > until || !(self.is_live)() {
                    reach = Reach::Part;
                    return Met::Enough;
                }
                let connection = match connection(socket, maps) {
                    Ok(connection) => connection,
                    Err(met) => return met,
                };
                let (mut asked, mut is_open) = (0, true);
                for (index, rule) in of_scope().filter(|(_, rule)| slots >> rule.slot & 1 == 1) {
                    if !is_meant(rule.fault.traffic.activity, connection.seen.state) {
                        continue;
                    }
                    asked |= 1 << rule.slot;
                    // The rule before may have reset it.
                    if !is_open {
                        continue;
                    }
                    let resetter = resetters.entry(*index).or_default();
                    if let Some(number) = resetter.ask(rule, socket, &connection, &network) {
                        is_open = false;
                        told.push(EventKind::ConnectionReset {
                            fault: rule.fault.kind.name().to_owned(),
                            target: self.targets[rule.fault.target].name.clone(),
                            number,
                            connection: connection.seen,
                        });
                    }
                }
                Met::Asked(asked)
            });
        }
        reach
    }
}

/// Which slots ask which connections.
fn asking(rules: &[&PlannedRule]) -> Asking {
    let mut asking = Asking::default();
    for rule in rules {
        let slots = match rule.fault.traffic.activity {
            Activity::Any => &mut asking.any,
            Activity::Busy => &mut asking.busy,
            Activity::Idle => &mut asking.idle,
        };
        *slots |= 1 << rule.slot;
    }
    asking
}

fn is_meant(wanted: Activity, state: ConnectionState) -> bool {
    match wanted {
        Activity::Any => true,
        Activity::Busy => state == ConnectionState::Busy,
        Activity::Idle => state == ConnectionState::Idle,
    }
}

impl Resetter {
    /// Asks the rule about a connection, and resets it where the rule hits: the number of the match then.
    fn ask(
        &mut self,
        rule: &PlannedRule,
        socket: &TargetSocket,
        connection: &Asked,
        namespace: &Namespace,
    ) -> Option<u64> {
        self.counters.seen += 1;
        let record = &rule.compiled.rule;
        let id = injector_common::rule_id(rule.scope, rule.slot);
        let contains = |key: &FilterKey| {
            rule.compiled
                .filters
                .iter()
                .any(|(prefix, bits)| covers(prefix, *bits, key))
        };
        if !matches(record.filters, id, &connection.packet, contains) {
            return None;
        }
        self.counters.matched += 1;
        if self.counters.hit >= record.max_hits
            || !decide(record, self.counters.matched, &mut self.memory)
        {
            return None;
        }
        if !self.sender.reset(&socket.fd, connection.ends, namespace) {
            self.counters.missed += 1;
            return None;
        }
        self.counters.hit_at(boot_ns());
        if self.hit.len() < MOST_NAMED {
            self.hit.push(connection.seen);
        }
        Some(self.counters.matched)
    }
}

/// An established connection.
struct Asked {
    /// As filters see it.
    packet: Packet,
    ends: Ends,
    /// As people do.
    seen: Connection,
}

/// The connection of a socket; where it has none, whether it may yet have one.
fn connection(socket: &TargetSocket, maps: &Maps) -> Result<Asked, Met> {
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

    #[test]
    fn only_those_that_are_meant_are_asked() {
        let busy = ConnectionState::Busy;
        let idle = ConnectionState::Idle;
        assert!(is_meant(Activity::Any, busy) && is_meant(Activity::Any, idle));
        assert!(is_meant(Activity::Busy, busy) && !is_meant(Activity::Busy, idle));
        assert!(is_meant(Activity::Idle, idle) && !is_meant(Activity::Idle, busy));
    }
}
