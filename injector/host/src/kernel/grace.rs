//! Waits for programs in flight. After a map said "disarmed" and this returned, no program that still
//! saw the old value is running.

use super::Error;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Waits for an RCU grace period, under which packet, cgroup and tracepoint programs run.
///
/// `MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu()` (kernel/sched/membarrier.c). Kernels booted with
/// `nohz_full` refuse it; there this thread visits each CPU, which makes each pass through the
/// scheduler, and programs that run with bottom halves off have ended by then.
pub fn wait() -> Result<(), Error> {
    const GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes integers only.
    if unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) } == 0 {
        return Ok(());
    }
    visit_cpus().map_err(|errno| Error::system("wait for BPF programs in flight", errno))
}

fn visit_cpus() -> Result<(), rustix::io::Errno> {
    let usual = sched_getaffinity(None)?;
    for cpu in 0..CpuSet::MAX_CPU {
        let mut only = CpuSet::new();
        only.set(cpu);
        // A CPU that is absent or offline runs nothing; one that our cpuset forbids is not waited for.
        let _ = sched_setaffinity(None, &only);
    }
    sched_setaffinity(None, &usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visiting_all_cpus_leaves_the_affinity_as_it_was() {
        let before = sched_getaffinity(None).unwrap();
        visit_cpus().unwrap();
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
