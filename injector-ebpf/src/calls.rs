//! Asks every rule of a target that is switched on about a system call, in slot order, and says what is
//! to be done. A call that fails ends the walk: it never gets to what later rules are about.
//!
//! These programs may be preempted by another caller on the same CPU, sleepable ones in particular, so
//! counters are added to atomically, and a walk lies in a map entry of its thread: on the stack the verifier
//! would follow every value of it, and look at a million combinations.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::helpers::generated::bpf_loop;
use injector_common::{
    RuleId, SLOTS,
    call::{CallRule, NO_NUMBER, Pending, filters, kind, op},
    rule::{Counters, Rule, action},
    rule_id,
};

use crate::{
    caller, emit, gate, kill,
    maps::{INJ_ACTIVE, INJ_CALLS, INJ_COUNTERS, INJ_RULES, INJ_WALKS},
    names::{self, Climb, Comparison},
    rules::{self, Draw},
    subject::Subject,
};

/// A call on its way through the rules.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Walk {
    /// What the call is about.
    subject: Subject,
    /// What has come of it so far.
    pub pending: Pending,
    /// Room for a look at where a file lies.
    climb: Climb,
    /// Room for a look at a name.
    comparison: Comparison,
    /// Slots to ask, one bit each.
    mask: u32,
    /// The target.
    scope: u32,
    /// Where the call is seen, one of [`injector_common::call::op`].
    op: u32,
    /// The call, as the kernel numbers it.
    pub number: u32,
}

impl Walk {
    /// One about no call, with no rules to ask.
    const NOWHERE: Self = Self {
        subject: Subject::NONE,
        pending: Pending::NOTHING,
        climb: Climb::NOWHERE,
        comparison: Comparison::NOTHING,
        mask: 0,
        scope: 0,
        op: 0,
        number: 0,
    };
}

/// Who asks the rules.
pub trait Place {
    /// Whether the kernel lets a program send a signal there.
    const CAN_SIGNAL: bool;
}

/// On system calls.
struct OnCalls;

impl Place for OnCalls {
    const CAN_SIGNAL: bool = true;
}

/// On cgroups (kernel/bpf/cgroup.c, `cgroup_base_func_proto`).
pub struct OnCgroups;

impl Place for OnCgroups {
    const CAN_SIGNAL: bool = false;
}

/// Operations at which one file system may meet the files of another in its caller's name.
const FILES: u64 = 1 << op::OPEN
    | 1 << op::READ
    | 1 << op::WRITE
    | 1 << op::UNLINK
    | 1 << op::RENAME
    | 1 << op::MKDIR
    | 1 << op::RMDIR
    | 1 << op::STAT
    | 1 << op::TRUNCATE
    | 1 << op::LINK
    | 1 << op::SYMLINK
    | 1 << op::IOCTL
    | 1 << op::LOCK;

/// Decides about a call that a thread makes; `None` where no rule is asked, and then no program looks what
/// the call is about.
#[inline(always)]
pub fn decide(op: u32, subject: impl FnOnce() -> Subject) -> Option<Pending> {
    decide_numbered::<OnCalls>(op, caller::number, subject)
}

/// The same, of a call whose number is told otherwise.
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a value that is passed would lie on the stack"
)]
#[inline(always)]
pub fn decide_numbered<P: Place>(
    op: u32,
    number: impl FnOnce() -> u32,
    subject: impl FnOnce() -> Subject,
) -> Option<Pending> {
    let scope = caller::admit()?;
    let mask = INJ_ACTIVE.get(scope)?.call;
    if mask == 0 {
        return None;
    }
    let number = number();
    if number == NO_NUMBER {
        // A tracepoint sees calls of all kinds, and what their numbers mean only where they are native: without one
        // a call may be any, and no process is killed for a guess.
        if op == op::TRACE || op == op::VECTOR || op == op::ENTRY {
            return None;
        }
    } else if caller::accepts(number) >> op & 1 == 0
        || FILES >> op & 1 != 0 && caller::acts_for_a_file_system()
    {
        return None;
    }
    let thread = caller::tid();
    INJ_WALKS.insert(thread, &Walk::NOWHERE, 0).ok()?;
    let mut walk: *mut Walk = INJ_WALKS.get_ptr_mut(thread)?;
    let subject = subject();
    // A socket is read and written at its own hooks, behind this one, and a socket of the kernel's own is no
    // process's.
    if matches!(op, op::READ | op::WRITE) && subject.sock != 0 || subject.kind == kind::NONE {
        let _ = INJ_WALKS.remove(thread);
        return None;
    }
    // SAFETY: the entry is this thread's, which is here and nowhere else until it is removed. The callback
    // has the signature that the helper asks for, and its context outlives the call.
    let pending = unsafe {
        (*walk).subject = subject;
        (*walk).mask = mask;
        (*walk).scope = scope;
        (*walk).op = op;
        (*walk).number = number;
        (*walk).pending.syscall = number;
        bpf_loop(
            SLOTS as u32,
            ask::<P> as extern "C" fn(u32, *mut *mut Walk) -> i64 as *mut _,
            (&raw mut walk).cast(),
            0,
        );
        (*walk).pending
    };
    // Absent is as good as removed.
    let _ = INJ_WALKS.remove(thread);
    Some(pending)
}

/// One step of the walk: 0 goes on, 1 ends it.
extern "C" fn ask<P: Place>(slot: u32, context: *mut *mut Walk) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `decide` gave it.
    let walk = unsafe { &mut **context };
    if walk.mask >> (slot & 31) == 0 {
        return 1;
    }
    if walk.mask >> (slot & 31) & 1 == 0 {
        return 0;
    }
    let id = rule_id(walk.scope, slot);
    let (Some(rule), Some(call)) = (INJ_RULES.get(id), INJ_CALLS.get(id)) else {
        return 0;
    };
    if call.denies(walk.op, walk.number) {
        return kill::refuse_start(walk, id, rule);
    }
    if !call.is_about(walk.op, walk.number) {
        return 0;
    }
    count(id, Count::Seen);
    if !passes(walk, id, call) {
        return 0;
    }
    count(id, Count::Matched);
    let Draw::Hit(number) = rules::take(id, rule) else {
        return 0;
    };
    match rule.action {
        action::SLEEP => {
            walk.pending.sleep_ns = call.sleep_of(rule.seed, number);
            walk.pending.sleeper = id + 1;
            walk.pending.sleep_at = call.sleep_at;
            // It is a hit when it has slept.
        }
        action::DAMAGE | action::SHORTEN => {
            walk.pending.damager = id + 1;
            walk.pending.number = number;
            // It is a hit when something was changed.
        }
        action::FAIL => {
            walk.pending.errno = rule.errno;
            hit(id, rule, number, walk.number);
        }
        action::SIGNAL if P::CAN_SIGNAL => kill::signal(walk, id, rule, call, number),
        _ => hit(id, rule, number, walk.number),
    }
    i64::from(walk.pending.errno != 0)
}

/// Whether the call passes the rule's filters.
#[inline(always)]
fn passes(walk: &mut Walk, id: RuleId, call: &CallRule) -> bool {
    if call.kinds & walk.subject.kind == 0 {
        return false;
    }
    if call.filters & filters::THREAD != 0 && !names::is_thread(&mut walk.comparison, call) {
        return false;
    }
    if call.filters & filters::REMOTE != 0 && !call.means(&walk.subject.remote) {
        return false;
    }
    let (dentry, other) = (walk.subject.dentry, walk.subject.other);
    call.filters & filters::PATH == 0
        || names::lies_in(&mut walk.climb, id, dentry)
        || names::lies_in(&mut walk.climb, id, other)
}

/// A counter of a rule.
#[derive(Clone, Copy)]
pub enum Count {
    /// Calls of the target while the rule was on.
    Seen,
    /// Those that passed the filters.
    Matched,
    /// Those that were acted on.
    Hit,
    /// Those that were chosen and could not be acted on.
    Missed,
}

/// Adds one.
#[inline(always)]
pub fn count(id: RuleId, what: Count) {
    let Some(counters) = INJ_COUNTERS.get_ptr_mut(id) else {
        return;
    };
    let counters: *mut Counters = counters;
    // SAFETY: a per-CPU slot of our own map; atomic, because another caller may come between.
    unsafe {
        let counter = match what {
            Count::Seen => &raw mut (*counters).seen,
            Count::Matched => &raw mut (*counters).matched,
            Count::Hit => &raw mut (*counters).hit,
            Count::Missed => &raw mut (*counters).missed,
        };
        atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(counter, 1);
        if matches!(what, Count::Hit) {
            // A caller that comes between was later, or as late.
            (*counters).last_hit_boot_ns = gate::now();
        }
    }
}

/// Counts and tells a hit.
#[inline(always)]
pub fn hit(id: RuleId, rule: &Rule, match_number: u64, syscall: u32) {
    count(id, Count::Hit);
    if rule.tell != 0 {
        emit::call(id, match_number, syscall);
    }
}

/// Counts and tells a hit whose effect came later in the call.
#[inline(always)]
pub fn hit_later(id: RuleId, syscall: u32) {
    count(id, Count::Hit);
    if let Some(rule) = INJ_RULES.get(id)
        && rule.tell != 0
    {
        emit::call(id, 0, syscall);
    }
}
