//! Claims sockets for targets: puts the tag on them.
//!
//! User space tags the sockets that are open at arming. These functions tag those that are made
//! later, and those of a cgroup that no process holds open (a connection in an accept queue, say).

use aya_ebpf::{
    bindings::{bpf_sock, task_struct},
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_task_btf},
};
use injector_common::{
    process::{ProcessKey, TICK_NS},
    tag::Tag,
};

use crate::maps::{INJ_CGROUPS, INJ_PROCESSES, INJ_TAGS, OFFSET_LEADER, OFFSET_START};

/// The deepest cgroup that is looked for above a socket's; deeper trees are refused by the planner.
const DEPTH: i32 = 24;

/// The scope of the nearest target cgroup, given the id of each ancestor by level (0 where there is
/// none).
#[inline(always)]
pub fn cgroup_scope(ancestor: impl Fn(i32) -> u64) -> Option<u32> {
    let mut scope = None;
    for level in 1..DEPTH {
        let id = ancestor(level);
        if id == 0 {
            break;
        }
        // SAFETY: values are replaced whole and removed only after the run is disarmed.
        if let Some(found) = unsafe { INJ_CGROUPS.get(id) } {
            scope = Some(*found);
        }
    }
    scope
}

/// The scope of the calling process, if it is a target and not a stranger with a target's old PID.
#[inline(always)]
pub fn process_scope() -> Option<u32> {
    // SAFETY: as above.
    let target = unsafe { INJ_PROCESSES.get(ProcessKey { tgid: tgid() }) }?;
    (own_start_ticks() == target.start_ticks).then_some(target.scope)
}

/// When the calling process was started.
#[inline(always)]
pub fn own_start_ticks() -> u64 {
    // SAFETY: the helper returns the running task, which cannot go away meanwhile.
    start_ticks(leader(unsafe { bpf_get_current_task_btf() }))
}

/// The calling process.
#[inline(always)]
pub fn tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Tags a full socket that has no tag yet.
#[inline(always)]
pub fn claim(sk: *mut bpf_sock, scope: u32, origin: u32, cookie: u64) {
    let mut tag = Tag::new(scope, origin, cookie);
    // Null means that memory is short: the socket stays a bystander's.
    let _ = INJ_TAGS.get_or_insert(sk, &mut tag);
}

/// Reads a field of a kernel struct at an offset that the loader has made a constant, so that the
/// verifier checks the access against the host's own types.
#[inline(always)]
pub fn field<T: Copy>(base: *const task_struct, offset: u32) -> T {
    // SAFETY: the verifier refuses the program unless `base` is a trusted task (or a struct reached
    // from one) with a field of this size at this offset.
    unsafe { core::ptr::read_volatile(base.cast::<u8>().add(offset as usize).cast::<T>()) }
}

/// The thread group leader of a task.
#[inline(always)]
pub fn leader(task: *const task_struct) -> *const task_struct {
    field(task, OFFSET_LEADER.load())
}

/// The start time of a task as `/proc/PID/stat` shows it.
#[inline(always)]
pub fn start_ticks(task: *const task_struct) -> u64 {
    field::<u64>(task, OFFSET_START.load()) / TICK_NS
}
