//! The programs on devices: TCX egress and ingress, and the TAP's way back.

use aya_ebpf::{
    EbpfContext,
    bindings::{
        __sk_buff, BPF_F_INGRESS,
        tcx_action_base::{TCX_DROP, TCX_NEXT},
    },
    helpers::generated::{
        bpf_get_socket_cookie, bpf_redirect, bpf_sk_fullsock, bpf_skb_change_type,
        bpf_skb_load_bytes, bpf_skb_store_bytes,
    },
    macros::classifier,
    programs::TcContext,
};
use injector_common::{
    frame::{Direction, META_AT, Meta},
    met,
    tag::Tag,
};

use crate::{
    act, arrival,
    ends::PACKET_HOST,
    gate,
    maps::{INJ_ACTIVE, INJ_DEVICES, INJ_TAP, Owner, Scratch, scratch},
    packet,
    rules::{self, Verdict},
};

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
    // SAFETY: plain context fields.
    let is_met =
        unsafe { met::is_met_elsewhere((*skb).tc_index, Direction::Egress, (*skb).ifindex) };
    if mask == 0 || is_met || has_vlan_tag(skb) {
        return None;
    }
    let scratch = scratch(Owner::Egress)?;
    packet::read(skb, &mut scratch.headers)?;
    mark(skb, Direction::Egress);
    scratch.walk.packet = scratch.headers.sent_by_target(is_new(skb, admitted.tag));
    // SAFETY: a plain context field.
    let sk = unsafe { (*skb).__bindgen_anon_2.sk };
    if !sk.is_null() {
        // SAFETY: the helper takes any socket, and this one was checked for null.
        let full = unsafe { bpf_sk_fullsock(sk) };
        arrival::as_socket_sees(full, scratch);
    }
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
    // SAFETY: plain context fields; `tc_index` is ours to write, see `met`.
    unsafe {
        if let Some(passed) = met::let_by((*skb).tc_index, (*skb).ifindex, own_mark) {
            (*skb).tc_index = passed;
            return TCX_NEXT;
        }
        if has_vlan_tag(skb) {
            return TCX_NEXT;
        }
    }
    try_ingress(skb).unwrap_or(TCX_NEXT)
}

#[inline(always)]
fn try_ingress(skb: *mut __sk_buff) -> Option<i32> {
    let scratch = scratch(Owner::Ingress)?;
    packet::read(skb, &mut scratch.headers)?;
    let scope = arrival::receiver(skb, scratch)?;
    let mask = INJ_ACTIVE.get(scope)?.ingress;
    if mask == 0 {
        return None;
    }
    mark(skb, Direction::Ingress);
    Some(walk(skb, Direction::Ingress, scope, mask, scratch))
}

/// The mark of what this run gives back.
#[inline(always)]
pub fn own_mark() -> u32 {
    met::returned_by(INJ_TAP.get(0).copied().unwrap_or(0))
}

/// Whether the frame belongs to a VLAN, at whose own device it is met. A tag of VLAN 0 is only a priority.
#[inline(always)]
fn has_vlan_tag(skb: *mut __sk_buff) -> bool {
    // SAFETY: plain context fields.
    unsafe { (*skb).vlan_present != 0 && (*skb).vlan_tci & 0xfff != 0 }
}

/// Says that the packet is met here, so that devices below or above this one let it by.
#[inline(always)]
fn mark(skb: *mut __sk_buff, direction: Direction) {
    // SAFETY: plain context fields; `tc_index` is ours to write, see `met`.
    unsafe { (*skb).tc_index = met::met_at(direction, (*skb).ifindex) };
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
    // took the frame for another host's, because its address is not the frame's. What goes in goes to
    // the device's own address: an answer made in a peer's place still carries the peer's.
    unsafe {
        bpf_skb_store_bytes(skb, META_AT as u32, device.mac.as_ptr().cast(), 6, 0);
        bpf_skb_change_type(skb, PACKET_HOST);
        if matches!(meta.direction, Direction::Ingress) {
            bpf_skb_store_bytes(skb, 0, device.mac.as_ptr().cast(), 6, 0);
            (*skb).tc_index = own_mark();
        }
        Some(bpf_redirect(device.ifindex, flags) as i32)
    }
}
