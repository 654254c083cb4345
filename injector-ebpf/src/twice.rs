//! Deciding programs stand at their place twice, one behind the other, and each call is decided once.
//!
//! While a program of a trampoline or a raw tracepoint runs for a thread, the kernel skips it for every other
//! thread on the same CPU (kernel/bpf/trampoline.c, `__bpf_prog_enter_recur`; `kernel/trace/bpf_trace.c`,
//! `__bpf_trace_run`), and threads are preempted there: of an agent and a plug-in that wake each other, every
//! fifth call came by unseen. A thread that keeps the first program busy is not in the second. The programs of BPF LSM
//! and of cgroups have no such guard, and stand alone.
//!
//! The first leaves a mark for its thread where a call goes on, and the second, which is next, takes it.
//! Rejected: two programs for each hook of the kernel; a trampoline tells its program a number (the cookie, 5.19)
//! that says which of the two it is.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_attach_cookie;
use injector_common::call::turn;

use crate::{caller, maps::INJ_MET};

/// Which of two a program on a trampoline is, or neither; one of [`turn`].
#[inline(always)]
pub fn turn(context: *mut c_void) -> u64 {
    // SAFETY: the helper takes the program's own context.
    unsafe { bpf_get_attach_cookie(context) }
}

/// Meets a call, where the program in front has not. `meet` returns `None` where no rule was asked, and what
/// the program is to return otherwise: behind anything but 0 no program is run.
#[inline(always)]
pub fn once(turn: impl Fn() -> u64, meet: impl FnOnce() -> Option<i64>) -> i64 {
    // Bystanders go before anything is asked.
    if caller::scope().is_none() {
        return 0;
    }
    // Asked twice: the verifier would follow an answer that is kept through all that `meet` does.
    if turn() == turn::AGAIN && INJ_MET.remove(caller::tid()).is_ok() {
        return 0;
    }
    let Some(verdict) = meet() else {
        return 0;
    };
    if verdict == 0 && turn() == turn::FIRST {
        // What cannot be marked is met twice; that is the lesser evil, and takes a full map.
        let _ = INJ_MET.insert(caller::tid(), 1, 0);
    }
    verdict
}
