//! The gate: the first call of every program. Whose is it, and may anything fire at all?
//!
//! The cheapest question comes first: a packet whose socket has no tag is a bystander's and costs one
//! look-up; the clock is read for targets only. A tag is worth nothing without a live lease, so the
//! order changes the price and never the answer.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::{bpf_get_listener_sock, bpf_ktime_get_boot_ns, bpf_sk_fullsock},
};
use injector_common::tag::Tag;

use crate::maps::{INJ_LEASE, INJ_TAGS};

/// A packet or call that belongs to a target while the lease is live.
#[derive(Clone, Copy)]
pub struct Admitted {
    /// The target.
    pub scope: u32,
    /// The tag itself, for the connection's age.
    pub tag: *mut Tag,
}

/// The boot clock.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Whether the lease is live.
#[inline(always)]
pub fn is_armed() -> bool {
    let now = now();
    INJ_LEASE.get(0).is_some_and(|lease| lease.is_live(now))
}

/// The full socket behind a socket pointer: itself, or the listener of a connection request.
#[inline(always)]
pub fn full_socket(sk: *mut bpf_sock) -> *mut bpf_sock {
    if sk.is_null() {
        return sk;
    }
    // SAFETY: `sk` is a socket pointer of the kernel's, checked for null.
    let full = unsafe { bpf_sk_fullsock(sk) };
    if !full.is_null() {
        return full;
    }
    // SAFETY: as above. A SYN-ACK leaves from a request socket; its listener answers for it
    // (net/core/filter.c, `bpf_get_listener_sock`).
    unsafe { bpf_get_listener_sock(sk) }
}

/// Whether a socket pointer is a full socket itself, and no connection request that its listener
/// answers for. Null is not.
#[inline(always)]
pub fn is_full_socket(sk: *mut bpf_sock) -> bool {
    // SAFETY: `sk` is a socket pointer of the kernel's, checked for null.
    !sk.is_null() && !unsafe { bpf_sk_fullsock(sk) }.is_null()
}

/// Admits a full socket (or null, which is refused).
#[inline(always)]
pub fn admit(sk: *mut bpf_sock) -> Option<Admitted> {
    if sk.is_null() {
        return None;
    }
    admit_known(sk)
}

/// Admits a full socket that is there for certain.
#[inline(always)]
pub fn admit_known(sk: *mut bpf_sock) -> Option<Admitted> {
    let tag = INJ_TAGS.get(sk);
    if tag.is_null() {
        return None;
    }
    admit_tag(tag)
}

/// Admits the packet of a context that knows its socket.
///
/// The look-up itself refuses what is no full socket (`net/core/bpf_sk_storage.c`,
/// `bpf_sk_storage_get`), so a bystander's packet costs that one call; only a connection request, whose
/// listener answers for it, is looked at twice.
#[inline(always)]
pub fn admit_packet(skb: *mut __sk_buff) -> Option<Admitted> {
    // SAFETY: `skb` is the program's own context; the verifier checks the field.
    let sk = unsafe { (*skb).__bindgen_anon_2.sk };
    if sk.is_null() {
        return None;
    }
    let tag = INJ_TAGS.get(sk);
    if !tag.is_null() {
        return admit_tag(tag);
    }
    // SAFETY: a plain field of a socket that was checked for null.
    if unsafe { (*sk).state } != CONNECTION_REQUEST {
        return None;
    }
    admit(full_socket(sk))
}

/// `TCP_NEW_SYN_RECV` of `include/net/tcp_states.h`.
const CONNECTION_REQUEST: u32 = 12;

#[inline(always)]
fn admit_tag(tag: *mut Tag) -> Option<Admitted> {
    // SAFETY: the storage lives as long as the socket, and the program holds the socket.
    let scope = unsafe { (*tag).scope() }?;
    is_armed().then_some(Admitted { scope, tag })
}
