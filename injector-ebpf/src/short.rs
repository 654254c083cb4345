//! Lets calls read or write less than they were asked to: at the tracepoint where a call begins, the lengths in its
//! vector are cut in the caller's memory; where it ends, they are put back.
//!
//! The kernel copies the vector when the call has begun (`lib/iov_iter.c`, `import_iovec`), so the caller sees it
//! changed for no moment at which it could look. A call without a vector has its length in a register, which no
//! program can write there.
//!
//! A call that is cut counts as in flight until its vector is mended ([`flight`]), so the end of a run waits for it.

use aya_ebpf::{
    helpers::generated::bpf_probe_write_user, macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use injector_common::{
    RuleId,
    call::{CallRule, op, turn},
};

use crate::{
    caller,
    calls::{self, Count},
    flight,
    maps::{INJ_CALLS, INJ_VECTORS},
    subject::read,
    syscall::{DX, SI, subject},
    trace::read_user,
    twice,
};

/// The most pieces of a vector that is cut; longer ones are missed.
const PIECES: usize = 8;

/// Bytes of an `iovec`, and where its length is.
const STRIDE: u64 = 16;
const LENGTH: u64 = 8;

/// A vector that is cut, by its thread.
///
/// It is filled in its map entry: older kernels count the stacks of all that a program calls together.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Vector {
    /// When its thread was started: the id alone may be another's by now, see [`injector_common::call::Pending`].
    thread_start_ns: u64,
    /// Where it lies.
    at: u64,
    /// The most bytes that its call may move.
    most: u64,
    /// What its pieces had before; 0 where there is none.
    lengths: [u64; PIECES],
}

impl Vector {
    /// One without pieces.
    const NONE: Self = Self {
        thread_start_ns: 0,
        at: 0,
        most: 0,
        lengths: [0; PIECES],
    };

    /// Where the length of a piece lies.
    #[inline(always)]
    const fn address(&self, index: usize) -> u64 {
        self.at + index as u64 * STRIDE + LENGTH
    }

    /// Goes through the pieces that are cut: where their length lies, what it was, what it is cut to.
    #[inline(always)]
    fn each_cut(&self, mut act: impl FnMut(u64, u64, u64)) {
        let (mut left, mut index) = (self.most, 0);
        while index < PIECES {
            let length = self.lengths[index];
            let kept = if length < left { length } else { left };
            left -= kept;
            if kept != length {
                act(self.address(index), length, kept);
            }
            index += 1;
        }
    }
}

/// A call begins: `(registers, number)`.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn inj_vector(ctx: RawTracePointContext) -> i32 {
    twice::once(|| turn::FIRST, || meet(ctx.arg(0))) as i32
}

/// The same again, for calls that the first program was not run for, see [`crate::twice`].
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn inj_vector_again(ctx: RawTracePointContext) -> i32 {
    twice::once(|| turn::AGAIN, || meet(ctx.arg(0))) as i32
}

/// `None` where no rule was asked.
#[inline(always)]
fn meet(registers: u64) -> Option<i64> {
    let pending = calls::decide(op::VECTOR, || subject(registers))?;
    if pending.damager == 0 {
        return Some(0);
    }
    let rule = pending.damager - 1;
    if cut(rule, registers).is_some() {
        calls::hit_later(rule, pending.syscall);
    } else {
        calls::count(rule, Count::Missed);
    }
    Some(0)
}

/// A call ends: `(registers, result)`.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn inj_vector_end(ctx: RawTracePointContext) -> i32 {
    mend(ctx.arg(0));
    0
}

/// The same again, where the first program was busy with another thread on this CPU: there is nothing left to mend
/// where it was not.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn inj_vector_end_again(ctx: RawTracePointContext) -> i32 {
    mend(ctx.arg(0));
    0
}

/// Cuts the vector to what the rule lets by; `None` where there is nothing to cut, or it cannot be.
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a value that is passed would lie on the stack"
)]
#[inline(always)]
fn cut(rule: RuleId, registers: u64) -> Option<()> {
    let call: &CallRule = INJ_CALLS.get(rule)?;
    let (at, pieces): (u64, u64) = (read(registers + SI), read(registers + DX));
    if at == 0 || pieces > PIECES as u64 {
        return None;
    }
    let thread = caller::tid();
    forget(thread);
    INJ_VECTORS.insert(thread, &Vector::NONE, 0).ok()?;
    // All is on record before anything is done.
    flight::begin();
    let Some(vector) = INJ_VECTORS.get_ptr_mut(thread) else {
        flight::end();
        return None;
    };
    // SAFETY: the entry is this thread's until it is removed.
    let vector = unsafe { &mut *vector };
    vector.thread_start_ns = caller::start_ns();
    vector.at = at;
    vector.most = u64::from(call.bytes);
    let mut whole = 0_u64;
    let mut index = 0;
    while index < PIECES {
        if (index as u64) < pieces {
            let length = read_user(vector.address(index));
            vector.lengths[index] = length;
            whole = whole.saturating_add(length);
        }
        index += 1;
    }
    if whole <= vector.most {
        forget(thread);
        return None;
    }
    let mut failed = 0;
    vector.each_cut(|address, _, kept| failed |= write(address, kept));
    if failed != 0 {
        mend(registers);
        return None;
    }
    Some(())
}

/// Puts back what this thread's call has been cut by. No gate: it ends a fault.
///
/// Only in the very call, and only what is still as it was left: where both programs were busy with other threads,
/// the caller has gone on since and may use the memory for something else.
#[inline(always)]
fn mend(registers: u64) {
    let thread = caller::tid();
    // SAFETY: only this thread writes its own entry.
    let Some(vector) = (unsafe { INJ_VECTORS.get(thread) }) else {
        return;
    };
    if vector.thread_start_ns == caller::start_ns() && read::<u64>(registers + SI) == vector.at {
        vector.each_cut(|address, length, kept| {
            if read_user::<u64>(address) == kept {
                write(address, length);
            }
        });
    }
    forget(thread);
}

/// Takes a vector off the record.
#[inline(always)]
fn forget(thread: u32) {
    if INJ_VECTORS.remove(thread).is_ok() {
        flight::end();
    }
}

#[inline(always)]
fn write(address: u64, length: u64) -> i64 {
    // SAFETY: eight bytes of ours into memory of the caller's; the helper checks the destination.
    unsafe {
        bpf_probe_write_user(
            address as *mut _,
            (&raw const length).cast(),
            size_of::<u64>() as u32,
        )
    }
}
