//! Counts the programs that are on their way through a target's call and may sleep.
//!
//! The kernel keeps no list of them, and an RCU grace period does not wait for them
//! (kernel/bpf/trampoline.c, `__bpf_prog_enter_sleepable`). So each adds itself before it asks the gate and
//! takes itself away when it has returned its verdict; a worker that has ended the lease waits for zero. Bystanders
//! are not counted, and pay nothing. A call that is cut short counts from its beginning to its end.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use crate::maps::INJ_IN_FLIGHT;

/// Runs a sleepable program's work for a target.
#[inline(always)]
pub fn counted(work: impl FnOnce() -> i64) -> i64 {
    begin();
    let verdict = work();
    end();
    verdict
}

/// Something begins that has to come to its end before the run's programs go.
#[inline(always)]
pub fn begin() {
    add(1);
}

/// It has ended.
#[inline(always)]
pub fn end() {
    add(u64::MAX);
}

#[inline(always)]
fn add(what: u64) {
    if let Some(counter) = INJ_IN_FLIGHT.get_ptr_mut(0) {
        // SAFETY: the only entry of our own map, which lives as long as the program.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(counter, what) };
    }
}
