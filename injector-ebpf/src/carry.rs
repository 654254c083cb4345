//! Carries out what was decided about a call: sleeps, sends the signal, returns the errno; and leaves the
//! rest for the call's later hooks.

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_send_signal};
use injector_common::call::{LONGEST_SLEEP_NS, NO_NUMBER, Pending, Stop, sleep};

use crate::{
    caller,
    calls::{self, Count, Decision},
    claim, gate,
    maps::{INJ_PENDING, INJ_STOPS},
    park,
};

/// Above every errno that a person can name, as a mask.
const ERRNOS: u64 = 1023;

/// What a hook returns to make its call fail: `-errno`, spelt so that the verifier of every kernel sees that
/// it is in -4095..=0 (6.12 forgets everything about a number that is negated).
#[inline(always)]
pub fn failure(errno: u32) -> i64 {
    ((ERRNOS + 1).wrapping_sub(u64::from(errno)) & ERRNOS | !ERRNOS) as i64
}

/// Carries out at a hook that cannot sleep.
#[inline(always)]
pub fn out_awake(decision: &Decision) -> i64 {
    send(decision);
    if decision.pending.errno != 0 && decision.pending.sleeper == 0 {
        return failure(decision.pending.errno);
    }
    leave(&decision.pending);
    0
}

/// Carries out at a hook that can sleep.
#[inline(always)]
pub fn out_asleep(decision: &mut Decision) -> i64 {
    send(decision);
    if decision.pending.sleeper != 0 && decision.pending.sleep_at == sleep::ENTER {
        take_a_nap(&mut decision.pending);
        // A sleep that ends with the run is not followed by a failure.
        if !gate::is_armed() {
            return 0;
        }
    }
    if decision.pending.errno != 0 {
        return failure(decision.pending.errno);
    }
    leave(&decision.pending);
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

/// Sends the signal that a rule asks for, or stops the process.
#[inline(always)]
fn send(decision: &Decision) {
    /// `SIGSTOP` on `x86_64` (arch/x86/include/uapi/asm/signal.h).
    const SIGSTOP: u32 = 19;
    if decision.signal != 0 {
        // SAFETY: the helper checks the number. It fails where the caller is ending anyway.
        unsafe { bpf_send_signal(decision.signal) };
    }
    if decision.stopper == 0 {
        return;
    }
    let rule = decision.stopper - 1;
    // Told first: whoever is stopped must be known to whoever lets it go on.
    if !told(rule, decision.stop_ns) {
        calls::count(rule, Count::Missed);
        return;
    }
    // SAFETY: as above.
    if unsafe { bpf_send_signal(SIGSTOP) } == 0 {
        calls::hit_later(rule, decision.pending.syscall);
    } else {
        calls::count(rule, Count::Missed);
    }
}

/// Tells user space who is about to be stopped, and wakes it.
#[inline(always)]
fn told(rule: u32, length: u64) -> bool {
    let Some(mut entry) = INJ_STOPS.reserve::<Stop>(0) else {
        return false;
    };
    entry.write(Stop {
        // SAFETY: the helper has no preconditions.
        until_boot_ns: unsafe { bpf_ktime_get_boot_ns() } + length,
        start_ticks: claim::own_start_ticks(),
        tgid: claim::tgid(),
        rule,
    });
    entry.submit(0);
    true
}

/// Leaves what is still to be done for the call's later hooks. What has no later hook is missed.
#[inline(always)]
pub fn leave(pending: &Pending) {
    if pending.is_empty() {
        return;
    }
    let is_left =
        pending.syscall != NO_NUMBER && INJ_PENDING.insert(caller::tid(), *pending, 0).is_ok();
    if !is_left {
        miss(pending);
    }
}

/// Takes what an earlier hook of this very call has left. Worth nothing without a live lease.
#[inline(always)]
pub fn left(syscall: u32) -> Option<Pending> {
    let tid = caller::tid();
    // SAFETY: only this thread writes its own entry.
    let pending = *unsafe { INJ_PENDING.get(tid) }?;
    if pending.syscall != syscall || !gate::is_armed() {
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
    if pending.damager != 0 {
        calls::count(pending.damager - 1, Count::Missed);
    }
}

/// Sleeps a part of what is left, and leaves the rest for the next program.
#[inline(always)]
pub fn go_on_sleeping(pending: &mut Pending) {
    let (length, rest) = (nap(pending), after_nap(*pending));
    // Before the sleep: while this thread sleeps, nobody else has to clean up after it.
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
