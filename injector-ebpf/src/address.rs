//! Calls that say an address: connect(2) and bind(2) of IPv4 and IPv6 sockets, at the cgroup's own hooks.
//!
//! They are the one place where a call can be made to fail on hosts that let no program near calls in general:
//! no BPF LSM, no trampoline, no kprobe. Unix sockets do not pass here, and that is why the planner takes this
//! for faults on IPv4 and IPv6 sockets alone.
//!
//! The hooks are attached to a target's cgroup, or to the root where a target is a process, as those of
//! [`crate::cgroup`] are; whose call it is, is asked of the caller and not of a tag.

use aya_ebpf::{bindings::bpf_sock_addr, macros::cgroup_sock_addr, programs::SockAddrContext};
use injector_common::call::{Remote, kind, op};

use crate::{
    calls::{self, OnCgroups},
    subject::Subject,
};

/// The kernel goes on with the call.
const PASS: i32 = 1;
/// The kernel fails it.
const REFUSE: i32 = 0;

/// `connect` and `bind` of `x86_64`, by `syscall_64.tbl`.
const CONNECT: u32 = 42;
const BIND: u32 = 49;

/// connect(2) of an IPv4 socket.
#[cgroup_sock_addr(connect4)]
pub fn inj_call_connect4(ctx: SockAddrContext) -> i32 {
    let addr = ctx.sock_addr;
    meet(op::ADDRESS_CONNECT, CONNECT, || {
        Remote::v4(v4(addr), port(addr))
    })
}

/// connect(2) of an IPv6 socket.
#[cgroup_sock_addr(connect6)]
pub fn inj_call_connect6(ctx: SockAddrContext) -> i32 {
    let addr = ctx.sock_addr;
    meet(op::ADDRESS_CONNECT, CONNECT, || remote_v6(addr))
}

/// bind(2) of an IPv4 socket.
#[cgroup_sock_addr(bind4)]
pub fn inj_call_bind4(_ctx: SockAddrContext) -> i32 {
    meet(op::ADDRESS_BIND, BIND, Remote::default)
}

/// bind(2) of an IPv6 socket.
#[cgroup_sock_addr(bind6)]
pub fn inj_call_bind6(_ctx: SockAddrContext) -> i32 {
    meet(op::ADDRESS_BIND, BIND, Remote::default)
}

/// Decides about a call, and fails it where a rule says so.
#[inline(always)]
fn meet(op: u32, number: u32, remote: impl FnOnce() -> Remote) -> i32 {
    let subject = || Subject {
        remote: remote(),
        kind: kind::INET,
        ..Subject::NONE
    };
    match calls::decide_numbered::<OnCgroups>(op, || number, subject) {
        Some(pending) if pending.errno != 0 => {
            fail_with(pending.errno);
            REFUSE
        }
        _ => PASS,
    }
}

#[inline(always)]
fn remote_v6(addr: *mut bpf_sock_addr) -> Remote {
    let bytes = v6(addr);
    let half = |from: usize| {
        let mut half = [0; 8];
        half.copy_from_slice(&bytes[from..from + 8]);
        half
    };
    Remote::v6(half(0), half(8), port(addr))
}

#[inline(always)]
fn port(addr: *mut bpf_sock_addr) -> u16 {
    // SAFETY: a plain context field.
    u16::from_be(unsafe { (*addr).user_port } as u16)
}

/// The IPv4 address that the caller gave, in network order.
#[inline(always)]
pub fn v4(addr: *mut bpf_sock_addr) -> [u8; 4] {
    // SAFETY: a plain context field.
    unsafe { (*addr).user_ip4.to_ne_bytes() }
}

/// The IPv6 address that the caller gave, in network order.
#[inline(always)]
pub fn v6(addr: *mut bpf_sock_addr) -> [u8; 16] {
    let mut address = [0u8; 16];
    for word in 0..4 {
        // SAFETY: plain context fields; the verifier wants each word read by itself.
        let bytes = unsafe { core::ptr::read_volatile(&raw const (*addr).user_ip6[word]) };
        address[word * 4..word * 4 + 4].copy_from_slice(&bytes.to_ne_bytes());
    }
    address
}

/// The highest errno of any system call (include/linux/err.h, `MAX_ERRNO`), as a mask.
const MAX_ERRNO: u32 = 4095;

/// Makes the call return `-errno` (kernel/bpf/cgroup.c, `bpf_prog_run_array_cg`; 5.18).
///
/// The verifier of 7.3 wants the argument proven to be in -4095..=0, all 64 bits of it. The generated
/// binding passes an `i32`, which arrives zero-extended and looks positive, so this one is our own.
#[inline(always)]
pub fn fail_with(errno: u32) {
    const BPF_FUNC_SET_RETVAL: usize = 187;
    // SAFETY: helpers are called by their number, which takes the place of the address; the kernel
    // reads the argument as an `int`, so a wider register is the same call on every kernel.
    let set_retval = unsafe {
        core::mem::transmute::<usize, unsafe extern "C" fn(i64) -> i64>(BPF_FUNC_SET_RETVAL)
    };
    // SAFETY: the helper takes any negative errno.
    unsafe { set_retval(-i64::from(errno & MAX_ERRNO)) };
}
