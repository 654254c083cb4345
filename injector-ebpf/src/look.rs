//! Looks through the open files of one process for its sockets, when user space asks for it: an iterator over
//! files (`kernel/bpf/task_iter.c`), which the kernel runs once for each file and no other process ever meets.
//!
//! It puts the tag on sockets without one, and tells of TCP connections that a reset has not asked yet.
//!
//! Rejected: an iterator over TCP connections (`iter/tcp`). It knows neither whose they are nor by which descriptor
//! to reach them, and walks those of all bystanders.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{bpf_sock, file, seq_file, task_struct},
    helpers::generated::{
        bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_seq_write, bpf_skc_to_tcp_sock,
        bpf_sock_from_file,
    },
};
use injector_common::{
    look::{BUSY_US, FOUND, Found, Look},
    tag::Tag,
};

use crate::{
    claim,
    maps::{
        INJ_LOOK, INJ_TAGS, OFFSET_SOCK_FAMILY, OFFSET_SOCK_STATE, OFFSET_SOCKET_SK,
        OFFSET_TCP_COPIED, OFFSET_TCP_RECEIVED, OFFSET_TCP_STAMP, OFFSET_TCP_UNACKED,
        OFFSET_TCP_WRITTEN, OFFSET_TGID,
    },
};

/// The context (`kernel/bpf/task_iter.c`, `struct bpf_iter__task_file`).
#[repr(C)]
struct OfFile {
    meta: *const Meta,
    task: *const task_struct,
    fd: u64,
    file: *mut file,
}

/// `struct bpf_iter_meta`, as far as it is read.
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
}

/// `AF_INET` and `AF_INET6`.
const FAMILIES: [u16; 2] = [2, 10];

/// `TCP_ESTABLISHED` of `include/net/tcp_states.h`.
const ESTABLISHED: u8 = 1;

/// One file of the process. 0 goes on to the next.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/inj_look")]
extern "C" fn inj_look(context: *mut c_void) -> i32 {
    // SAFETY: this is the context of such an iterator; the verifier checks each access.
    let (meta, task, fd, file) = unsafe {
        let context = context.cast::<OfFile>();
        (
            (*context).meta,
            (*context).task,
            (*context).fd as u32,
            (*context).file,
        )
    };
    // Behind the last file comes a call without one.
    if task.is_null() || file.is_null() {
        return 0;
    }
    let Some(look) = INJ_LOOK.get(0) else {
        return 0;
    };
    let tgid: u32 = claim::field(task, OFFSET_TGID.load());
    if tgid != look.tgid || claim::start_ticks(claim::leader(task)) != look.start_ticks {
        return 0;
    }
    // SAFETY: a file of the kernel's, which holds it meanwhile.
    let socket = unsafe { bpf_sock_from_file(file) };
    if socket.is_null() {
        return 0;
    }
    let sk: *mut bpf_sock = claim::field(socket.cast(), OFFSET_SOCKET_SK.load());
    if sk.is_null() {
        return 0;
    }
    let family: u16 = claim::field(sk.cast(), OFFSET_SOCK_FAMILY.load());
    if family != FAMILIES[0] && family != FAMILIES[1] {
        return 0;
    }
    let mut tag = INJ_TAGS.get(sk);
    if tag.is_null() {
        let mut fresh = Tag::new(look.scope, look.origin, cookie(sk));
        tag = INJ_TAGS.get_or_insert(sk, &mut fresh);
    }
    if tag.is_null() {
        return 0;
    }
    let state: u8 = claim::field(sk.cast(), OFFSET_SOCK_STATE.load());
    if look.ask_any | look.ask_busy | look.ask_idle == 0 || state != ESTABLISHED {
        return 0;
    }
    // SAFETY: the storage lives as long as the socket.
    let asked = unsafe { (*tag).asked };
    tell(meta, look, asked, sk, fd);
    0
}

#[inline(always)]
fn cookie(sk: *mut bpf_sock) -> u64 {
    // SAFETY: a socket of the kernel's, checked for null.
    unsafe { bpf_get_socket_cookie(sk.cast()) }
}

/// Tells of a connection that is to be asked.
#[inline(always)]
fn tell(meta: *const Meta, look: &Look, asked: u32, sk: *mut bpf_sock, fd: u32) {
    // SAFETY: a socket of the kernel's; null for one that is not TCP.
    let tcp = unsafe { bpf_skc_to_tcp_sock(sk.cast()) };
    if tcp.is_null() {
        return;
    }
    let slots = look.asking(asked, may_be_busy(tcp.cast()));
    if slots == 0 {
        return;
    }
    let found = Found {
        cookie: cookie(sk),
        fd,
        slots,
    };
    // SAFETY: the iterator's own file, and a record of the length that is said. Where the file is full the kernel
    // comes back with the same file after it was read (kernel/bpf/bpf_iter.c, `bpf_seq_read`).
    unsafe {
        bpf_seq_write(
            (*meta).seq,
            (&raw const found).cast::<c_void>(),
            FOUND as u32,
        );
    }
}

/// Whether something is unread or unacknowledged, or a segment of any kind has passed a moment ago. User space
/// looks again, whether that segment had data: only an acknowledgement or a probe may have passed.
#[inline(always)]
fn may_be_busy(tcp: *const task_struct) -> bool {
    let received: u32 = claim::field(tcp, OFFSET_TCP_RECEIVED.load());
    let copied: u32 = claim::field(tcp, OFFSET_TCP_COPIED.load());
    let written: u32 = claim::field(tcp, OFFSET_TCP_WRITTEN.load());
    let unacked: u32 = claim::field(tcp, OFFSET_TCP_UNACKED.load());
    let stamp_us: u64 = claim::field(tcp, OFFSET_TCP_STAMP.load());
    // SAFETY: the helper has no preconditions. It is the clock of the stamp (net/ipv4/tcp_output.c,
    // `tcp_mstamp_refresh`).
    let now_us = unsafe { bpf_ktime_get_ns() } / 1_000;
    received != copied || written != unacked || now_us.saturating_sub(stamp_us) < BUSY_US
}
