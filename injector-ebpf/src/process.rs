//! Follows a target's process tree: children become targets at fork, the dead are forgotten.

use aya_ebpf::{bindings::task_struct, macros::btf_tracepoint, programs::BtfTracePointContext};
use injector_common::process::{ProcessKey, TargetProcess};

use crate::{
    claim::{field, leader, start_ticks},
    gate,
    maps::{INJ_PROCESSES, OFFSET_LIVE, OFFSET_SIGNAL, OFFSET_TGID},
};

/// A process or thread is made: `(parent, child)`, kernel/fork.c, `kernel_clone`. A thread shares its
/// process's entry; a child process inherits one where the parent is followed.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn inj_fork(ctx: BtfTracePointContext) -> i32 {
    let parent: *const task_struct = ctx.arg(0);
    let child: *const task_struct = ctx.arg(1);
    let parent_tgid: u32 = field(parent, OFFSET_TGID.load());
    // SAFETY: values are replaced whole and removed only by `inj_exit` and after disarming.
    let Some(target) = (unsafe { INJ_PROCESSES.get(ProcessKey { tgid: parent_tgid }) }) else {
        return 0;
    };
    let child_tgid: u32 = field(child, OFFSET_TGID.load());
    if target.follow == 0
        || child_tgid == parent_tgid
        || start_ticks(leader(parent)) != target.start_ticks
        || !gate::is_armed()
    {
        return 0;
    }
    let heir = TargetProcess {
        start_ticks: start_ticks(child),
        ..*target
    };
    let _ = INJ_PROCESSES.insert(ProcessKey { tgid: child_tgid }, heir, 0);
    0
}

/// A thread ends: `(task)`, kernel/exit.c, `do_exit`. The last one of a process takes the entry with
/// it, so the table cannot fill with the dead; the start time guards against reuse in any case.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn inj_exit(ctx: BtfTracePointContext) -> i32 {
    let task: *const task_struct = ctx.arg(0);
    let tgid: u32 = field(task, OFFSET_TGID.load());
    let key = ProcessKey { tgid };
    // SAFETY: only asked for presence.
    if unsafe { INJ_PROCESSES.get(key) }.is_none() {
        return 0;
    }
    let signal: *const task_struct = field(task, OFFSET_SIGNAL.load());
    let live: i32 = field(signal, OFFSET_LIVE.load());
    if live == 0 {
        let _ = INJ_PROCESSES.remove(key);
    }
    0
}
