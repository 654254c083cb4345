//! Keeps in memory what renews the lease.
//!
//! A host under memory pressure throws out pages of programs and reads them back from disk, which takes
//! seconds there. A watchdog that waits for its own code loses the lease; that is safe, and it ends the
//! run. So what the watchdog and the heartbeat run through is locked: the program and its libraries, as far
//! as they are used (`MCL_ONFAULT`), the part of their stacks that they use, and the lease's state.
//!
//! Rejected: `MCL_FUTURE`. It would lock what comes later: 64 MiB of held frames for each run, and the
//! stack of every thread. Where memory is short, frames are what may be lost.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::c_void,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    io::Errno,
    mm::{MlockAllFlags, MlockFlags, mlock_with, mlockall, munlock},
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

/// Pages that stay in memory for as long as one of these values lives.
///
/// The kernel does not count how often a page was locked, and values share pages; so it is counted here. What
/// a run has locked has to be let go with it: the heap does not give locked pages back, and in the next run
/// the values are on others (seen: 11 KiB a run, for ever). A page of the first bit of heap, which [`lock_program`]
/// has locked, goes with them; nothing but the values was counted on there.
#[must_use = "what is locked is let go with this"]
pub struct Locked(Range<usize>);

/// How many [`Locked`] there are for each page, by its address.
static HOLDERS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

impl Locked {
    /// Locks what lies between two addresses. Nothing depends on success: the supervisor has told what is
    /// withheld.
    fn hold(address: usize, length: usize) -> Self {
        let size = rustix::param::page_size();
        let pages = address / size..(address + length).div_ceil(size);
        let mut holders = holders();
        for page in pages.clone() {
            *holders.entry(page * size).or_default() += 1;
        }
        // SAFETY: the kernel looks the range up in its own tables and fails where nothing is mapped; it reads
        // and writes no byte of it, and a locked page behaves as any other.
        let _ = unsafe { mlock_with(pointer(address), length, MlockFlags::ONFAULT) };
        Self(pages)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let size = rustix::param::page_size();
        let mut holders = holders();
        for address in self.0.clone().map(|page| page * size) {
            if let Entry::Occupied(mut entry) = holders.entry(address) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                    // SAFETY: as for locking; and no value holds this page any more, so no code counts on it.
                    let _ = unsafe { munlock(pointer(address), size) };
                }
            }
        }
    }
}

fn holders() -> MutexGuard<'static, BTreeMap<usize, usize>> {
    HOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn pointer(address: usize) -> *mut c_void {
    std::ptr::without_provenance_mut(address)
}

/// Locks the part of the calling thread's stack that it is going to use, until it lets go.
pub fn lock_stack() -> Locked {
    let here = 0_u8;
    let top = (&raw const here).addr();
    Locked::hold(top.saturating_sub(STACK), STACK)
}

/// Locks the pages that a value is in, until they are let go. The value must not move meanwhile.
pub fn lock_value<T: ?Sized>(value: &T) -> Locked {
    Locked::hold(
        std::ptr::from_ref(value).cast::<u8>().addr(),
        size_of_val(value),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the kernel has this address in a range that is locked.
    fn is_locked(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_here = false;
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let first = words.next().unwrap();
            if let Some(flags) = line.strip_prefix("VmFlags:") {
                if is_here {
                    return flags.split_whitespace().any(|flag| flag == "lo");
                }
            } else if let Some((start, end)) = first.split_once('-') {
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                is_here = (number(start)..number(end)).contains(&address);
            }
        }
        panic!("nothing is mapped there");
    }

    #[test]
    fn a_stack_is_locked_for_as_long_as_it_is_held() {
        let locked = lock_stack();
        let below = (&raw const locked).addr() - STACK / 2;
        assert!(is_locked(below));
        drop(locked);
        assert!(!is_locked(below));
    }

    #[test]
    fn two_values_on_one_page_are_locked_until_both_are_let_go() {
        let values = vec![0_u8; 1 << 20];
        let middle = values[1 << 19..].as_ptr().addr();
        let one = lock_value(&values[1 << 19]);
        let all = lock_value(values.as_slice());
        assert!(is_locked(middle));
        drop(all);
        assert!(is_locked(middle), "the other is locked still");
        assert!(!is_locked(middle - (1 << 18)));
        drop(one);
        assert!(!is_locked(middle));
    }
}
