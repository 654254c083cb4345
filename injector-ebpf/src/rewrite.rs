//! Probes at functions of OpenSSL that answer a target's requests in its own memory.
//!
//! A request is read where it has been written ([`asked`]): the rules of the target decide, and the one that takes it arms
//! the connection. The first read behind it finds another answer than the server's ([`answer`]), whole and with
//! `connection: close`; one that says that the answer is still to come is let by. What the server still sends, the library
//! hands out behind it. The first bytes of a read are there,
//! for the library has just written them; the last byte is tried first, because a page that is not there would end the
//! write in its middle.
//!
//! Nothing is loaded of this file unless a run needs it: where the kernel is locked down, programs that write to a
//! process are refused. What is on its way lies in a map entry of its thread, for the verifier's sake, see [`crate::calls`].
//!
//! Rejected: to act where a write begins. One that the library has no room for is made again, and would be two requests.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_attach_cookie, bpf_loop, bpf_probe_read_kernel, bpf_probe_read_user},
    },
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use injector_common::{
    RuleId, SLOTS,
    plaintext::{ConnectionKey, Opening, function},
    rewrite::{Armed, Call, END, ENDS, HEAD, Key, NO_ANSWER, PathEnd},
    rule::action,
    rule_id,
};

use crate::{
    answer::{First, Outcome, answer, write},
    caller,
    calls::{self, Count},
    claim,
    maps::{
        INJ_ACTIVE, INJ_ARMED, INJ_DEGRADED, INJ_PATH_ENDS, INJ_REWRITE_CALLS, INJ_REWRITES,
        INJ_RULES, INJ_STATE, INJ_UNREADABLE,
    },
    plaintext::at_most,
    rules::{self, Draw},
    tls::{connection, count_trial, has_count},
    trace::read_user,
};

/// A function of the library begins.
#[uprobe]
pub fn inj_rewrite_enter(ctx: ProbeContext) -> u32 {
    if caller::admit().is_none() {
        // What this thread had begun before is over, whether its end was met or not.
        let _ = INJ_REWRITE_CALLS.remove(bpf_get_current_pid_tgid());
        return 0;
    }
    // SAFETY: the helper takes the program's own context.
    let function = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    // SAFETY: the probe's own registers: the first four arguments.
    let (ssl, buffer, room, count) = unsafe {
        let registers = ctx.regs;
        (
            (*registers).rdi,
            (*registers).rsi,
            (*registers).rdx,
            (*registers).rcx,
        )
    };
    if function == function::FREE {
        give_up(&connection(ssl));
        return 0;
    }
    let call = Call {
        ssl,
        buffer,
        room,
        count: if has_count(function) { count } else { 0 },
        function,
    };
    let _ = INJ_REWRITE_CALLS.insert(bpf_get_current_pid_tgid(), call, 0);
    0
}

/// It returns.
#[uretprobe]
pub fn inj_rewrite_leave(ctx: RetProbeContext) -> u32 {
    let Some(scope) = caller::admit() else {
        return 0;
    };
    let Some(call) = ended() else {
        return 0;
    };
    // The functions return `int`.
    let result = ctx.ret::<u64>() as i32;
    if result <= 0 {
        return 0;
    }
    let length = if call.count == 0 {
        u64::from(result as u32)
    } else {
        read_user(call.count)
    };
    if call.function == function::WRITE || call.function == function::WRITE_EX {
        asked(scope, &call, length);
    } else {
        read(scope, &call, length);
    }
    0
}

/// The call that this thread has begun.
#[inline(always)]
fn ended() -> Option<Call> {
    let thread = bpf_get_current_pid_tgid();
    // SAFETY: the entry is this thread's, which is here and nowhere else until it is removed.
    let call = unsafe { INJ_REWRITE_CALLS.get(thread) }.copied();
    let _ = INJ_REWRITE_CALLS.remove(thread);
    call
}

/// A request or an answer that is looked at. In front of the head are so many bytes that every place in it has [`END`]
/// bytes before it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rewrite {
    front: [u8; END],
    pub head: [u8; HEAD],
    /// What stands last in the path.
    last: [u64; END / 8],
    pub padding: [u8; FILLING],
    connection: ConnectionKey,
    /// Where padding goes, and how much.
    pub at: u64,
    pub left: u64,
    /// The last eight bytes that were looked at.
    pub window: u64,
    mask: u32,
    scope: u32,
    /// Where the path ends; 0 where that is not known, or where it is no request to a model.
    end: u32,
    /// How much of the head is there.
    pub length: u32,
    /// The rule that is asked.
    rule: RuleId,
    /// The answer of the end that was found, and whether one was.
    answer: u32,
    pub found: u32,
    pub failed: u32,
}

/// How much is filled at once.
pub const FILLING: usize = 256;

impl Rewrite {
    /// Nothing yet.
    const NOTHING: Self = Self {
        front: [0; END],
        head: [0; HEAD],
        last: [0; END / 8],
        padding: [b'\n'; FILLING],
        connection: ConnectionKey {
            handle: 0,
            tgid: 0,
            through: 0,
        },
        at: 0,
        left: 0,
        window: 0,
        mask: 0,
        scope: 0,
        end: 0,
        length: 0,
        rule: 0,
        answer: 0,
        found: 0,
        failed: 0,
    };
}

/// This thread's entry.
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a value that is passed would lie on the stack"
)]
#[inline(always)]
pub fn begin() -> Option<*mut Rewrite> {
    let thread = caller::tid();
    INJ_REWRITES.insert(thread, &Rewrite::NOTHING, 0).ok()?;
    INJ_REWRITES.get_ptr_mut(thread)
}

#[inline(always)]
pub fn end() {
    // Absent is as good as removed.
    let _ = INJ_REWRITES.remove(caller::tid());
}

/// Copies the beginning of a buffer; `None` where it cannot be read.
#[inline(always)]
pub fn look(work: *mut Rewrite, buffer: u64, length: u64) -> Option<()> {
    let length = at_most(length, HEAD as u64);
    // The verifier wants to see that it is 1 to `HEAD`, and the compiler, who knows, would leave the mask out.
    let bytes = (core::hint::black_box(length.wrapping_sub(1)) & (HEAD as u64 - 1)) + 1;
    // SAFETY: the entry is this thread's until it is removed; no more is written than the head has room for, and the helper
    // checks the source.
    unsafe {
        (*work).length = bytes as u32;
        let head = (&raw mut (*work).head).cast();
        (bpf_probe_read_user(head, bytes as u32, buffer as *const _) == 0).then_some(())
    }
}

/// Something was written. Where it is a request, the rules are asked, and one that takes it arms the connection.
#[inline(always)]
fn asked(scope: u32, call: &Call, length: u64) {
    let Some(active) = INJ_ACTIVE.get(scope) else {
        return;
    };
    let first: u32 = read_user(call.buffer);
    match Opening::of(first.to_ne_bytes()) {
        Opening::Http1 => {}
        Opening::Http2 => {
            if let Some(unreadable) = INJ_UNREADABLE.get_ptr_mut(scope) {
                // SAFETY: a per-CPU slot. Two callers on one CPU may count one for two, which is exact enough.
                unsafe { *unreadable += 1 };
            }
            return;
        }
        Opening::Other => return,
    }
    let connection = connection(call.ssl);
    // The request before it has got no answer that was met.
    give_up(&connection);
    if active.request == 0 {
        return;
    }
    let Some(mut work) = begin() else {
        return;
    };
    // What has another method is seen, and its path is nothing to any rule: nothing more of it is read.
    if !may_be_post(first) || path(work, call.buffer, length).is_some() {
        // SAFETY: the entry is this thread's until it is removed. The callback has the signature that the helper asks
        // for, and its context outlives the call.
        unsafe {
            (*work).connection = connection;
            (*work).mask = active.request;
            (*work).scope = scope;
            bpf_loop(SLOTS as u32, ask as *mut _, (&raw mut work).cast(), 0);
        }
    }
    end();
}

/// Copies the head of what may be a request to a model, and finds its path; `None` where it cannot be read.
#[inline(always)]
fn path(mut work: *mut Rewrite, buffer: u64, length: u64) -> Option<()> {
    look(work, buffer, length)?;
    // SAFETY: as in `asked`.
    unsafe {
        if is_post(&raw const (*work).head) {
            bpf_loop(HEAD as u32, find_end as *mut _, (&raw mut work).cast(), 0);
        }
        let end = core::hint::black_box((*work).end) as usize & (HEAD - 1);
        let from = (&raw const (*work).front).cast::<u8>().add(end);
        bpf_probe_read_kernel((&raw mut (*work).last).cast(), END as u32, from.cast());
    }
    Some(())
}

/// Requests to models are made by this method.
const POST: [u8; 5] = *b"POST ";

/// Whether what begins so may be such a request.
#[inline(always)]
const fn may_be_post(first: u32) -> bool {
    first == u32::from_ne_bytes([POST[0], POST[1], POST[2], POST[3]])
}

#[inline(always)]
fn is_post(head: *const [u8; HEAD]) -> bool {
    // SAFETY: the head is longer; it has no alignment to keep.
    unsafe { core::ptr::read_unaligned(head.cast::<[u8; 5]>()) == POST }
}

/// Looks for the end of the path: 0 goes on, 1 ends it.
extern "C" fn find_end(index: u32, context: *mut *mut Rewrite) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `asked` gave it.
    let work = unsafe { &mut **context };
    let at = index as usize + POST.len();
    if at >= HEAD || at >= work.length as usize {
        return 1;
    }
    if matches!(work.head[at], b' ' | b'?') {
        work.end = at as u32;
        return 1;
    }
    0
}

/// Asks the rule of a slot: 0 goes on, 1 ends it.
extern "C" fn ask(slot: u32, context: *mut *mut Rewrite) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `asked` gave it.
    let work = unsafe { &mut **context };
    if work.mask >> (slot & 31) == 0 {
        return 1;
    }
    if work.mask >> (slot & 31) & 1 == 0 {
        return 0;
    }
    let id = rule_id(work.scope, slot);
    let Some(rule) = INJ_RULES.get(id) else {
        return 0;
    };
    if rule.action != action::ANSWER {
        return 0;
    }
    calls::count(id, Count::Seen);
    if work.end == 0 {
        return 0;
    }
    work.rule = id;
    work.found = 0;
    // SAFETY: as in `asked`.
    unsafe {
        bpf_loop(ENDS, compare as *mut _, context.cast(), 0);
    }
    if work.found == 0 {
        return 0;
    }
    calls::count(id, Count::Matched);
    let Draw::Hit(_) = rules::take(id, rule) else {
        return 0;
    };
    let armed = Armed {
        key: Key {
            rule: id,
            number: work.answer,
        },
        start_ticks: claim::own_start_ticks(),
    };
    if work.answer == NO_ANSWER || INJ_ARMED.insert(work.connection, armed, 0).is_err() {
        miss(id);
    }
    1
}

/// Compares the path with one of the rule's ends: 0 goes on, 1 ends it.
extern "C" fn compare(number: u32, context: *mut *mut Rewrite) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `asked` gave it.
    let work = unsafe { &mut **context };
    let key = Key {
        rule: work.rule,
        number,
    };
    // SAFETY: user space replaces whole entries, before the run's lease is live.
    let Some(end) = (unsafe { INJ_PATH_ENDS.get(key) }) else {
        return 1;
    };
    let end: &PathEnd = end;
    if end.is_of(&work.last, work.end - POST.len() as u32) {
        work.answer = end.answer;
        work.found = 1;
        return 1;
    }
    0
}

/// A rule has taken a request and could not act on it: it is counted, and goes back to the budget.
#[inline(always)]
fn miss(id: RuleId) {
    calls::count(id, Count::Missed);
    if let (Some(rule), Some(state)) = (INJ_RULES.get(id), INJ_STATE.get_ptr_mut(id))
        && rule.max_hits != u64::MAX
    {
        // SAFETY: a pointer into a map value. Who runs past the budget gives back what was taken, so this is one that was paid.
        unsafe {
            atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(&raw mut (*state).spent, u64::MAX);
        }
    }
}

/// Disarms a connection whose request has got no answer.
#[inline(always)]
fn give_up(connection: &ConnectionKey) {
    if let Some(armed) = disarm(connection) {
        miss(armed.key.rule);
    }
}

/// What a connection is armed with, which it is no more. Of two threads the one that removes it has it.
#[inline(always)]
fn disarm(connection: &ConnectionKey) -> Option<Armed> {
    // SAFETY: values are replaced whole.
    let armed = unsafe { INJ_ARMED.get(connection) }.copied()?;
    INJ_ARMED.remove(connection).ok()?;
    Some(armed)
}

/// Something was read. The first read behind a request that a rule has taken is answered by it.
#[inline(always)]
fn read(scope: u32, call: &Call, length: u64) {
    let connection = connection(call.ssl);
    // SAFETY: it is looked whether there is one.
    if unsafe { INJ_ARMED.get(connection) }.is_none() {
        return;
    }
    let first = First::of(call.buffer, length);
    if matches!(first, First::Interim) {
        return;
    }
    let Some(armed) = disarm(&connection) else {
        return;
    };
    let id = armed.key.rule;
    let slot = id % SLOTS as u32;
    let is_on = INJ_ACTIVE
        .get(scope)
        .is_some_and(|active| active.request >> (slot & 31) & 1 == 1);
    let is_its = armed.start_ticks == claim::own_start_ticks();
    let outcome = if is_on && is_its && !matches!(first, First::Other) {
        answer(call, length, armed.key, first)
    } else {
        Outcome::Not
    };
    match outcome {
        Outcome::Whole => calls::count(id, Count::Hit),
        Outcome::Degraded => {
            calls::count(id, Count::Hit);
            if let Some(degraded) = INJ_DEGRADED.get_ptr_mut(id) {
                // SAFETY: a per-CPU slot of our own map; atomic, because another caller may come between.
                unsafe {
                    atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(degraded, 1);
                }
            }
        }
        Outcome::Not => miss(id),
    }
}

/// The self-test's function begins: where its word lies is remembered. It is a child's of ours, so no lease is asked.
#[uprobe]
pub fn inj_write_trial(ctx: ProbeContext) -> u32 {
    // SAFETY: the probe's own registers.
    let buffer = unsafe { (*ctx.regs).rdi };
    let call = Call {
        ssl: 0,
        buffer,
        room: 0,
        count: 0,
        function: 0,
    };
    let _ = INJ_REWRITE_CALLS.insert(bpf_get_current_pid_tgid(), call, 0);
    count_trial(0);
    0
}

/// It returns: a word is written there, and counted where the kernel has written it.
#[uretprobe]
pub fn inj_write_tried(_ctx: RetProbeContext) -> u32 {
    if let Some(call) = ended() {
        let word: u64 = 1;
        if write(call.buffer, (&raw const word).cast(), 8) {
            count_trial(2);
        }
    }
    0
}
