//! Puts the calling thread to sleep without burning CPU, from any sleepable program.
//!
//! BPF has no sleep. But a sleepable program may read another process's memory, and a page of a FUSE file
//! takes as long to come as its server likes: the thread waits in `request_wait_answer` (fs/fuse/dev.c),
//! and a fatal signal is told to the server at once. The page never comes (EIO), so the next thread waits
//! as well.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::task_struct,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_copy_from_user_task, bpf_ktime_get_boot_ns},
    },
};
use injector_common::park::{
    CALL_TASK_FROM_PID, CALL_TASK_RELEASE, MAX_SLEEP_NS, PROBES, Park, Sleep,
};

use crate::maps::{INJ_PARK, INJ_SLEEPS, INJ_TRIALS, PARK_AVAILABLE};

/// `BPF_NOEXIST`: only where there is no entry yet.
const ONLY_NEW: u64 = 1;

/// Sleeps for `ns` nanoseconds, ten seconds at most (`MAX_SLEEP_NS`). Says whether that time has passed:
/// it has not where there is no park, where it was closed, where too many sleep already, or after a signal.
///
/// The caller has asked the gate. Locks that the hook is called under are held for that long.
#[inline(always)]
pub fn sleep(ns: u64) -> bool {
    // Where the kernel lacks the functions, the verifier removes all that follows as dead code, and with it
    // calls that it would not know.
    if PARK_AVAILABLE.load() == 0 {
        return false;
    }
    let Some(park) = INJ_PARK.get(0) else {
        return false;
    };
    let ids = bpf_get_current_pid_tgid();
    let (process, thread) = ((ids >> 32) as u32, ids as u32);
    if park.slots == 0 || process == park.holder || process == park.server {
        return false;
    }
    let wake_boot_ns = now() + if ns < MAX_SLEEP_NS { ns } else { MAX_SLEEP_NS };
    let sleep = Sleep {
        wake_boot_ns,
        tid: thread,
        reserved: 0,
    };
    let Some(slot) = claim(park, &sleep) else {
        return false;
    };
    wait(park.holder, park.address(slot));
    let _ = INJ_SLEEPS.remove(slot);
    now() >= wake_boot_ns
}

/// Takes a page that no other thread sleeps on: the second thread on a page would wait for the first, and no
/// signal could end that (mm/filemap.c, `__folio_lock`).
#[inline(always)]
fn claim(park: &Park, sleep: &Sleep) -> Option<u32> {
    let mut probe = 0;
    while probe < PROBES {
        let slot = park.slot(sleep.tid, probe);
        if INJ_SLEEPS.insert(slot, sleep, ONLY_NEW).is_ok() {
            return Some(slot);
        }
        probe += 1;
    }
    None
}

/// Faults on the page. What the copy brings is of no interest.
#[inline(always)]
fn wait(holder: u32, address: u64) {
    let task = task_from_pid(holder as i32);
    if task.is_null() {
        return;
    }
    let mut nothing = 0_u64;
    // SAFETY: the buffer has 8 bytes, and the task is held; the kernel checks the address.
    unsafe {
        bpf_copy_from_user_task(
            core::ptr::from_mut(&mut nothing).cast(),
            8,
            address as *const _,
            task,
            0,
        );
    }
    task_release(task);
}

fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// `bpf_task_from_pid` (kernel/bpf/helpers.c): the task with an id of the first PID namespace, or null.
#[inline(always)]
fn task_from_pid(pid: i32) -> *mut task_struct {
    // SAFETY: the address is a number that the loader replaces by that of the kernel's function, which has
    // this signature.
    let call: extern "C" fn(i32) -> *mut task_struct =
        unsafe { core::mem::transmute(CALL_TASK_FROM_PID as usize) };
    call(pid)
}

/// `bpf_task_release`: gives back what [`task_from_pid`] gave.
#[inline(always)]
fn task_release(task: *mut task_struct) {
    // SAFETY: as above.
    let call: extern "C" fn(*mut task_struct) =
        unsafe { core::mem::transmute(CALL_TASK_RELEASE as usize) };
    call(task);
}

/// The self-test: puts processes of the table to sleep when they open a file, and no other process
/// (security/security.c, `security_file_open`, or `__x64_sys_openat` itself). The table is empty but for the
/// injector's own children.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm.s/inj_park_trial_s")]
extern "C" fn inj_park_trial_s(_context: *mut c_void) -> i64 {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let Some(trial) = INJ_TRIALS.get_ptr_mut(tgid) else {
        return 0;
    };
    // SAFETY: the entry is never removed while the program is attached; lost counts do no harm.
    let ns = unsafe {
        (*trial).fired += 1;
        (*trial).ns
    };
    if sleep(ns) {
        // SAFETY: as above.
        unsafe { (*trial).slept += 1 };
    }
    0
}
