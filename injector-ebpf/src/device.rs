//! The programs on devices: TCX egress and ingress, and the TAP's way back.

use aya_ebpf::{
    EbpfContext,
    bindings::{
        __sk_buff, BPF_F_INGRESS, bpf_sock, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2,
        tcx_action_base::{TCX_DROP, TCX_NEXT},
    },
    helpers::generated::{
        bpf_get_socket_cookie, bpf_redirect, bpf_sk_lookup_udp, bpf_sk_release,
        bpf_skb_change_type, bpf_skb_load_bytes, bpf_skb_store_bytes, bpf_skc_lookup_tcp,
    },
    macros::classifier,
    programs::TcContext,
};
use injector_common::{
    frame::{Direction, META_AT, Meta},
    tag::Tag,
};

use crate::{
    act::{self, RETURNED},
    gate,
    maps::{INJ_ACTIVE, INJ_DEVICES, Owner, Scratch, scratch},
    packet::{self, Headers},
    rules::{self, Verdict},
};

/// `PACKET_HOST`: the packet is for this host.
const PACKET_HOST: u32 = 0;

/// Packets that a target sends, at every device of its network namespace.
#[classifier]
pub fn inj_egress(ctx: TcContext) -> i32 {
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    let Some(admitted) = gate::admit_packet(skb) else {
        return TCX_NEXT;
    };
    try_egress(skb, &admitted).unwrap_or(TCX_NEXT)
}

#[inline(always)]
fn try_egress(skb: *mut __sk_buff, admitted: &gate::Admitted) -> Option<i32> {
    let mask = INJ_ACTIVE.get(admitted.scope)?.egress;
    // SAFETY: plain context fields. A frame that carries a VLAN tag was seen on its VLAN device.
    if mask == 0 || unsafe { (*skb).vlan_present } != 0 {
        return None;
    }
    let scratch = scratch(Owner::Egress)?;
    packet::read(skb, &mut scratch.headers)?;
    if is_encapsulated(skb, &scratch.headers) {
        return None;
    }
    scratch.walk.packet = scratch.headers.sent_by_target(is_new(skb, admitted.tag));
    Some(walk(skb, Direction::Egress, admitted.scope, mask, scratch))
}

/// Asks the rules and acts.
#[inline(always)]
fn walk(
    skb: *mut __sk_buff,
    direction: Direction,
    scope: u32,
    mask: u32,
    scratch: &mut Scratch,
) -> i32 {
    // SAFETY: a plain context field.
    let length = unsafe { (*skb).len };
    scratch.walk.mask = mask;
    scratch.walk.scope = scope;
    scratch.walk.bytes = length;
    scratch.walk.has_payload = u32::from(scratch.headers.payload_bytes(length) != 0);
    scratch.walk.verdict = Verdict::NOTHING;
    rules::evaluate(&mut scratch.walk);
    #[cfg(feature = "debug-log")]
    crate::debug::verdict(skb, &scratch.walk);
    act::act(skb, direction, scratch)
}

/// Whether a tunnel has wrapped the target's packet since its socket sent it: the socket's own port is
/// not the packet's. Such a packet was seen on the tunnel's device.
#[inline(always)]
fn is_encapsulated(skb: *mut __sk_buff, headers: &Headers) -> bool {
    // SAFETY: plain context fields; the socket is checked for null.
    unsafe {
        let sk = (*skb).__bindgen_anon_2.sk;
        if sk.is_null() || headers.source_port == 0 {
            return false;
        }
        let port = (*sk).src_port;
        port != 0 && port != u32::from(headers.source_port)
    }
}

/// Whether the connection began after arming. An accepted socket's inherited tag is made its own
/// here, because ingress programs cannot ask a socket for its cookie.
///
/// A SYN-ACK leaves from a connection request with a cookie of its own, but its tag is the listener's:
/// it belongs to a new connection, and the listener, which may be old, keeps its tag.
#[inline(always)]
fn is_new(skb: *mut __sk_buff, tag: *mut Tag) -> bool {
    // SAFETY: the helper takes the program's context, `sk` is a plain field of it, and the tag was
    // checked by the gate.
    unsafe {
        let cookie = bpf_get_socket_cookie(skb.cast());
        let is_new = (*tag).is_new(cookie);
        let is_inherited = is_new && cookie != 0 && (*tag).origin == Tag::EXISTING;
        if is_inherited && gate::is_full_socket((*skb).__bindgen_anon_2.sk) {
            (*tag).origin = Tag::NEW;
            (*tag).cookie = cookie;
        }
        is_new
    }
}

/// Packets for a target, at every device of its network namespace; attached only when a rule needs
/// it, because the socket has to be looked up.
#[classifier]
pub fn inj_ingress(ctx: TcContext) -> i32 {
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    // SAFETY: plain context fields; `tc_index` is ours to clear, we set it.
    unsafe {
        if (*skb).tc_index == RETURNED {
            (*skb).tc_index = 0;
            return TCX_NEXT;
        }
        if (*skb).vlan_present != 0 {
            return TCX_NEXT;
        }
    }
    try_ingress(skb).unwrap_or(TCX_NEXT)
}

#[inline(always)]
fn try_ingress(skb: *mut __sk_buff) -> Option<i32> {
    let scratch = scratch(Owner::Ingress)?;
    packet::read(skb, &mut scratch.headers)?;
    let (scope, is_new) = receiver(skb, &scratch.headers)?;
    let mask = INJ_ACTIVE.get(scope)?.ingress;
    if mask == 0 {
        return None;
    }
    scratch.walk.packet = scratch.headers.sent_to_target(is_new);
    Some(walk(skb, Direction::Ingress, scope, mask, scratch))
}

/// The target that the packet is for, if any, and whether its connection is new.
#[inline(always)]
fn receiver(skb: *mut __sk_buff, headers: &Headers) -> Option<(u32, bool)> {
    let sk = look_up(skb, headers);
    if sk.is_null() {
        return None;
    }
    let found = gate::admit(gate::full_socket(sk)).map(|admitted| {
        // SAFETY: the tag lives as long as the socket, which is released only below.
        (
            admitted.scope,
            unsafe { (*admitted.tag).origin } == Tag::NEW,
        )
    });
    // SAFETY: the look-up took a reference, which is given back on every path.
    unsafe { bpf_sk_release(sk.cast()) };
    found
}

/// Finds the socket that will receive the packet, in the device's own network namespace.
#[inline(always)]
fn look_up(skb: *mut __sk_buff, headers: &Headers) -> *mut bpf_sock {
    /// `BPF_F_CURRENT_NETNS`.
    const CURRENT: u64 = u64::MAX;
    let (sport, dport) = (headers.source_port.to_be(), headers.dest_port.to_be());
    let mut tuple = if headers.is_v4 != 0 {
        let ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
            saddr: word(&headers.source, 12),
            daddr: word(&headers.dest, 12),
            sport,
            dport,
        };
        bpf_sock_tuple {
            __bindgen_anon_1: bpf_sock_tuple__bindgen_ty_1 { ipv4 },
        }
    } else {
        let ipv6 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 {
            saddr: words(&headers.source),
            daddr: words(&headers.dest),
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
        match (headers.is_tcp(), headers.is_udp(), headers.is_v4 != 0) {
            (true, _, true) => bpf_skc_lookup_tcp(skb.cast(), tuple, 12, CURRENT, 0),
            (true, _, false) => bpf_skc_lookup_tcp(skb.cast(), tuple, 36, CURRENT, 0),
            (_, true, true) => bpf_sk_lookup_udp(skb.cast(), tuple, 12, CURRENT, 0),
            (_, true, false) => bpf_sk_lookup_udp(skb.cast(), tuple, 36, CURRENT, 0),
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

/// Frames that the delay line gives back: reads the six bytes, puts the device's own address back and
/// sends the frame on its way. The lease is not asked: what is held must come out.
#[classifier]
pub fn inj_return(ctx: TcContext) -> i32 {
    try_return(ctx.as_ptr().cast()).unwrap_or(TCX_DROP)
}

#[inline(always)]
fn try_return(skb: *mut __sk_buff) -> Option<i32> {
    let mut bytes = [0u8; 6];
    // SAFETY: six bytes onto our stack; the helper checks the packet's bounds.
    let loaded =
        unsafe { bpf_skb_load_bytes(skb.cast(), META_AT as u32, bytes.as_mut_ptr().cast(), 6) };
    if loaded != 0 {
        return None;
    }
    let meta = Meta::decode(bytes);
    let device = INJ_DEVICES.get(u32::from(meta.device))?;
    if device.ifindex == 0 {
        return None;
    }
    let flags = match meta.direction {
        Direction::Egress => 0,
        Direction::Ingress => u64::from(BPF_F_INGRESS),
    };
    // SAFETY: six bytes from a map value into a MAC address; the type is the packet's own field: the TAP
    // took the frame for somebody else's, because its address is not the frame's. What goes in goes to
    // the device's own address: an answer made in a peer's place still carries the peer's.
    unsafe {
        bpf_skb_store_bytes(skb, META_AT as u32, device.mac.as_ptr().cast(), 6, 0);
        bpf_skb_change_type(skb, PACKET_HOST);
        if matches!(meta.direction, Direction::Ingress) {
            bpf_skb_store_bytes(skb, 0, device.mac.as_ptr().cast(), 6, 0);
            (*skb).tc_index = RETURNED;
        }
        Some(bpf_redirect(device.ifindex, flags) as i32)
    }
}
