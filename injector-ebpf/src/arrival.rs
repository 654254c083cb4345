//! Whose is a packet that arrives at a device, and what does its socket see of it?
//!
//! The device's program runs before the host routes. A socket that is connected to the sender proves that the
//! packet is the target's. A socket that takes packets of anybody proves nothing: the packet may be forwarded, or
//! be translated for somebody else. Such packets are met where [`flows`](crate::flows) has seen the like of them
//! reach the target, and on `lo`, which carries nothing but the host's own; and never where the host would forward
//! them, or where other sockets get them too.

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NOT_FWDED, bpf_fib_lookup,
        bpf_sock, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2,
    },
    helpers::generated::{
        bpf_fib_lookup as fib_lookup, bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp,
    },
};
use injector_common::{filter::bits, flow::Flow, tag::Tag};

use crate::{
    ends::{self, is_shared},
    flows::LOOPBACK,
    gate,
    maps::{INJ_FLOWS, INJ_FLOWS_KNOWN, Scratch},
    packet::{Headers, TCP, UDP},
};

/// The target that the packet is for, if any; the packet as its socket sees it is left in the walk.
#[inline(always)]
pub fn receiver(skb: *mut __sk_buff, scratch: &mut Scratch) -> Option<u32> {
    if is_shared(skb, &scratch.headers.dest) {
        return None;
    }
    match meet(skb, &wire(&scratch.headers), scratch, Proof::Connected) {
        Met::Target(scope) => Some(scope),
        Met::Bystander => None,
        Met::Open => open(skb, scratch),
    }
}

/// What a socket has to show for a packet to be its own.
#[derive(Clone, Copy)]
enum Proof {
    /// A connection with the sender.
    Connected,
    /// Nothing more than that it is found.
    Found,
}

/// Who was found.
enum Met {
    /// A target, which the packet is for.
    Target(u32),
    /// Somebody else.
    Bystander,
    /// Nobody, or a target that takes packets of anybody.
    Open,
}

/// A packet that no connected socket answers for.
#[inline(always)]
fn open(skb: *mut __sk_buff, scratch: &mut Scratch) -> Option<u32> {
    let wire = wire(&scratch.headers);
    // SAFETY: a plain context field.
    let own = if unsafe { (*skb).ifindex } == LOOPBACK {
        wire
    } else {
        if INJ_FLOWS_KNOWN.get(0).is_none_or(|known| *known == 0) {
            return None;
        }
        // SAFETY: the values of the map are replaced whole.
        match unsafe { INJ_FLOWS.get(wire) } {
            Some(own) => *own,
            None => through_door(skb, &scratch.headers, &wire)?,
        }
    };
    match meet(skb, &own, scratch, Proof::Found) {
        Met::Target(scope) => Some(scope),
        Met::Bystander | Met::Open => None,
    }
}

/// The flow, if the like of it has reached the target before and the host would not forward it now. Of TCP only
/// what asks for a connection: all else has a socket of its own, or is somebody else's.
#[inline(always)]
fn through_door(skb: *mut __sk_buff, headers: &Headers, wire: &Flow) -> Option<Flow> {
    let may_be = headers.is_udp() || headers.asks_to_connect();
    // SAFETY: the values of the map are replaced whole.
    let is_door = may_be && unsafe { INJ_FLOWS.get(wire.door()) }.is_some();
    (is_door && !is_forwarded(skb, headers)).then_some(*wire)
}

/// Looks a socket up by these ends, and says whose it is.
#[inline(always)]
fn meet(skb: *mut __sk_buff, ends: &Flow, scratch: &mut Scratch, proof: Proof) -> Met {
    let sk = look_up(skb, ends, scratch.headers.is_v4 != 0);
    if sk.is_null() {
        return Met::Open;
    }
    let met = judge(sk, scratch, proof);
    // SAFETY: the look-up took a reference, which is given back on every path.
    unsafe { bpf_sk_release(sk.cast()) };
    met
}

#[inline(always)]
fn judge(sk: *mut bpf_sock, scratch: &mut Scratch, proof: Proof) -> Met {
    let full = gate::full_socket(sk);
    if full.is_null() {
        return Met::Bystander;
    }
    let Some(admitted) = gate::admit_known(full) else {
        return Met::Bystander;
    };
    // A connection request is found by both its ends, though the listener answers for it.
    // SAFETY: a plain field of a socket that is there.
    let is_connected = unsafe { (*full).dst_port != 0 } || !gate::is_full_socket(sk);
    if !is_connected && matches!(proof, Proof::Connected) {
        return Met::Open;
    }
    // SAFETY: the tag lives as long as the socket, which the caller still holds.
    let is_new = unsafe { (*admitted.tag).origin } == Tag::NEW;
    scratch.walk.packet = scratch.headers.sent_to_target(is_new);
    as_socket_sees(full, scratch);
    Met::Target(admitted.scope)
}

/// Puts the socket's own view in place of the packet's: what the target connected to, whatever the host has made
/// of it on the way (NAT, tunnels). Null, other sockets than those of TCP and UDP, and the far end of one that is
/// not connected, leave the packet's.
#[inline(always)]
pub fn as_socket_sees(full: *mut bpf_sock, scratch: &mut Scratch) {
    if full.is_null() {
        return;
    }
    // SAFETY: plain fields of a full socket.
    let (protocol, port) = unsafe { ((*full).protocol, (*full).src_port as u16) };
    let transport = match protocol {
        6 => bits::TCP,
        17 => bits::UDP,
        _ => return,
    };
    let (packet, headers) = (&mut scratch.walk.packet, &mut scratch.headers);
    let is_wrapped = protocol != u32::from(headers.protocol)
        || packet.local_port != port
            && protocol == u32::from(UDP)
            && has_other_end(full, packet.remote_port);
    if is_wrapped {
        // What stands there is the tunnel's, not the target's.
        headers.payload_at = 0;
    }
    if headers.transport_at == 0 && !is_wrapped {
        // A later fragment, which has no ports: filters by port do not match it.
        return;
    }
    packet.transport = transport;
    packet.local_port = port;
    if let Some(own) = ends::of_socket(full) {
        packet.remote = own.remote;
        packet.remote_port = own.remote_port;
    }
}

/// Whether the socket is connected to another port than this one.
#[inline(always)]
fn has_other_end(full: *mut bpf_sock, remote_port: u16) -> bool {
    // SAFETY: a plain field of a full socket.
    let port = u16::from_be(unsafe { (*full).dst_port });
    port != 0 && port != remote_port
}

/// The packet's ends on the wire.
#[inline(always)]
fn wire(headers: &Headers) -> Flow {
    Flow {
        remote: headers.source,
        local: headers.dest,
        remote_port: headers.source_port,
        local_port: headers.dest_port,
        protocol: if headers.is_tcp() {
            u32::from(TCP)
        } else if headers.is_udp() {
            u32::from(UDP)
        } else {
            0
        },
    }
}

/// Whether the host would send the packet on, by its routes (net/core/filter.c, `bpf_ipv4_fib_lookup`): what is
/// for this host, has no route, or may not be forwarded, is not.
#[inline(always)]
fn is_forwarded(skb: *mut __sk_buff, headers: &Headers) -> bool {
    // SAFETY: all zero is a valid value of a struct of integers.
    let mut ask: bpf_fib_lookup = unsafe { core::mem::zeroed() };
    ask.family = if headers.is_v4 != 0 { 2 } else { 10 };
    ask.l4_protocol = headers.protocol;
    ask.sport = headers.source_port.to_be();
    ask.dport = headers.dest_port.to_be();
    if headers.is_v4 != 0 {
        ask.__bindgen_anon_3.ipv4_src = word(&headers.source, 12);
        ask.__bindgen_anon_4.ipv4_dst = word(&headers.dest, 12);
    } else {
        ask.__bindgen_anon_3.ipv6_src = words(&headers.source);
        ask.__bindgen_anon_4.ipv6_dst = words(&headers.dest);
    }
    // SAFETY: a plain context field; the helper reads and writes the struct, which is on our stack.
    let word = unsafe {
        ask.ifindex = (*skb).ifindex;
        fib_lookup(
            skb.cast(),
            &raw mut ask,
            size_of::<bpf_fib_lookup>() as i32,
            0,
        )
    };
    word != i64::from(BPF_FIB_LKUP_RET_NOT_FWDED)
        && word != i64::from(BPF_FIB_LKUP_RET_FWD_DISABLED)
}

/// Finds the socket for these ends, in the device's own network namespace.
#[inline(always)]
fn look_up(skb: *mut __sk_buff, ends: &Flow, is_v4: bool) -> *mut bpf_sock {
    /// `BPF_F_CURRENT_NETNS`.
    const CURRENT: u64 = u64::MAX;
    let (sport, dport) = (ends.remote_port.to_be(), ends.local_port.to_be());
    let mut tuple = if is_v4 {
        let ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
            saddr: word(&ends.remote, 12),
            daddr: word(&ends.local, 12),
            sport,
            dport,
        };
        bpf_sock_tuple {
            __bindgen_anon_1: bpf_sock_tuple__bindgen_ty_1 { ipv4 },
        }
    } else {
        let ipv6 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 {
            saddr: words(&ends.remote),
            daddr: words(&ends.local),
            sport,
            dport,
        };
        bpf_sock_tuple {
            __bindgen_anon_1: bpf_sock_tuple__bindgen_ty_1 { ipv6 },
        }
    };
    let tuple = &raw mut tuple;
    // SAFETY: the tuple is on our stack and the sizes are those of its two forms.
    unsafe {
        match (ends.protocol, is_v4) {
            (6, true) => bpf_skc_lookup_tcp(skb.cast(), tuple, 12, CURRENT, 0),
            (6, false) => bpf_skc_lookup_tcp(skb.cast(), tuple, 36, CURRENT, 0),
            (17, true) => bpf_sk_lookup_udp(skb.cast(), tuple, 12, CURRENT, 0),
            (17, false) => bpf_sk_lookup_udp(skb.cast(), tuple, 36, CURRENT, 0),
            _ => core::ptr::null_mut(),
        }
    }
}

/// Four bytes of an address as they stand in memory.
#[inline(always)]
fn word(address: &[u8; 16], at: usize) -> u32 {
    u32::from_ne_bytes([
        address[at],
        address[at + 1],
        address[at + 2],
        address[at + 3],
    ])
}

#[inline(always)]
fn words(address: &[u8; 16]) -> [u32; 4] {
    [
        word(address, 0),
        word(address, 4),
        word(address, 8),
        word(address, 12),
    ]
}
