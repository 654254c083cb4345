//! Watches the operations of targets: requests with their answers, and connects. These programs only read.
//!
//! What of a connection is remembered, and what its segments mean, is in [`injector_common::operation`]. A segment that
//! leaves and one that arrives are met at the cgroup, where every mechanism of a fault is on the far side: what the
//! delay line holds has left, and has not arrived. A connection's turns are met where its state changes.
//!
//! A bystander pays one look-up for each segment and each change of state; a target whose operations are not watched
//! pays one more.

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_RB_NO_WAKEUP, bpf_sock, bpf_sock_tuple,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2,
        task_struct,
    },
    helpers::generated::{
        bpf_get_socket_cookie, bpf_sk_lookup_tcp, bpf_sk_release, bpf_skc_to_tcp_sock, bpf_tcp_sock,
    },
    macros::{btf_tracepoint, cgroup_skb},
    programs::{BtfTracePointContext, SkBuffContext},
};
use injector_common::flow::Flow;
use injector_common::operation::{Exchange, Segment, Told, Turn, role, watch, what, why};

use crate::{
    claim::field,
    ends, gate,
    maps::{
        INJ_EXCHANGES, INJ_OPERATIONS, INJ_OPERATIONS_LOST, INJ_WATCHED, OFFSET_SOCK_ERROR,
        OFFSET_SOCK_FAMILY, OFFSET_SOCK_PORT, OFFSET_SOCK_SHUTDOWN, OFFSET_SOCK_V4, OFFSET_SOCK_V6,
        OFFSET_TCP_RECEIVED,
    },
    packet::{self, IPV4, IPV6, TCP, v4_mapped},
};

/// The kernel goes on with the packet.
const PASS: i32 = 1;

/// TCP's flags.
const SYN: u8 = 0x02;

/// States of `include/net/tcp_states.h`.
mod state {
    pub const ESTABLISHED: i32 = 1;
    pub const SYN_SENT: i32 = 2;
    pub const SYN_RECV: i32 = 3;
    pub const FIN_WAIT1: i32 = 4;
    pub const CLOSE: i32 = 7;
    pub const CLOSE_WAIT: i32 = 8;
}

/// `RCV_SHUTDOWN | SEND_SHUTDOWN` of `include/net/sock.h`: the socket is closed, and not only told that no more
/// is sent.
const CLOSED: u8 = 3;

/// A segment, and where its ends are.
struct Read {
    seq: u32,
    ack: u32,
    bytes: u32,
    flags: u8,
    is_v4: bool,
}

/// Reads a segment; `None` is no TCP, or IPv6 with extension headers, which TCP does not use.
#[inline(always)]
fn read(skb: *mut __sk_buff) -> Option<Read> {
    // SAFETY: plain context fields.
    let (protocol, length) = unsafe { ((*skb).protocol, (*skb).len) };
    let (is_v4, at) = match protocol {
        IPV4 => {
            let ip: [u8; 10] = packet::load(skb, 0)?;
            if ip[9] != TCP {
                return None;
            }
            (true, u32::from(ip[0] & 0xf) * 4)
        }
        IPV6 => {
            let ip: [u8; 8] = packet::load(skb, 0)?;
            if ip[6] != TCP {
                return None;
            }
            (false, 40)
        }
        _ => return None,
    };
    let tcp: [u8; 14] = packet::load(skb, at)?;
    let payload_at = at + u32::from(tcp[12] >> 4) * 4;
    Some(Read {
        seq: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
        ack: u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]),
        bytes: length.saturating_sub(payload_at),
        flags: tcp[13],
        is_v4,
    })
}

/// The socket and the target of a packet whose requests are watched. A listener that answers for a connection request
/// has no exchange, and gets none: its packets have SYN.
#[inline(always)]
fn admit(skb: *mut __sk_buff) -> Option<(*mut bpf_sock, u32)> {
    let admitted = gate::admit_packet(skb)?;
    // SAFETY: a plain context field; the gate has found it there.
    let sk = unsafe { (*skb).__bindgen_anon_2.sk };
    let is_asked = !sk.is_null() && is_watched(admitted.scope, watch::REQUESTS);
    is_asked.then_some((sk, admitted.scope))
}

#[inline(always)]
fn is_watched(scope: u32, wanted: u32) -> bool {
    INJ_WATCHED
        .get(scope)
        .is_some_and(|watched| *watched & wanted != 0)
}

/// A segment leaves.
#[cgroup_skb(egress)]
pub fn inj_asked(ctx: SkBuffContext) -> i32 {
    let _ = asked(ctx.skb.skb);
    PASS
}

#[inline(always)]
fn asked(skb: *mut __sk_buff) -> Option<()> {
    let (sk, scope) = admit(skb)?;
    let segment = read(skb)?;
    if segment.flags & SYN != 0 {
        return None;
    }
    let mut exchange = INJ_EXCHANGES.get(sk);
    if exchange.is_null() {
        // The connection was there before it was watched.
        let mut fresh = Exchange {
            role: role_of_known(skb, segment.is_v4)?,
            ..Exchange::default()
        };
        exchange = INJ_EXCHANGES.get_or_insert(sk, &mut fresh);
    }
    if exchange.is_null() {
        // Memory is short: what is asked here is not met.
        lose();
        return None;
    }
    let now = gate::now();
    // SAFETY: the storage lives as long as the socket, under whose lock segments leave.
    let turn = unsafe {
        (*exchange).sent(
            now,
            Segment {
                seq: segment.seq,
                ack: segment.ack,
                bytes: segment.bytes,
            },
        )
    };
    if turn.answered_ns == 0 && turn.began == 0 {
        return None;
    }
    // SAFETY: the helper takes the program's context.
    let cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
    end(scope, cookie, now, &turn, 0);
    if turn.began != 0 {
        let far_end = ends::leaving(skb)?;
        tell(Told {
            boot_ns: now,
            cookie,
            scope,
            what: what::REQUEST_BEGAN,
            port: u32::from(far_end.remote_port),
            remote: far_end.remote,
            ..Told::default()
        });
    }
    Some(())
}

/// Tells of the end of a request, if it has ended.
#[inline(always)]
fn end(scope: u32, cookie: u64, now: u64, turn: &Turn, why: u32) {
    if turn.answered_ns == 0 && turn.failed == 0 {
        return;
    }
    let is_answered = turn.failed == 0;
    tell(Told {
        boot_ns: if is_answered { turn.answered_ns } else { now },
        cookie,
        scope,
        what: if is_answered {
            what::REQUEST_ANSWERED
        } else {
            what::REQUEST_FAILED
        },
        why: if is_answered { 0 } else { why },
        bytes: turn.bytes,
        again: turn.again,
        ..Told::default()
    });
}

/// On which side the target is of a connection that was there before: where a socket listens at its own end, the
/// connection was accepted there. Once for each connection.
#[inline(always)]
fn role_of_known(skb: *mut __sk_buff, is_v4: bool) -> Option<u32> {
    let Flow {
        remote,
        local,
        local_port,
        ..
    } = ends::leaving(skb)?;
    let word =
        |of: &[u8; 16], at: usize| u32::from_ne_bytes([of[at], of[at + 1], of[at + 2], of[at + 3]]);
    // SAFETY: all zero is a tuple.
    let mut tuple: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    let size = if is_v4 {
        tuple.__bindgen_anon_1.ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
            saddr: word(&remote, 12),
            daddr: word(&local, 12),
            sport: 0,
            dport: local_port.to_be(),
        };
        size_of::<bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1>()
    } else {
        let words = |of: &[u8; 16]| [word(of, 0), word(of, 4), word(of, 8), word(of, 12)];
        tuple.__bindgen_anon_1.ipv6 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 {
            saddr: words(&remote),
            daddr: words(&local),
            sport: 0,
            dport: local_port.to_be(),
        };
        size_of::<bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2>()
    };
    // SAFETY: the program's context and a tuple of the size that is said; the socket is let go of below.
    let found =
        unsafe { bpf_sk_lookup_tcp(skb.cast(), &raw mut tuple, size as u32, OWN_NAMESPACE, 0) };
    if found.is_null() {
        return Some(role::FRESH);
    }
    // SAFETY: a socket of the kernel's, held until it is let go of here.
    let state = unsafe {
        let state = (*found).state;
        bpf_sk_release(found.cast());
        state
    };
    Some(if state == ends::LISTEN {
        role::ANSWERS
    } else {
        role::FRESH
    })
}

/// `BPF_F_CURRENT_NETNS`.
const OWN_NAMESPACE: u64 = u64::MAX;

/// A segment arrives.
#[cgroup_skb(ingress)]
pub fn inj_answered(ctx: SkBuffContext) -> i32 {
    let _ = answered(ctx.skb.skb);
    PASS
}

#[inline(always)]
fn answered(skb: *mut __sk_buff) -> Option<()> {
    let (sk, _) = admit(skb)?;
    let exchange = INJ_EXCHANGES.get(sk);
    // SAFETY: the storage lives as long as the socket.
    if exchange.is_null() || unsafe { (*exchange).begun_ns } == 0 {
        return None;
    }
    let segment = read(skb)?;
    if segment.bytes == 0 {
        return None;
    }
    // SAFETY: a full socket; null where it is not TCP.
    let tcp = unsafe { bpf_tcp_sock(sk) };
    if tcp.is_null() {
        return None;
    }
    // SAFETY: as above. A segment that leaves meanwhile on another CPU may begin a request, which this one cannot
    // answer: it goes by what was received when that began.
    unsafe { (*exchange).received(gate::now(), segment.seq, segment.bytes, (*tcp).rcv_nxt) };
    Some(())
}

/// A connection changes its state: `(sk, old, new)`, `net/ipv4/af_inet.c`, `inet_sk_set_state`. The socket is full,
/// and still has the old state.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inj_turned(ctx: BtfTracePointContext) -> i32 {
    let sk: *mut bpf_sock = ctx.arg(0);
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    let _ = turned(sk, old, new);
    0
}

#[inline(always)]
fn turned(sk: *mut bpf_sock, old: i32, new: i32) -> Option<()> {
    let scope = gate::admit_known(sk)?.scope;
    if !is_watched(scope, watch::REQUESTS | watch::CONNECTS) {
        return None;
    }
    // SAFETY: a socket of the kernel's; null for one that is not TCP.
    let tcp: *const task_struct = unsafe { bpf_skc_to_tcp_sock(sk.cast()) }.cast();
    if tcp.is_null() {
        return None;
    }
    let told = Told {
        boot_ns: gate::now(),
        // SAFETY: a socket of the kernel's.
        cookie: unsafe { bpf_get_socket_cookie(sk.cast()) },
        scope,
        ..Told::default()
    };
    if new == state::SYN_SENT {
        return connects(sk, told);
    }
    let exchange = INJ_EXCHANGES.get(sk);
    if exchange.is_null() {
        if old == state::SYN_RECV && new == state::ESTABLISHED {
            let mut fresh = Exchange {
                role: role::ANSWERS,
                ..Exchange::default()
            };
            // Null means that memory is short: then it is looked at when it sends.
            let _ = INJ_EXCHANGES.get_or_insert(sk, &mut fresh);
        }
        return None;
    }
    if old == state::SYN_SENT {
        let is_made = new == state::ESTABLISHED;
        if is_watched(scope, watch::CONNECTS) {
            tell(Told {
                what: if is_made {
                    what::CONNECT_MADE
                } else {
                    what::CONNECT_FAILED
                },
                why: if is_made { 0 } else { reason(sk, new) },
                ..told
            });
        }
        return None;
    }
    let shutdown: u8 = field(sk.cast(), OFFSET_SOCK_SHUTDOWN.load());
    let ends = new == state::CLOSE
        || new == state::CLOSE_WAIT
        || new == state::FIN_WAIT1 && shutdown == CLOSED;
    if !ends {
        return None;
    }
    let next: u32 = field(tcp, OFFSET_TCP_RECEIVED.load());
    // SAFETY: the storage lives as long as the socket, whose lock the caller holds.
    let turn = unsafe { (*exchange).ended(next) };
    end(scope, told.cookie, told.boot_ns, &turn, reason(sk, new));
    Some(())
}

/// A connect begins: what was remembered of a former connection of the socket is forgotten.
#[inline(always)]
fn connects(sk: *mut bpf_sock, told: Told) -> Option<()> {
    let mut fresh = Exchange::default();
    let exchange = INJ_EXCHANGES.get_or_insert(sk, &mut fresh);
    if exchange.is_null() {
        // Memory is short: of a connect without storage no end is told.
        lose();
        return None;
    }
    // SAFETY: the storage lives as long as the socket, whose lock the caller holds.
    unsafe { *exchange = fresh };
    if !is_watched(told.scope, watch::CONNECTS) {
        return None;
    }
    let base: *const task_struct = sk.cast();
    let family: u16 = field(base, OFFSET_SOCK_FAMILY.load());
    let remote = if family == AF_INET {
        v4_mapped(field::<[u8; 4]>(base, OFFSET_SOCK_V4.load()))
    } else {
        field::<[u8; 16]>(base, OFFSET_SOCK_V6.load())
    };
    let port: u16 = field(base, OFFSET_SOCK_PORT.load());
    tell(Told {
        what: what::CONNECT_BEGAN,
        port: u32::from(u16::from_be(port)),
        remote,
        ..told
    });
    Some(())
}

/// Why a connection ends that is about to have this state.
#[inline(always)]
fn reason(sk: *mut bpf_sock, new: i32) -> u32 {
    let error: i32 = field(sk.cast(), OFFSET_SOCK_ERROR.load());
    if error != 0 {
        error as u32
    } else if new == state::CLOSE_WAIT {
        why::CLOSED
    } else {
        why::GIVEN_UP
    }
}

const AF_INET: u16 = 2;

/// Tells of a connect that a fault has failed before it began.
#[inline(always)]
pub fn refused(scope: u32, errno: u32, remote: [u8; 16], port: u16) {
    if is_watched(scope, watch::CONNECTS) {
        tell(Told {
            boot_ns: gate::now(),
            scope,
            what: what::CONNECT_REFUSED,
            why: errno,
            port: u32::from(port),
            remote,
            ..Told::default()
        });
    }
}

/// Hands a record over. No reader is woken, and a full ring loses it, which is counted.
#[inline(always)]
fn tell(told: Told) {
    let Some(mut entry) = INJ_OPERATIONS.reserve::<Told>(0) else {
        lose();
        return;
    };
    entry.write(told);
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}

/// Counts something that is not told: what is judged by records is not judged then.
#[inline(always)]
fn lose() {
    if let Some(lost) = INJ_OPERATIONS_LOST.get_ptr_mut(0) {
        // SAFETY: a per-CPU slot. Two callers on one CPU may count one loss for two; that there was one is what
        // is asked.
        unsafe { *lost += 1 };
    }
}
