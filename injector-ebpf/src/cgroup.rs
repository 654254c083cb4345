//! The programs on cgroups: they tag sockets, lose packets on their way in, and fail `connect(2)` or send it elsewhere.
//!
//! A program for a target cgroup is attached to that cgroup, so bystanders never run it. A target
//! that is a process needs the root of the hierarchy, where the gate sends bystanders away.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock, bpf_sock_addr},
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{
            bpf_get_current_ancestor_cgroup_id, bpf_get_socket_cookie, bpf_skb_ancestor_cgroup_id,
        },
    },
    macros::{cgroup_skb, cgroup_sock, cgroup_sock_addr},
    programs::{SkBuffContext, SockAddrContext, SockContext},
};
use injector_common::{
    filter::{Packet, bits},
    relay::Wanted,
    tag::Tag,
};

use crate::{
    address,
    claim::{cgroup_scope, claim, process_scope},
    gate,
    maps::{INJ_ACTIVE, INJ_CONNECTING, INJ_TAGS, INJ_WANTED, Owner, scratch},
    operations,
    packet::{self, v4_mapped},
    relay,
    rules::{self, Verdict, Walk},
};

/// The kernel goes on with the packet or call.
const PASS: i32 = 1;
/// The kernel drops the packet or fails the call.
const REFUSE: i32 = 0;

/// Tags a socket that a process of a target cgroup makes.
#[cgroup_sock(sock_create)]
pub fn inj_born_cgroup(ctx: SockContext) -> i32 {
    if gate::is_armed() {
        // SAFETY: the helper takes any level; 0 is "no such ancestor".
        let scope = cgroup_scope(|level| unsafe { bpf_get_current_ancestor_cgroup_id(level) });
        born(ctx.sock, scope);
    }
    PASS
}

/// Tags a socket that a target process makes.
#[cgroup_sock(sock_create)]
pub fn inj_born_process(ctx: SockContext) -> i32 {
    if let Some(scope) = process_scope()
        && gate::is_armed()
    {
        born(ctx.sock, Some(scope));
    }
    PASS
}

#[inline(always)]
fn born(sock: *mut bpf_sock, scope: Option<u32>) {
    if let Some(scope) = scope {
        // SAFETY: the helper takes the program's context.
        let cookie = unsafe { bpf_get_socket_cookie(sock.cast()) };
        claim(sock, scope, Tag::NEW, cookie);
    }
}

/// Tags a socket of a target cgroup when it sends, where it has no tag yet.
#[cgroup_skb(egress)]
pub fn inj_claim_out(ctx: SkBuffContext) -> i32 {
    claim_packet(ctx.skb.skb);
    PASS
}

/// Tags a socket of a target cgroup when it receives, where it has no tag yet.
#[cgroup_skb(ingress)]
pub fn inj_claim_in(ctx: SkBuffContext) -> i32 {
    claim_packet(ctx.skb.skb);
    PASS
}

#[inline(always)]
fn claim_packet(skb: *mut __sk_buff) {
    // SAFETY: a plain context field.
    let sk = gate::full_socket(unsafe { (*skb).__bindgen_anon_2.sk });
    if sk.is_null() || !INJ_TAGS.get(sk).is_null() || !gate::is_armed() {
        return;
    }
    // SAFETY: the helpers take the program's context; any level is allowed.
    let (scope, cookie) = unsafe {
        (
            cgroup_scope(|level| bpf_skb_ancestor_cgroup_id(skb, level)),
            bpf_get_socket_cookie(skb.cast()),
        )
    };
    if let Some(scope) = scope {
        claim(sk, scope, Tag::EXISTING, cookie);
    }
}

/// Loses packets on their way into a target's socket. TCP takes it for loss on the wire
/// (`net/ipv4/tcp_ipv4.c`, `tcp_filter`), and the sender learns nothing.
#[cgroup_skb(ingress)]
pub fn inj_deliver(ctx: SkBuffContext) -> i32 {
    let skb = ctx.skb.skb;
    let Some(admitted) = gate::admit_packet(skb) else {
        return PASS;
    };
    if try_deliver(skb, &admitted).unwrap_or(false) {
        REFUSE
    } else {
        PASS
    }
}

#[inline(always)]
fn try_deliver(skb: *mut __sk_buff, admitted: &gate::Admitted) -> Option<bool> {
    let mask = INJ_ACTIVE.get(admitted.scope)?.deliver;
    if mask == 0 {
        return None;
    }
    // SAFETY: the tag was checked by the gate; the helper takes the program's context.
    let is_new = unsafe { (*admitted.tag).is_new(bpf_get_socket_cookie(skb.cast())) };
    let scratch = scratch(Owner::Deliver)?;
    packet::read(skb, &mut scratch.headers)?;
    let walk = &mut scratch.walk;
    walk.mask = mask;
    walk.scope = admitted.scope;
    walk.has_payload = 0;
    // SAFETY: a plain context field.
    walk.bytes = unsafe { (*skb).len };
    walk.packet = scratch.headers.sent_to_target(is_new);
    walk.verdict = Verdict::NOTHING;
    rules::evaluate(walk);
    Some(walk.verdict.lost != 0)
}

/// Fails `connect(2)` of IPv4 sockets, or sends it to the relay.
#[cgroup_sock_addr(connect4)]
pub fn inj_connect4(ctx: SockAddrContext) -> i32 {
    let addr = ctx.sock_addr;
    let (pass, wanted) = connect(addr, v4_mapped(address::v4(addr)));
    if let Some(mut wanted) = wanted {
        relay::divert_v4(addr, &mut wanted);
    }
    pass
}

/// The same of IPv6 sockets, v4-mapped addresses included.
#[cgroup_sock_addr(connect6)]
pub fn inj_connect6(ctx: SockAddrContext) -> i32 {
    let addr = ctx.sock_addr;
    let (pass, wanted) = connect(addr, address::v6(addr));
    if let Some(mut wanted) = wanted {
        wanted.by_v6 = u32::from(!relay::is_mapped(&wanted.remote));
        relay::divert_v6(addr, &mut wanted);
    }
    pass
}

/// What the call is to return, and where the socket wanted to go, where it is to go to the relay.
#[inline(always)]
fn connect(addr: *mut bpf_sock_addr, remote: [u8; 16]) -> (i32, Option<Wanted>) {
    // SAFETY: plain context fields, `sk` is a full socket in these hooks.
    let (sk, port, protocol) = unsafe {
        (
            (*addr).__bindgen_anon_1.sk,
            (*addr).user_port,
            (*addr).protocol,
        )
    };
    let Some(admitted) = gate::admit(sk) else {
        return (PASS, None);
    };
    // What a former connection of the socket wanted is no more.
    INJ_WANTED.delete(sk);
    let Some(active) = INJ_ACTIVE.get(admitted.scope) else {
        return (PASS, None);
    };
    let transport = match protocol {
        6 => bits::TCP,
        17 => bits::UDP,
        1 | 58 => bits::ICMP,
        _ => bits::OTHER,
    };
    let thread = bpf_get_current_pid_tgid();
    if active.connect == 0 || INJ_CONNECTING.insert(thread, Walk::NOWHERE, 0).is_err() {
        return (PASS, None);
    }
    let (errno, relay) = match INJ_CONNECTING.get_ptr_mut(thread) {
        // SAFETY: the entry is this thread's, which is here and nowhere else until it is removed.
        Some(walk) => unsafe {
            (*walk).mask = active.connect;
            (*walk).scope = admitted.scope;
            (*walk).packet = Packet {
                remote,
                remote_port: u16::from_be(port as u16),
                local_port: 0,
                transport,
                is_new: 1,
            };
            rules::evaluate(&mut *walk);
            ((*walk).verdict.errno, (*walk).verdict.relay)
        },
        None => (0, 0),
    };
    // Absent is as good as removed.
    let _ = INJ_CONNECTING.remove(thread);
    if errno == 0 {
        let wanted = Wanted {
            remote,
            port: u32::from(u16::from_be(port as u16)),
            scope: admitted.scope,
            by_v6: 0,
            slots: relay,
        };
        let is_relayed = relay != 0 && transport == bits::TCP;
        return (PASS, is_relayed.then_some(wanted));
    }
    if transport == bits::TCP {
        operations::refused(admitted.scope, errno, remote, u16::from_be(port as u16));
    }
    address::fail_with(errno);
    (REFUSE, None)
}
