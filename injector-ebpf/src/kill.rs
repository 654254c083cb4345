//! Kills the caller of a system call, and sees to it that nothing takes its place.

use aya_ebpf::{
    helpers::generated::bpf_send_signal, macros::raw_tracepoint, programs::RawTracePointContext,
};
use injector_common::{
    RuleId,
    call::{CallRule, op, turn},
    rule::Rule,
};

use crate::{
    calls::{self, Count, Walk},
    maps::INJ_KILLED,
    subject::Subject,
    twice,
};

/// Every native system call of the host, before it does anything: `(registers, number)`, kernel/entry,
/// `trace_sys_enter`. What the call is about to do cannot be changed here, but the thread that makes it can
/// get a signal.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn inj_entry(_ctx: RawTracePointContext) -> i32 {
    twice::once(|| turn::FIRST, meet) as i32
}

/// The same again, for calls that the first program was not run for, see [`crate::twice`].
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn inj_entry_again(_ctx: RawTracePointContext) -> i32 {
    twice::once(|| turn::AGAIN, meet) as i32
}

/// `None` where no rule was asked.
#[inline(always)]
fn meet() -> Option<i64> {
    calls::decide(op::ENTRY, || Subject::NONE).map(|_done| 0)
}

/// Sends the signal to the calling process. The mark comes first, so that no program is started in between.
///
/// The kernel refuses it for the host's init and for processes that end (`bpf_send_signal_common` of
/// kernel/trace).
#[inline(always)]
pub fn signal(walk: &Walk, id: RuleId, rule: &Rule, call: &CallRule, number: u64) {
    if call.denied != 0 {
        let _ = INJ_KILLED.set(id, 1, 0);
    }
    // SAFETY: the helper has no preconditions.
    if unsafe { bpf_send_signal(call.signal) } == 0 {
        calls::hit(id, rule, number, walk.number);
    } else {
        calls::count(id, Count::Missed);
    }
}

/// Refuses the start of a program where the rule has killed; 1 ends the walk.
#[inline(always)]
pub fn refuse_start(walk: &mut Walk, id: RuleId, rule: &Rule) -> i64 {
    if INJ_KILLED.get(id).is_none_or(|killed| *killed == 0) {
        return 0;
    }
    walk.pending.errno = rule.errno;
    calls::hit(id, rule, 0, walk.number);
    1
}
