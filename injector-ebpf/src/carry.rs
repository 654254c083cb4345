//! Carries out what was decided about a call: sleeps, returns the errno; and leaves the rest for the call's
//! later hooks.

use core::ffi::c_void;

use injector_common::call::{LONGEST_SLEEP_NS, NO_NUMBER, Pending, sleep};

use crate::{
    caller,
    calls::{self, Count},
    gate,
    maps::INJ_PENDING,
    park,
    subject::Subject,
    twice,
};

/// Above every errno that a person can name, as a mask.
const ERRNOS: u64 = 1023;

/// What a hook returns to make its call fail: `-errno`, spelt so that the verifier of every kernel sees that
/// it is in -4095..=0 (6.12 forgets everything about a number that is negated).
#[inline(always)]
pub fn failure(errno: u32) -> i64 {
    ((ERRNOS + 1).wrapping_sub(u64::from(errno)) & ERRNOS | !ERRNOS) as i64
}

/// Decides and carries out at a hook that cannot sleep, where the program in front has not.
#[inline(always)]
pub fn awake(context: *mut c_void, op: u32, subject: impl FnOnce() -> Subject) -> i64 {
    let meet = || calls::decide(op, subject).map(|pending| out_awake(&pending));
    twice::once(|| twice::turn(context), meet)
}

/// Carries out at a hook that cannot sleep.
#[inline(always)]
pub fn out_awake(pending: &Pending) -> i64 {
    if pending.errno != 0 && pending.sleeper == 0 {
        return failure(pending.errno);
    }
    leave(pending);
    0
}

/// Carries out at a hook that can sleep.
#[inline(always)]
pub fn out_asleep(mut pending: Pending) -> i64 {
    if pending.sleeper != 0 && pending.sleep_at == sleep::ENTER {
        take_a_nap(&mut pending);
        // A sleep that ends with the run is not followed by a failure.
        if !gate::is_armed() {
            return 0;
        }
    }
    if pending.errno != 0 {
        return failure(pending.errno);
    }
    leave(&pending);
    0
}

/// Sleeps as long as one program may; what is left stays in `pending`.
#[inline(always)]
fn take_a_nap(pending: &mut Pending) {
    let length = nap(pending);
    *pending = after_nap(*pending);
    park::sleep(length);
}

/// How long one program may sleep of what is left.
#[inline(always)]
fn nap(pending: &Pending) -> u64 {
    if pending.sleep_ns > LONGEST_SLEEP_NS {
        LONGEST_SLEEP_NS
    } else {
        pending.sleep_ns
    }
}

/// What is left after that; the last part is counted as the hit.
#[inline(always)]
fn after_nap(mut pending: Pending) -> Pending {
    pending.sleep_ns -= nap(&pending);
    if pending.sleep_ns == 0 {
        calls::hit_later(pending.sleeper - 1, pending.syscall);
        pending.sleeper = 0;
    }
    pending
}

/// The same where the kernel this time holds a lock that other threads would wait for: the caller does not sleep.
#[inline(always)]
pub fn out_without_sleep(mut pending: Pending) -> i64 {
    if pending.sleeper != 0 && pending.sleep_at == sleep::ENTER {
        miss_sleep(&mut pending);
    }
    out_asleep(pending)
}

/// Leaves what is still to be done for the call's later hooks. What has no later hook is missed.
#[inline(always)]
pub fn leave(pending: &Pending) {
    if pending.is_empty() {
        return;
    }
    let left = Pending {
        thread_start_ns: caller::start_ns(),
        ..*pending
    };
    let is_left =
        pending.syscall != NO_NUMBER && INJ_PENDING.insert(caller::tid(), left, 0).is_ok();
    if !is_left {
        miss(pending);
    }
}

/// Whether an earlier hook has left anything for this thread: the one question that bystanders pay for.
#[inline(always)]
pub fn is_waited_for() -> bool {
    // SAFETY: only asked for presence.
    unsafe { INJ_PENDING.get(caller::tid()) }.is_some()
}

/// Takes what an earlier hook of this very call has left. Without a live lease it is worth nothing, and with
/// one it serves only the target's thread that left it.
#[inline(always)]
pub fn left(syscall: u32) -> Option<Pending> {
    let tid = caller::tid();
    // SAFETY: only this thread writes its own entry.
    let pending = *unsafe { INJ_PENDING.get(tid) }?;
    let is_own =
        caller::scope().is_some_and(|scope| pending.is_of(caller::start_ns(), syscall, scope));
    if !is_own || !gate::is_armed() {
        let _ = INJ_PENDING.remove(tid);
        return None;
    }
    Some(pending)
}

/// Counts what was chosen and could not be done.
#[inline(always)]
pub fn miss(pending: &Pending) {
    if pending.sleeper != 0 {
        calls::count(pending.sleeper - 1, Count::Missed);
    }
}

/// Sleeps a part of what is left, and leaves the rest for the next program.
#[inline(always)]
pub fn go_on_sleeping(pending: &mut Pending) {
    let (length, rest) = (nap(pending), after_nap(*pending));
    // Before the sleep: while this thread sleeps, no other thread has to clean up after it.
    if rest.is_empty() {
        let _ = INJ_PENDING.remove(caller::tid());
    } else {
        let _ = INJ_PENDING.insert(caller::tid(), rest, 0);
    }
    *pending = rest;
    park::sleep(length);
}

/// Counts a sleep that could not be slept, and forgets it.
#[inline(always)]
pub fn miss_sleep(pending: &mut Pending) {
    calls::count(pending.sleeper - 1, Count::Missed);
    pending.sleeper = 0;
}
