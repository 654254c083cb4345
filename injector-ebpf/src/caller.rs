//! The gate for system calls: whose call is it, may anything fire, and which call is it?
//!
//! A bystander pays one look-up for processes and one for each level at which a target's cgroup lies
//! (one, as a rule); what the run has no targets of is not asked, because the loader freezes both.

use aya_ebpf::{
    bindings::task_struct,
    helpers::generated::{
        bpf_get_current_ancestor_cgroup_id, bpf_get_current_task_btf, bpf_task_pt_regs,
    },
};
use injector_common::call::{Accept, NO_NUMBER, SYSCALLS};

use crate::{
    claim::{self, field},
    gate,
    maps::{
        CGROUP_LEVELS, INJ_ACCEPT, INJ_CGROUPS, OFFSET_CRED, OFFSET_REAL_CRED, OFFSET_START,
        OFFSET_TASK_FLAGS, OFFSET_THREAD_STATUS, OWN_TGID, PROCESS_TARGETS,
    },
    subject::read,
};

/// The levels below the root at which a target's cgroup can lie.
const LEVELS: u32 = 24;

/// The target that the calling process belongs to, while the lease is live.
#[inline(always)]
pub fn admit() -> Option<u32> {
    let scope = scope()?;
    (claim::tgid() != OWN_TGID.load() && gate::is_armed()).then_some(scope)
}

/// The target that the calling process belongs to, armed or not.
#[inline(always)]
pub fn scope() -> Option<u32> {
    if PROCESS_TARGETS.load() != 0 {
        claim::process_scope().or_else(of_cgroup)
    } else {
        of_cgroup()
    }
}

#[inline(always)]
fn of_cgroup() -> Option<u32> {
    let levels = CGROUP_LEVELS.load();
    for level in 1..LEVELS {
        if levels >> level & 1 == 0 {
            continue;
        }
        // SAFETY: the helper takes any level; 0 is "no such ancestor", which no target is.
        let id = unsafe { bpf_get_current_ancestor_cgroup_id(level as i32) };
        // SAFETY: values are replaced whole and removed only after the run is disarmed.
        if let Some(scope) = unsafe { INJ_CGROUPS.get(id) } {
            return Some(*scope);
        }
    }
    None
}

/// A worker of `io_uring`, whose registers belong to no system call (include/linux/sched.h).
const PF_IO_WORKER: u32 = 0x10;
/// A 32-bit call (`arch/x86/include/asm/thread_info.h`).
const TS_COMPAT: u32 = 2;
/// Work of a ring that the submitting thread does itself.
const IO_URING_ENTER: u32 = 426;
/// Place of `pt_regs::orig_ax` among the words of the registers on `x86_64`, which is ABI (arch/x86/include/asm/ptrace.h).
const ORIG_AX: usize = 15;

/// The native number of the call that the current thread is in; [`NO_NUMBER`] where it has none.
#[inline(always)]
pub fn number() -> u32 {
    // SAFETY: the helper returns the running task, which cannot go away meanwhile.
    let task: *mut task_struct = unsafe { bpf_get_current_task_btf() };
    let flags: u32 = field(task, OFFSET_TASK_FLAGS.load());
    let status: u32 = field(task, OFFSET_THREAD_STATUS.load());
    if flags & PF_IO_WORKER != 0 || status & TS_COMPAT != 0 {
        return NO_NUMBER;
    }
    // SAFETY: the helper returns the task's own registers, and the verifier checks the access.
    let number = unsafe {
        let registers = bpf_task_pt_regs(task) as *const u64;
        core::ptr::read_volatile(registers.add(ORIG_AX))
    };
    if number >= u64::from(SYSCALLS) || number == u64::from(IO_URING_ENTER) {
        return NO_NUMBER;
    }
    number as u32
}

/// What user space says of a native call; zero where it says nothing.
#[inline(always)]
pub fn accepts(number: u32) -> Accept {
    INJ_ACCEPT.get(number).copied().unwrap_or_default()
}

/// The calling thread.
#[inline(always)]
pub fn tid() -> u32 {
    aya_ebpf::helpers::bpf_get_current_pid_tgid() as u32
}

/// When the calling thread was started, on the boot clock in nanoseconds. Together with its id that is one thread.
#[inline(always)]
pub fn start_ns() -> u64 {
    // SAFETY: the helper returns the running task, which cannot go away meanwhile.
    field(unsafe { bpf_get_current_task_btf() }, OFFSET_START.load())
}

/// Whether the kernel acts for a file system and not for the call itself: overlayfs opens, reads, changes and copies
/// the files below it in its caller's name and with its mounter's rights (fs/overlayfs, `ovl_override_creds`), some of
/// them under its own locks. The call was met when it came to the upper file.
#[inline(always)]
pub fn acts_for_a_file_system() -> bool {
    let task = task();
    read::<u64>(task + u64::from(OFFSET_CRED.load()))
        != read::<u64>(task + u64::from(OFFSET_REAL_CRED.load()))
}

/// The calling thread's `struct task_struct`.
#[inline(always)]
pub fn task() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { aya_ebpf::helpers::generated::bpf_get_current_task() }
}
