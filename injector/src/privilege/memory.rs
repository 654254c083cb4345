//! Keeps in memory what renews the lease.
//!
//! A host under memory pressure throws out pages of programs and reads them back from disk, which takes
//! seconds there. A watchdog that waits for its own code loses the lease; that is safe, and it ends the
//! run. So what the watchdog and the breath run through is locked: the program and its libraries, as far
//! as they are used (`MCL_ONFAULT`), the part of their stacks that they use, and the lease's state.
//!
//! Rejected: `MCL_FUTURE`. It would lock what comes later: 64 MiB of held frames for each run, and the
//! stack of every thread. Where memory is short, frames are what may be lost.

use std::ffi::c_void;

use rustix::{
    io::Errno,
    mm::{MlockAllFlags, MlockFlags, mlock_with, mlockall},
};

/// Bytes of stack that a thread which only waits and makes system calls uses. Measured: 3 KiB in debug
/// builds; the rest is for what the libraries may come to need.
const STACK: usize = 32 * 1024;

/// Locks what is mapped now, each page when it is first used. For the start of the worker, when that is
/// the program, its libraries, and a first bit of heap.
pub fn lock_program() -> Result<(), Errno> {
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT)
}

/// Lets all threads allocate from one heap, which is the start of the worker's business. glibc would give
/// each thread a heap of its own; the runs of a daemon come and go on new threads, and each would leave what
/// a run takes at most in another heap (seen: half a MiB a run).
pub fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator's, and is called before the second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives the kernel back what a run has freed.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator takes its own locks; memory in use is not touched.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Locks the part of the calling thread's stack that it is going to use. Nothing depends on success: the
/// supervisor has told what is withheld.
pub fn lock_stack() {
    let here = 0_u8;
    let top = (&raw const here).addr();
    lock(top.saturating_sub(STACK), STACK);
}

/// Locks the pages that a value is in, until the process ends: what shares them is locked as well.
pub fn lock_value<T: ?Sized>(value: &T) {
    lock(
        std::ptr::from_ref(value).cast::<u8>().addr(),
        size_of_val(value),
    );
}

fn lock(address: usize, length: usize) {
    let start = std::ptr::without_provenance_mut::<c_void>(address);
    // SAFETY: the kernel looks the range up in its own tables and fails where nothing is mapped; it reads
    // and writes no byte of it, and a locked page behaves as any other.
    let _ = unsafe { mlock_with(start, length, MlockFlags::ONFAULT) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmLck:"));
        line.and_then(|line| line.split_whitespace().nth(1))
            .unwrap()
            .parse()
            .unwrap()
    }

    #[test]
    fn a_stack_and_a_value_are_locked() {
        let before = locked_kib();
        let after = std::thread::spawn(|| {
            lock_stack();
            locked_kib()
        });
        assert!(after.join().unwrap() >= before + STACK / 1024);
        let value = vec![0_u8; 1 << 20];
        lock_value(value.as_slice());
        assert!(locked_kib() >= before + 1024);
    }
}
