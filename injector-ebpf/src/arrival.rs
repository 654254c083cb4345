//! Whose is a packet that arrives at a device, and what does its socket see of it?
//!
//! The device's program runs before the host routes. A socket that is connected to the sender proves that the
//! packet is the target's. A socket that takes packets of any sender proves nothing: the packet may be forwarded, or
//! be translated for another process or host. Such packets are met where [`flows`](crate::flows) has seen the like of
//! them reach the target, and on `lo`, which carries nothing but the host's own; and never where the host would forward
//! them, or where other sockets get them too.

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NOT_FWDED, bpf_fib_lookup,
        bpf_sock, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2,
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
    maps::{INJ_FLOWS, INJ_FLOWS_KNOWN, Scratch, forget},
    packet::{Headers, UDP},
};

/// `AF_INET` and `AF_INET6`, as a route's question has them.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// What finding a packet's receiver takes, in scratch memory: on the stack the verifier would follow every value.
#[repr(C)]
pub struct Arrival {
    /// Whose socket is looked for.
    ends: Flow,
    /// The same, of packets of any sender.
    door: Flow,
    tuple: bpf_sock_tuple,
    route: bpf_fib_lookup,
}

/// The target that the packet is for, if any; the packet as its socket sees it is left in the walk.
#[inline(always)]
pub fn receiver(skb: *mut __sk_buff, scratch: &mut Scratch) -> Option<u32> {
    if is_shared(skb, &scratch.headers.dest) {
        return None;
    }
    let scratch = forget(scratch);
    let found = find(skb, scratch)?;
    let scratch = forget(scratch);
    // SAFETY: the tag lives as long as the socket, which is held until below.
    let is_new = unsafe { (*found.tag).origin } == Tag::NEW;
    scratch.walk.packet = scratch.headers.sent_to_target(is_new);
    as_socket_sees(found.full, scratch);
    found.sk.release();
    Some(found.scope)
}

/// A target's socket that the packet is for.
struct Found {
    sk: Held,
    full: *mut bpf_sock,
    tag: *mut Tag,
    scope: u32,
}

/// A socket that a look-up has taken a reference to, or null. The verifier refuses a path that does not give it
/// back; there is no `Drop`, which would hide where that is.
struct Held(*mut bpf_sock);

impl Held {
    #[inline(always)]
    fn release(self) {
        // SAFETY: the look-up took a reference, and `self` is its only owner.
        unsafe { bpf_sk_release(self.0.cast()) };
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
    Target(Found),
    /// A socket that is no target's.
    Bystander,
    /// No socket, or a target's that takes packets of any sender.
    Open,
}

/// Finds the socket by the packet's ends; where no connected one answers for it, by those that it is known to
/// have there.
#[inline(always)]
fn find(skb: *mut __sk_buff, scratch: &mut Scratch) -> Option<Found> {
    put_wire(&scratch.headers, &mut scratch.arrival.ends);
    match meet(skb, scratch, Proof::Connected) {
        Met::Target(found) => return Some(found),
        Met::Bystander => return None,
        Met::Open => {}
    }
    // SAFETY: a plain context field.
    if unsafe { (*skb).ifindex } != LOOPBACK {
        translate(skb, scratch)?;
    }
    match meet(skb, scratch, Proof::Found) {
        Met::Target(found) => Some(found),
        Met::Bystander | Met::Open => None,
    }
}

/// Puts the ends as the target's socket has them in the place of the packet's, if they are known.
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a value that is passed would lie on the stack"
)]
#[inline(always)]
fn translate(skb: *mut __sk_buff, scratch: &mut Scratch) -> Option<()> {
    if INJ_FLOWS_KNOWN.get(0).is_none_or(|known| *known == 0) {
        return None;
    }
    // SAFETY: the values of the map are replaced whole.
    match unsafe { INJ_FLOWS.get(&scratch.arrival.ends) } {
        Some(own) => scratch.arrival.ends = *own,
        None if is_at_door(skb, scratch) => {}
        None => return None,
    }
    Some(())
}

/// Whether the like of the packet has reached the target before and the host would not forward it now. Of TCP
/// only what asks for a connection: any other segment has a socket of its own, or is for another process or host.
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a value that is passed would lie on the stack"
)]
#[inline(always)]
fn is_at_door(skb: *mut __sk_buff, scratch: &mut Scratch) -> bool {
    let Scratch {
        headers, arrival, ..
    } = scratch;
    if !headers.is_udp() && !headers.asks_to_connect() {
        return false;
    }
    arrival.door = Flow {
        remote: [0; 16],
        remote_port: 0,
        ..arrival.ends
    };
    // SAFETY: the values of the map are replaced whole.
    let is_door = unsafe { INJ_FLOWS.get(&arrival.door) }.is_some();
    is_door && !is_forwarded(skb, headers, &mut arrival.route)
}

/// Looks a socket up by the ends, and says whose it is.
#[inline(always)]
fn meet(skb: *mut __sk_buff, scratch: &mut Scratch, proof: Proof) -> Met {
    let sk = look_up(skb, scratch);
    if sk.0.is_null() {
        return Met::Open;
    }
    let full = gate::full_socket(sk.0);
    if full.is_null() {
        sk.release();
        return Met::Bystander;
    }
    let Some(admitted) = gate::admit_known(full) else {
        sk.release();
        return Met::Bystander;
    };
    // A connection request is found by both its ends, though the listener answers for it.
    // SAFETY: a plain field of a socket that is there.
    let is_connected = unsafe { (*full).dst_port != 0 } || !gate::is_full_socket(sk.0);
    if !is_connected && matches!(proof, Proof::Connected) {
        sk.release();
        return Met::Open;
    }
    Met::Target(Found {
        sk,
        full,
        tag: admitted.tag,
        scope: admitted.scope,
    })
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
fn put_wire(headers: &Headers, ends: &mut Flow) {
    ends.remote = headers.source;
    ends.local = headers.dest;
    ends.remote_port = headers.source_port;
    ends.local_port = headers.dest_port;
    ends.protocol = if headers.is_tcp() || headers.is_udp() {
        u32::from(headers.protocol)
    } else {
        0
    };
}

/// Whether the host would send the packet on, by its routes (net/core/filter.c, `bpf_ipv4_fib_lookup`): what is
/// for this host, has no route, or may not be forwarded, is not.
#[inline(always)]
fn is_forwarded(skb: *mut __sk_buff, headers: &Headers, route: &mut bpf_fib_lookup) -> bool {
    // SAFETY: all zero is a valid value of a struct of integers.
    *route = unsafe { core::mem::zeroed() };
    route.l4_protocol = headers.protocol;
    route.sport = headers.source_port.to_be();
    route.dport = headers.dest_port.to_be();
    if headers.is_v4 != 0 {
        route.family = AF_INET;
        route.__bindgen_anon_3.ipv4_src = word(&headers.source, 12);
        route.__bindgen_anon_4.ipv4_dst = word(&headers.dest, 12);
    } else {
        route.family = AF_INET6;
        route.__bindgen_anon_3.ipv6_src = words(&headers.source);
        route.__bindgen_anon_4.ipv6_dst = words(&headers.dest);
    }
    // SAFETY: a plain context field; the helper reads and writes the struct, which is all ours.
    let answer = unsafe {
        route.ifindex = (*skb).ifindex;
        fib_lookup(skb.cast(), route, size_of::<bpf_fib_lookup>() as i32, 0)
    };
    answer != i64::from(BPF_FIB_LKUP_RET_NOT_FWDED)
        && answer != i64::from(BPF_FIB_LKUP_RET_FWD_DISABLED)
}

/// Finds the socket for the ends, in the device's own network namespace.
#[inline(always)]
fn look_up(skb: *mut __sk_buff, scratch: &mut Scratch) -> Held {
    /// `BPF_F_CURRENT_NETNS`.
    const CURRENT: u64 = u64::MAX;
    let Arrival { ends, tuple, .. } = &mut scratch.arrival;
    let (sport, dport) = (ends.remote_port.to_be(), ends.local_port.to_be());
    let size = if scratch.headers.is_v4 != 0 {
        tuple.__bindgen_anon_1.ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
            saddr: word(&ends.remote, 12),
            daddr: word(&ends.local, 12),
            sport,
            dport,
        };
        size_of::<bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1>()
    } else {
        tuple.__bindgen_anon_1.ipv6 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 {
            saddr: words(&ends.remote),
            daddr: words(&ends.local),
            sport,
            dport,
        };
        size_of::<bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2>()
    };
    // SAFETY: the tuple is all ours, and the sizes are those of its two forms.
    Held(unsafe {
        match ends.protocol {
            6 => bpf_skc_lookup_tcp(skb.cast(), tuple, size as u32, CURRENT, 0),
            17 => bpf_sk_lookup_udp(skb.cast(), tuple, size as u32, CURRENT, 0),
            _ => core::ptr::null_mut(),
        }
    })
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
