//! Programs on system calls themselves, for what no hook inside the kernel knows: `fmod_ret` and
//! `fexit` on `__x64_sys_...`, and kprobes on them.
//!
//! The kernel runs the latest attached program of a function first (kernel/bpf/trampoline.c,
//! `hlist_add_head`), so the loader attaches sleepers before the one that decides, and the one that counts
//! what was missed before the sleepers of the way out. A program that sleeps is skipped for every other
//! thread on its CPU (`prog->active`), hence several copies: each thread sleeps in one.

use core::ffi::c_void;

use aya_ebpf::{helpers::generated::bpf_override_return, macros::kprobe, programs::ProbeContext};
use injector_common::call::{FIRST_IS_FD, op, sleep};

use crate::{
    caller, calls, carry, flight,
    maps::INJ_PENDING,
    subject::{Subject, read},
};

/// `pt_regs` of `x86_64` (`arch/x86/include/asm/ptrace.h`): a call's first three arguments, and its number.
pub const DI: u64 = 14 * 8;
pub const SI: u64 = 13 * 8;
pub const DX: u64 = 12 * 8;
const ORIG_AX: u64 = 15 * 8;

/// The call's number, from its registers.
#[inline(always)]
fn number(registers: u64) -> u32 {
    read::<u64>(registers + ORIG_AX) as u32
}

/// What the call is about, where its first argument is a descriptor.
#[inline(always)]
pub fn subject(registers: u64) -> Subject {
    if caller::accepts(number(registers)) >> FIRST_IS_FD & 1 == 0 {
        return Subject::NONE;
    }
    Subject::descriptor(caller::task(), read::<u64>(registers + DI) as u32)
}

/// Decides where the call begins (`fmod_ret`).
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/inj_call")]
extern "C" fn inj_call(context: *mut c_void) -> i64 {
    // SAFETY: a trampoline's context is an array of 64-bit words; the first argument of `__x64_sys_...` is
    // the address of the call's registers.
    let registers = unsafe { core::ptr::read_volatile(context.cast::<u64>()) };
    carry::awake(context, op::SYSCALL, || subject(registers))
}

/// Sleeps before the call does its work (`fmod_ret`, sleepable, in copies).
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm.s/inj_call_enter_s")]
extern "C" fn inj_call_enter_s(_context: *mut c_void) -> i64 {
    if carry::is_waited_for() {
        flight::counted(sleep_before)
    } else {
        0
    }
}

#[inline(always)]
fn sleep_before() -> i64 {
    let Some(mut pending) = carry::left(caller::number()) else {
        return 0;
    };
    if pending.sleeper == 0 || pending.sleep_at != sleep::ENTER {
        return 0;
    }
    let errno = pending.errno;
    if pending.sleep_ns <= injector_common::call::LONGEST_SLEEP_NS {
        pending.errno = 0;
    }
    carry::go_on_sleeping(&mut pending);
    if pending.sleeper == 0 && errno != 0 && crate::gate::is_armed() {
        return carry::failure(errno);
    }
    0
}

/// Sleeps when the call has done its work (`fexit`, sleepable, in copies).
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm.s/inj_call_exit_s")]
extern "C" fn inj_call_exit_s(_context: *mut c_void) -> i64 {
    if !carry::is_waited_for() {
        return 0;
    }
    flight::counted(|| {
        if let Some(mut pending) = carry::left(caller::number())
            && pending.sleeper != 0
        {
            carry::go_on_sleeping(&mut pending);
        }
        0
    })
}

/// Counts sleeps that found no copy free (`fexit`; runs last).
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/inj_call_missed")]
extern "C" fn inj_call_missed(_context: *mut c_void) -> i64 {
    let Some(mut pending) = carry::left(caller::number()) else {
        return 0;
    };
    if pending.sleeper == 0 {
        return 0;
    }
    carry::miss_sleep(&mut pending);
    if pending.is_empty() {
        let _ = INJ_PENDING.remove(caller::tid());
    } else {
        let _ = INJ_PENDING.insert(caller::tid(), pending, 0);
    }
    0
}

/// Fails a call without a trampoline (kprobe and `bpf_override_return`).
#[kprobe]
pub fn inj_call_kprobe(ctx: ProbeContext) -> u32 {
    // SAFETY: the probe's own registers; the first argument is the address of the call's.
    let registers = unsafe { (*ctx.regs).rdi };
    let Some(pending) = calls::decide(op::SYSCALL, || subject(registers)) else {
        return 0;
    };
    let result = carry::out_awake(&pending);
    if result != 0 {
        // SAFETY: the kernel lets only functions be overridden that allow it (error injection).
        unsafe { bpf_override_return(ctx.regs, result as u64) };
    }
    0
}
