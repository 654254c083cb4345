//! The way through the relay: a connection of a target goes to a process of ours, and the target is told otherwise.
//!
//! [`divert_v4`] and [`divert_v6`] put the relay's address in place of the one that connect(2) was given. They ask first whether the socket may go another way than its own, whether the relay still
//! says that it serves, and whether the socket that listens at its port is its own: a relay that was killed listens no more,
//! and one that stands still says nothing, so new connections go straight on. Where the target wanted to go stays in the
//! socket's storage, from where [`inj_peer4`] and [`inj_peer6`] answer getpeername(2), and [`inj_relayed`] hands it to the
//! relay once the socket has a port: before the last segment of the handshake leaves, and so before the relay can accept.
//!
//! Rejected: to hand it over at connect(2), when the socket has no port yet (`tcp_v4_connect`);
//! `SO_ORIGINAL_DST`, which is netfilter's; and `bpf_bind` to an address of 127.0.0.0/8 that says it, of which IPv6 has one.

use aya_ebpf::{
    bindings::{
        bpf_sock, bpf_sock_addr, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2, task_struct,
    },
    helpers::generated::{
        bpf_get_socket_cookie, bpf_sk_lookup_tcp, bpf_sk_release, bpf_skc_to_tcp_sock,
    },
    macros::{btf_tracepoint, cgroup_sock_addr},
    programs::{BtfTracePointContext, SockAddrContext},
};
use injector_common::relay::{Relayed, Wanted, index};

use crate::{
    claim::field,
    ends, gate,
    maps::{
        INJ_LISTENERS, INJ_RELAY, INJ_RELAYED, INJ_WANTED, OFFSET_SOCK_FAMILY,
        OFFSET_SOCK_OWN_PORT, OFFSET_SOCK_OWN_V4, OFFSET_SOCK_OWN_V6, OFFSET_SOCK_PORT,
    },
    packet::v4_mapped,
};

/// The kernel goes on with the call.
const PASS: i32 = 1;

/// `BPF_F_CURRENT_NETNS`.
const OWN_NAMESPACE: u64 = u64::MAX;

const AF_INET: u32 = 2;

/// 127.0.0.1, in network order.
const LOOPBACK_V4: u32 = u32::from_ne_bytes([127, 0, 0, 1]);
/// The words of `::1`, in network order.
const LOOPBACK_V6: [u32; 4] = [0, 0, 0, 1_u32.to_be()];
/// The third word of a v4-mapped address.
const MAPPED: u32 = 0xffff_u32.to_be();

/// Sends a connection of an IPv4 socket to the relay, where there is one.
#[inline(always)]
pub fn divert_v4(addr: *mut bpf_sock_addr, wanted: &mut Wanted) {
    let Some(port) = place(addr, wanted) else {
        return;
    };
    // SAFETY: context fields that a program at connect4 may write.
    unsafe {
        (*addr).user_port = port;
        (*addr).user_ip4 = LOOPBACK_V4;
    }
}

/// The same of an IPv6 socket. What it wanted by IPv4 goes there by IPv4.
#[inline(always)]
pub fn divert_v6(addr: *mut bpf_sock_addr, wanted: &mut Wanted) {
    let Some(port) = place(addr, wanted) else {
        return;
    };
    let words = if wanted.by_v6 != 0 {
        LOOPBACK_V6
    } else {
        [0, 0, MAPPED, LOOPBACK_V4]
    };
    // SAFETY: context fields that a program at connect6 may write.
    unsafe {
        (*addr).user_port = port;
        write_v6(addr, words);
    }
}

/// Whether an address is one of IPv4.
#[inline(always)]
pub fn is_mapped(remote: &[u8; 16]) -> bool {
    remote[..10] == [0; 10] && remote[10] == 0xff && remote[11] == 0xff
}

/// The relay's port in network order, where it serves; where the socket wanted to go is written down then.
#[inline(always)]
fn place(addr: *mut bpf_sock_addr, wanted: &mut Wanted) -> Option<u32> {
    // SAFETY: a plain context field; a full socket in these hooks, as the gate has found.
    let sk = unsafe { (*addr).__bindgen_anon_1.sk };
    if sk.is_null() {
        return None;
    }
    let relay = INJ_RELAY.get(0)?;
    if !relay.serves(gate::now()) {
        return None;
    }
    let by_v6 = wanted.by_v6 != 0;
    let at = if by_v6 { relay.port_v6 } else { relay.port_v4 };
    if at == 0 || wanted.port == at || has_a_way_of_its_own(sk, wanted) {
        return None;
    }
    if is_nobody(addr, wanted) || !is_ours(addr, by_v6, at as u16) {
        return None;
    }
    // What a former connection wanted was forgotten when this one began.
    if INJ_WANTED.get_or_insert(sk, wanted).is_null() {
        return None;
    }
    Some(u32::from((at as u16).to_be()))
}

/// Whether the socket says itself how it goes: by a device, a mark, an address of its own, or a zone. The relay's would go
/// another way.
#[inline(always)]
fn has_a_way_of_its_own(sk: *mut bpf_sock, wanted: &Wanted) -> bool {
    // SAFETY: plain fields of a socket that was checked for null.
    let (device, mark, own) = unsafe { ((*sk).bound_dev_if, (*sk).mark, (*sk).src_ip4) };
    let is_link_local = wanted.remote[0] == 0xfe && wanted.remote[1] & 0xc0 == 0x80;
    device != 0 || mark != 0 || (wanted.by_v6 == 0 && own != 0) || is_link_local
}

/// Whether the wanted address is of the loopback device and no socket listens there: then the call is to fail, as it would
/// without the relay, so that a client goes on to the next address of a name.
#[inline(always)]
fn is_nobody(addr: *mut bpf_sock_addr, wanted: &Wanted) -> bool {
    let (remote, port) = (&wanted.remote, wanted.port as u16);
    if wanted.by_v6 != 0 {
        let is_loopback = remote[..15] == [0; 15] && remote[15] == 1;
        is_loopback && listener(addr, Place::V6, LOOPBACK_V4, port).is_none()
    } else {
        let to = u32::from_ne_bytes([remote[12], remote[13], remote[14], remote[15]]);
        remote[12] == 127 && listener(addr, Place::V4, to, port).is_none()
    }
}

/// Whether the relay's own socket listens there.
#[inline(always)]
fn is_ours(addr: *mut bpf_sock_addr, by_v6: bool, port: u16) -> bool {
    let place = if by_v6 { Place::V6 } else { Place::V4 };
    listener(addr, place, LOOPBACK_V4, port) == Some(Owned::ByRelay)
}

/// Where a listener is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At an IPv4 address.
    V4,
    /// At `::1`.
    V6,
}

/// Whose a socket is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owned {
    ByRelay,
    ByOthers,
}

/// Whose socket would answer at this port; `None` where none listens.
#[inline(always)]
fn listener(addr: *mut bpf_sock_addr, place: Place, to: u32, port: u16) -> Option<Owned> {
    // SAFETY: all zero is a tuple.
    let mut tuple: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    let size = match place {
        Place::V6 => {
            tuple.__bindgen_anon_1.ipv6 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 {
                saddr: LOOPBACK_V6,
                daddr: LOOPBACK_V6,
                sport: 0,
                dport: port.to_be(),
            };
            size_of::<bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2>()
        }
        Place::V4 => {
            tuple.__bindgen_anon_1.ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
                saddr: LOOPBACK_V4,
                daddr: to,
                sport: 0,
                dport: port.to_be(),
            };
            size_of::<bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1>()
        }
    };
    // SAFETY: the program's context and a tuple of the size that is said; the socket is let go of below.
    let found =
        unsafe { bpf_sk_lookup_tcp(addr.cast(), &raw mut tuple, size as u32, OWN_NAMESPACE, 0) };
    if found.is_null() {
        return None;
    }
    // SAFETY: a socket of the kernel's, held until it is let go of here.
    let (listens, ours) = unsafe {
        let listens = (*found).state == ends::LISTEN;
        let ours = listens && !INJ_LISTENERS.get(found).is_null();
        bpf_sk_release(found.cast());
        (listens, ours)
    };
    listens.then_some(if ours {
        Owned::ByRelay
    } else {
        Owned::ByOthers
    })
}

/// Writes an address word by word, as the verifier wants it.
///
/// # Safety
///
/// The program's kind may write these fields.
#[inline(always)]
unsafe fn write_v6(addr: *mut bpf_sock_addr, words: [u32; 4]) {
    // SAFETY: the caller says so; each word is written by itself.
    unsafe {
        core::ptr::write_volatile(&raw mut (*addr).user_ip6[0], words[0]);
        core::ptr::write_volatile(&raw mut (*addr).user_ip6[1], words[1]);
        core::ptr::write_volatile(&raw mut (*addr).user_ip6[2], words[2]);
        core::ptr::write_volatile(&raw mut (*addr).user_ip6[3], words[3]);
    }
}

/// getpeername(2) of an IPv4 socket: where the target wanted to go.
#[cgroup_sock_addr(getpeername4)]
pub fn inj_peer4(ctx: SockAddrContext) -> i32 {
    let addr = ctx.sock_addr;
    if let Some((remote, port)) = wanted(addr) {
        // SAFETY: context fields that this kind of program may write.
        unsafe {
            (*addr).user_ip4 = remote[3];
            (*addr).user_port = port;
        }
    }
    PASS
}

/// getpeername(2) of an IPv6 socket: where the target wanted to go.
#[cgroup_sock_addr(getpeername6)]
pub fn inj_peer6(ctx: SockAddrContext) -> i32 {
    let addr = ctx.sock_addr;
    if let Some((remote, port)) = wanted(addr) {
        // SAFETY: context fields that this kind of program may write.
        unsafe {
            write_v6(addr, remote);
            (*addr).user_port = port;
        }
    }
    PASS
}

/// Where the socket of a call wanted to go, in words of network order.
#[inline(always)]
fn wanted(addr: *mut bpf_sock_addr) -> Option<([u32; 4], u32)> {
    // SAFETY: a plain context field; a full socket in these hooks.
    let sk = unsafe { (*addr).__bindgen_anon_1.sk };
    if sk.is_null() {
        return None;
    }
    let wanted = INJ_WANTED.get(sk);
    if wanted.is_null() {
        return None;
    }
    // SAFETY: the storage lives as long as the socket.
    let Wanted { remote, port, .. } = unsafe { *wanted };
    let word = |at: usize| {
        u32::from_ne_bytes([remote[at], remote[at + 1], remote[at + 2], remote[at + 3]])
    };
    let words = [word(0), word(4), word(8), word(12)];
    Some((words, u32::from((port as u16).to_be())))
}

/// States of `include/net/tcp_states.h`.
const ESTABLISHED: i32 = 1;
const CLOSE: i32 = 7;

/// A connection changes its state: `(sk, old, new)`, `net/ipv4/af_inet.c`, `inet_sk_set_state`. One that was sent to the
/// relay is written down when it is made, and its end is noted when it closes.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inj_relayed(ctx: BtfTracePointContext) -> i32 {
    let sk: *mut bpf_sock = ctx.arg(0);
    let new: i32 = ctx.arg(2);
    if new == ESTABLISHED || new == CLOSE {
        let _ = turned(sk, new);
    }
    0
}

#[inline(always)]
fn turned(sk: *mut bpf_sock, new: i32) -> Option<()> {
    let wanted = INJ_WANTED.get(sk);
    if wanted.is_null() {
        return None;
    }
    // SAFETY: the helper takes any socket of the kernel's; null for one that is not TCP.
    if unsafe { bpf_skc_to_tcp_sock(sk.cast()) }.is_null() {
        return None;
    }
    // SAFETY: the storage lives as long as the socket, and the helper takes a socket of the kernel's.
    let (wanted, cookie) = unsafe { (*wanted, bpf_get_socket_cookie(sk.cast())) };
    let base: *const task_struct = sk.cast();
    let port: u16 = field(base, OFFSET_SOCK_OWN_PORT.load());
    let entry = INJ_RELAYED.get_ptr_mut(index(wanted.by_v6, port))?;
    if new == CLOSE {
        // SAFETY: a plain record; its port is this socket's until it has closed.
        unsafe {
            if (*entry).cookie == cookie {
                (*entry).closed_boot_ns = gate::now();
            }
        }
        return None;
    }
    let relay = INJ_RELAY.get(0)?;
    let at = if wanted.by_v6 != 0 {
        relay.port_v6
    } else {
        relay.port_v4
    };
    let far: u16 = field(base, OFFSET_SOCK_PORT.load());
    if u32::from(u16::from_be(far)) != at {
        return None;
    }
    let family: u16 = field(base, OFFSET_SOCK_FAMILY.load());
    let local = if u32::from(family) == AF_INET || wanted.by_v6 == 0 {
        v4_mapped(field::<[u8; 4]>(base, OFFSET_SOCK_OWN_V4.load()))
    } else {
        field::<[u8; 16]>(base, OFFSET_SOCK_OWN_V6.load())
    };
    // SAFETY: a plain record; its port is this socket's, and the relay reads it once the handshake is over.
    unsafe {
        *entry = Relayed {
            cookie,
            wanted,
            local,
            closed_boot_ns: 0,
        };
    }
    Some(())
}
