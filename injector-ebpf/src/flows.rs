//! Whose is a packet that arrives? Learns at the sockets what the device cannot know.
//!
//! The programs here stand on cgroups, where the host has routed the packet, translated its addresses and found
//! its socket. They note in [`INJ_FLOWS`] at which addresses packets have reached a target, and count those that
//! no rule was asked about. What is noted says nothing about packets that never reach a target: those that are
//! forwarded, and those for a local address that is translated to another's.
//!
//! Rejected: `bpf_fib_lookup` alone, which knows nothing of translation and has one word for "local" and "no
//! route"; a list of local addresses from user space, which is late and knows nothing of translation either;
//! and acting here, since cgroup programs may not write to a packet nor send it elsewhere.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use injector_common::{
    flow::{Flow, Unjudged},
    frame::Direction,
    met,
};

use crate::{
    ends, gate,
    maps::{INJ_ACTIVE, INJ_FLOWS, INJ_FLOWS_KNOWN, INJ_UNJUDGED},
};

/// The kernel goes on with the packet.
const PASS: i32 = 1;

/// `LOOPBACK_IFINDEX` of `include/net/flow.h`: `lo` in every network namespace.
pub const LOOPBACK: u32 = 1;

/// Packets that have reached a target's socket.
#[cgroup_skb(ingress)]
pub fn inj_learn_in(ctx: SkBuffContext) -> i32 {
    let skb = ctx.skb.skb;
    if let Some(scope) = concerned(skb) {
        arrived(skb, scope);
    }
    PASS
}

/// Packets that a target's socket has sent, as they are on the wire.
#[cgroup_skb(egress)]
pub fn inj_learn_out(ctx: SkBuffContext) -> i32 {
    let skb = ctx.skb.skb;
    if concerned(skb).is_some() {
        sent(skb);
    }
    PASS
}

/// The target, where rules on what arrives are on and the packet came or goes over another device than `lo`,
/// which carries nothing but the host's own.
#[inline(always)]
fn concerned(skb: *mut __sk_buff) -> Option<u32> {
    // SAFETY: a plain context field.
    if unsafe { (*skb).ifindex } == LOOPBACK {
        return None;
    }
    let scope = gate::admit_packet(skb)?.scope;
    (INJ_ACTIVE.get(scope)?.ingress != 0).then_some(scope)
}

#[inline(always)]
fn arrived(skb: *mut __sk_buff, scope: u32) -> Option<()> {
    // SAFETY: a plain context field.
    let mark = unsafe { (*skb).tc_index };
    if met::is_met(mark, Direction::Ingress) {
        return None;
    }
    let flow = ends::arriving(skb)?;
    let sk = socket(skb)?;
    // SAFETY: a per-CPU slot that user space only reads.
    let unjudged: &mut Unjudged = unsafe { &mut *INJ_UNJUDGED.get_ptr_mut(scope)? };
    if ends::is_shared(skb, &flow.local) {
        unjudged.shared += 1;
        return None;
    }
    let door = flow.door();
    // SAFETY: plain fields of a full socket; the values of the map are replaced whole.
    let is_known = unsafe { (*sk).dst_port != 0 || INJ_FLOWS.get(door).is_some() };
    if is_known {
        unjudged.elsewhere += 1;
    } else {
        unjudged.first += 1;
        note(&door, &door);
    }
    Some(())
}

/// Notes where answers come from: of a socket that does not say itself which peer it talks to, and of one whose
/// addresses are others on the wire.
#[inline(always)]
fn sent(skb: *mut __sk_buff) -> Option<()> {
    let wire = ends::leaving(skb)?;
    let sk = socket(skb)?;
    let own = match ends::of_socket(sk) {
        Some(own) if own == wire => return None,
        Some(own) => own,
        // SAFETY: a plain field of a full socket.
        None if unsafe { (*sk).state } == ends::LISTEN => return None,
        None => Flow {
            // SAFETY: as above.
            local_port: unsafe { (*sk).src_port } as u16,
            ..wire
        },
    };
    // SAFETY: the values of the map are replaced whole.
    if unsafe { INJ_FLOWS.get(wire) }.is_none_or(|known| *known != own) {
        note(&wire, &own);
    }
    Some(())
}

#[inline(always)]
fn note(wire: &Flow, own: &Flow) {
    // Where the map cannot take it, packets are let by as before.
    if INJ_FLOWS.insert(wire, own, 0).is_ok() {
        let _ = INJ_FLOWS_KNOWN.set(0, 1, 0);
    }
}

/// The full socket of the packet.
#[inline(always)]
fn socket(skb: *mut __sk_buff) -> Option<*mut bpf_sock> {
    // SAFETY: a plain context field.
    let sk = gate::full_socket(unsafe { (*skb).__bindgen_anon_2.sk });
    (!sk.is_null()).then_some(sk)
}
