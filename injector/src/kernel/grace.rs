//! Waits for programs in flight. After a map said "disarmed" and this returned, no program that still
//! saw the old value is running.

use super::Error;

/// Waits for an RCU grace period, under which packet, cgroup and tracepoint programs run.
///
/// `MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu()` (kernel/sched/membarrier.c). It is refused on
/// kernels booted with `nohz_full`; there the caller's links, which it drops next, do the waiting.
pub fn wait() -> Result<(), Error> {
    const GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes integers only.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if result == 0 {
        return Ok(());
    }
    Err(Error::system(
        "wait for BPF programs in flight",
        std::io::Error::last_os_error(),
    ))
}
