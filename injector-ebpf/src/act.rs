//! Carries a verdict out on a packet at a device.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_INGRESS, tcx_action_base::TCX_NEXT},
    helpers::generated::{
        bpf_clone_redirect, bpf_l4_csum_replace, bpf_redirect, bpf_skb_load_bytes,
        bpf_skb_store_bytes,
    },
};
use injector_common::frame::{Direction, ETHERNET, META_AT, Meta};

use crate::{
    device, emit, gate,
    maps::{INJ_COUNTERS, INJ_DEVICE_AT, INJ_RULES, INJ_TAP, Scratch},
    packet::Headers,
};

/// An interface index that no device has. A redirect there loses the packet without telling the sender
/// (net/core/filter.c, `skb_do_redirect`), as a wire would: TCP retransmits, UDP senders see success.
/// Dropping at egress instead would be reported to the sender as local congestion.
const NOWHERE: u32 = i32::MAX as u32;

/// The most payload bytes that damage is drawn from: enough for any one segment of a real device.
const DAMAGE_WITHIN: u32 = 1024;

/// Acts on a packet; the program's return value.
#[inline(always)]
pub fn act(skb: *mut __sk_buff, direction: Direction, scratch: &Scratch) -> i32 {
    let verdict = &scratch.walk.verdict;
    if verdict.lost != 0 {
        // SAFETY: redirect only notes the destination.
        return unsafe { bpf_redirect(NOWHERE, 0) as i32 };
    }
    if verdict.corrupt != 0 {
        corrupt_counted(skb, scratch);
    }
    let tap = if verdict.line != 0 {
        to_line(skb, direction, scratch.walk.scope, verdict.line)
    } else {
        0
    };
    if verdict.duplicate != 0 {
        duplicate(skb, direction, tap);
    }
    if tap == 0 {
        return TCX_NEXT;
    }
    // SAFETY: as above.
    unsafe { bpf_redirect(tap, 0) as i32 }
}

/// Writes the six bytes for the delay line into the frame; the TAP's index, or 0 where the frame
/// cannot go there (no TAP, unknown device) and is let by.
#[inline(always)]
fn to_line(skb: *mut __sk_buff, direction: Direction, scope: u32, slots: u32) -> u32 {
    // SAFETY: a plain context field.
    let ifindex = unsafe { (*skb).ifindex };
    // SAFETY: the map's values are replaced whole and never removed while the run is armed.
    let Some(device) = (unsafe { INJ_DEVICE_AT.get(ifindex) }) else {
        return 0;
    };
    let Some(tap) = INJ_TAP.get(0) else { return 0 };
    let meta = Meta {
        direction,
        scope: scope as u16,
        device: *device as u16,
        slots,
    }
    .encode();
    // SAFETY: six bytes from our stack into the frame's source MAC address.
    let stored = unsafe { bpf_skb_store_bytes(skb, META_AT as u32, meta.as_ptr().cast(), 6, 0) };
    if stored == 0 { *tap } else { 0 }
}

/// Sends a copy first: into the delay line when the original goes there, else through the device.
/// A copy at egress has no socket and is therefore let by; at ingress the mark says so.
#[inline(always)]
fn duplicate(skb: *mut __sk_buff, direction: Direction, tap: u32) {
    // SAFETY: plain context fields; the helper copies the packet and takes care of the copy.
    unsafe {
        if tap != 0 {
            bpf_clone_redirect(skb, tap, 0);
            return;
        }
        let ifindex = (*skb).ifindex;
        match direction {
            Direction::Egress => {
                bpf_clone_redirect(skb, ifindex, 0);
            }
            Direction::Ingress => {
                let mark = (*skb).tc_index;
                (*skb).tc_index = device::own_mark();
                bpf_clone_redirect(skb, ifindex, u64::from(BPF_F_INGRESS));
                (*skb).tc_index = mark;
            }
        }
    }
}

/// Damages the payload and counts the hit only when it was damaged.
#[inline(always)]
fn corrupt_counted(skb: *mut __sk_buff, scratch: &Scratch) {
    let walk = &scratch.walk;
    let rule = walk.verdict.corrupt - 1;
    let damaged = corrupt(skb, &scratch.headers, walk.verdict.random).is_some();
    let Some(counters) = INJ_COUNTERS.get_ptr_mut(rule) else {
        return;
    };
    // SAFETY: a per-CPU slot that user space only reads.
    let counters = unsafe { &mut *counters };
    if damaged {
        counters.hit_at(gate::now());
        counters.bytes += u64::from(walk.bytes);
        if INJ_RULES.get(rule).is_some_and(|rule| rule.tell != 0) {
            emit::hit(rule, 0, &walk.packet, walk.bytes);
        }
    } else {
        counters.missed += 1;
    }
}

/// Changes one byte of the payload to another value and repairs the checksum.
///
/// The checksum is replaced without the pseudo-header flag: the kernel then leaves a checksum that is
/// still to be computed alone and updates one that is complete (net/core/utils.c,
/// `inet_proto_csum_replace4`). Bytes change in pairs on even offsets, as the sum counts them.
#[inline(always)]
fn corrupt(skb: *mut __sk_buff, headers: &Headers, random: u64) -> Option<()> {
    // SAFETY: a plain context field.
    let length = unsafe { (*skb).len };
    let payload = ETHERNET as u32 + u32::from(headers.payload_at);
    let transport = ETHERNET as u32 + u32::from(headers.transport_at);
    let available = headers.payload_bytes(length).min(DAMAGE_WITHIN);
    if available == 0 {
        return None;
    }
    let offset = (random as u32 & 0xffff) % available;
    // A change that is never zero.
    let change = ((random >> 16) as u8).max(1);
    let at = payload + offset;
    // The pair that holds the byte; an odd last byte is summed with a zero behind it.
    let pair = at & !1;
    let mut old = [0u8; 2];
    let width = if pair + 1 < payload + headers.payload_bytes(length) {
        2
    } else {
        1
    };
    load_pair(skb, pair, &mut old, width)?;
    // By a shift, because the verifier lets no unknown number near a pointer to the stack.
    let new = (u16::from_le_bytes(old) ^ u16::from(change) << ((at & 1) * 8)).to_le_bytes();
    let field = transport + if headers.is_tcp() { 16 } else { 6 };
    // SAFETY: the helper checks the offset; `old` and `new` are passed by value as the sum sees them.
    let replaced = unsafe {
        bpf_l4_csum_replace(
            skb,
            field,
            u64::from(u16::from_ne_bytes(old)),
            u64::from(u16::from_ne_bytes(new)),
            2 | if headers.is_udp() { MARK_MANGLED_0 } else { 0 },
        )
    };
    if replaced != 0 {
        return None;
    }
    store_pair(skb, pair, new, width)
}

/// `BPF_F_MARK_MANGLED_0`: a UDP checksum of zero means "none" and stays so.
const MARK_MANGLED_0: u64 = 1 << 5;

#[inline(always)]
fn load_pair(skb: *mut __sk_buff, at: u32, into: &mut [u8; 2], width: u32) -> Option<()> {
    // SAFETY: at most two bytes onto our stack; the helper checks the packet's bounds.
    let result = unsafe {
        if width == 2 {
            bpf_skb_load_bytes(skb.cast(), at, into.as_mut_ptr().cast(), 2)
        } else {
            bpf_skb_load_bytes(skb.cast(), at, into.as_mut_ptr().cast(), 1)
        }
    };
    (result == 0).then_some(())
}

#[inline(always)]
fn store_pair(skb: *mut __sk_buff, at: u32, bytes: [u8; 2], width: u32) -> Option<()> {
    // SAFETY: as for `load_pair`; the kernel makes the packet private first, so that what TCP would
    // send again stays whole (net/core/filter.c, `bpf_try_make_writable`).
    let result = unsafe {
        if width == 2 {
            bpf_skb_store_bytes(skb, at, bytes.as_ptr().cast(), 2, 0)
        } else {
            bpf_skb_store_bytes(skb, at, bytes.as_ptr().cast(), 1, 0)
        }
    };
    (result == 0).then_some(())
}
