//! What the BPF programs know of the park: how a thread is put to sleep, and until when.
//!
//! A thread sleeps in a page fault on a mapping of another process, the *holder* (see `injector/host/src/park.rs`).
//! The program says in the table of sleeps how long, under the number of the page; the server that the fault
//! arrives at reads it there.

/// The longest sleep, in nanoseconds. A sleeper holds up RCU Tasks Trace grace periods, and with them
/// other people's BPF programs (kernel/rcu/tasks.h, `rcu_tasks_trace`), so longer ones are made of several.
pub const MAX_SLEEP_NS: u64 = 10_000_000_000;

/// How many threads of one run can sleep at once; a power of two.
pub const SLOTS: u32 = 16_384;

/// How many pages a thread asks for before it gives up and does not sleep.
pub const PROBES: u32 = 8;

/// Stands for the kernel function `bpf_task_from_pid` until the object is loaded: no helper has this number.
pub const CALL_TASK_FROM_PID: i32 = 0x7fff_0001;

/// Stands for `bpf_task_release`.
pub const CALL_TASK_RELEASE: i32 = 0x7fff_0002;

/// Where to sleep. All zero is nowhere: no thread sleeps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Park {
    /// Address of the first of this run's pages, in the holder.
    pub base: u64,
    /// The holder's process id, in the host's PID namespace. It never sleeps.
    pub holder: u32,
    /// The process id of the server, which never sleeps either: no process would wake it.
    pub server: u32,
    /// How many pages; [`SLOTS`], or 0 for no park.
    pub slots: u32,
    /// Bytes of a page.
    pub page_bytes: u32,
}

/// A thread that sleeps, or is about to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sleep {
    /// When it is to go on, on the boot clock in nanoseconds.
    pub wake_boot_ns: u64,
    /// Its thread id.
    pub tid: u32,
    /// Padding.
    pub reserved: u32,
}

/// A process that the self-test puts to sleep.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// How long it sleeps each time that it opens a file, in nanoseconds.
    pub ns: u64,
    /// How often it did: all threads together, roughly.
    pub fired: u64,
    /// How often it slept to the end, likewise.
    pub slept: u64,
}

impl Park {
    /// The slot that a thread tries in its turn `probe`. Threads of a process have neighbouring ids, so the
    /// turns are far apart.
    #[inline(always)]
    pub const fn slot(&self, tid: u32, probe: u32) -> u32 {
        tid.wrapping_add(probe.wrapping_mul(0x9e37)) & self.slots.wrapping_sub(1)
    }

    /// The address that the thread in a slot faults on.
    #[inline(always)]
    pub const fn address(&self, slot: u32) -> u64 {
        self.base + slot as u64 * self.page_bytes as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARK: Park = Park {
        base: 0x7000_0000_0000,
        holder: 2,
        server: 1,
        slots: SLOTS,
        page_bytes: 4096,
    };

    #[test]
    fn a_thread_tries_different_slots_of_the_table() {
        for tid in [0, 1, 4711, 4_194_303, u32::MAX] {
            let tried: std::collections::HashSet<u32> =
                (0..PROBES).map(|probe| PARK.slot(tid, probe)).collect();
            assert_eq!(tried.len(), PROBES as usize);
            assert!(tried.iter().all(|slot| *slot < SLOTS));
        }
    }

    #[test]
    fn slots_have_pages_of_their_own() {
        assert_eq!(PARK.address(0), PARK.base);
        assert_eq!(
            PARK.address(SLOTS - 1),
            PARK.base + u64::from(SLOTS - 1) * 4096
        );
    }
}
