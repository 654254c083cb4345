//! The watchdog: renews a run's leases, or does not.
//!
//! One OS thread a run, not a task: it must go on when the runtime hangs. It writes the leases of all of
//! the run's namespaces every 250 ms, never past the run's deadline, and never again once it has seen
//! a gap: a process that was stopped for longer than a lease has lost its faults already, and must not
//! bring them back. Each time it looks at the safety lever first ([`crate::lever`]).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use injector_common::lease::{LEASE_NS, Lease, RENEW_EVERY_NS};

use crate::{
    kernel::{self, clock::boot_ns, maps::LeaseMap},
    lever::Lever,
};

/// How a run's leases stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are renewed.
    Live,
    /// The run was disarmed.
    Disarmed,
    /// They lapsed: the process was held up for this long, in nanoseconds.
    Lapsed(u64),
    /// The deadline has passed.
    Overdue,
    /// Somebody has pulled the safety lever.
    Halted,
}

struct Leases {
    maps: Vec<LeaseMap>,
    standing: Standing,
    renewed_at: u64,
    deadline: u64,
}

/// The watchdog of one run. Dropping it disarms the run.
pub struct Watchdog {
    leases: Arc<Mutex<Leases>>,
    /// When the leases were renewed last, for whoever wants to know without a lock.
    beat: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Makes the leases live and keeps them so until the deadline, a time on the boot clock, or until
    /// the lever is pulled. Where it is pulled already they never are.
    pub fn start(
        maps: Vec<LeaseMap>,
        deadline_boot_ns: u64,
        lever: Lever,
    ) -> Result<Self, kernel::Error> {
        let now = boot_ns();
        let mut leases = Leases {
            maps,
            standing: Standing::Live,
            renewed_at: now,
            deadline: deadline_boot_ns,
        };
        if lever.is_pulled() {
            leases.end(Standing::Halted)?;
        } else {
            leases.renew(now)?;
        }
        let leases = Arc::new(Mutex::new(leases));
        let beat = Arc::new(AtomicU64::new(now));
        let thread = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn({
                let (leases, beat) = (Arc::clone(&leases), Arc::clone(&beat));
                move || keep(&leases, &lever, &beat)
            })
            .map_err(|error| kernel::Error::system("start the watchdog's thread", error))?;
        Ok(Self {
            leases,
            beat,
            thread: Some(thread),
        })
    }

    /// How the leases stand.
    pub fn standing(&self) -> Standing {
        lock(&self.leases).standing
    }

    /// When the leases were renewed last, on the boot clock.
    pub fn last_beat(&self) -> u64 {
        self.beat.load(Ordering::Relaxed)
    }

    /// Ends the leases. Programs that have read them already may still act; see
    /// [`kernel::grace::wait`].
    pub fn disarm(&self) -> Result<(), kernel::Error> {
        lock(&self.leases).end(Standing::Disarmed)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The lease runs out by itself where the write fails.
        let _ = self.disarm();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there was printed, and has ended the renewals.
            let _ = thread.join();
        }
    }
}

impl Leases {
    /// Renews, or finds out why not. `now` is on the boot clock.
    fn renew(&mut self, now: u64) -> Result<(), kernel::Error> {
        let gap = now.saturating_sub(self.renewed_at);
        if now >= self.deadline {
            return self.end(Standing::Overdue);
        }
        if gap > LEASE_NS {
            return self.end(Standing::Lapsed(gap));
        }
        let expires_boot_ns = Lease::from(now).expires_boot_ns.min(self.deadline);
        for map in &mut self.maps {
            map.write(Lease { expires_boot_ns })?;
        }
        self.renewed_at = now;
        Ok(())
    }

    /// Ends every lease, whatever happens with the others; the first failure is reported.
    fn end(&mut self, standing: Standing) -> Result<(), kernel::Error> {
        if self.standing == Standing::Live {
            self.standing = standing;
        }
        let written: Vec<_> = self
            .maps
            .iter_mut()
            .map(|map| map.write(Lease::DISARMED))
            .collect();
        written.into_iter().collect()
    }
}

fn keep(leases: &Mutex<Leases>, lever: &Lever, beat: &AtomicU64) {
    loop {
        std::thread::park_timeout(Duration::from_nanos(RENEW_EVERY_NS));
        // Without the lock: a file system that hangs must not keep anybody from disarming.
        let is_pulled = lever.is_pulled();
        let mut leases = lock(leases);
        if leases.standing != Standing::Live {
            return;
        }
        if is_pulled {
            // A lease that cannot be ended runs out.
            let _ = leases.end(Standing::Halted);
            return;
        }
        let now = boot_ns();
        // A lease that cannot be written runs out by itself, which is the safe side.
        if leases.renew(now).is_ok() {
            beat.store(now, Ordering::Relaxed);
        }
    }
}

/// The state is sound after a panic elsewhere: every writer leaves it so at each step.
fn lock(leases: &Mutex<Leases>) -> MutexGuard<'_, Leases> {
    leases.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases(renewed_at: u64, deadline: u64) -> Leases {
        Leases {
            maps: Vec::new(),
            standing: Standing::Live,
            renewed_at,
            deadline,
        }
    }

    #[test]
    fn a_gap_longer_than_the_lease_is_never_mended() {
        let mut leases = leases(1_000, u64::MAX);
        leases.renew(1_000 + LEASE_NS).unwrap();
        assert_eq!(leases.standing, Standing::Live);
        leases.renew(1_000 + LEASE_NS + LEASE_NS + 1).unwrap();
        assert_eq!(leases.standing, Standing::Lapsed(LEASE_NS + 1));
        let renewed_at = leases.renewed_at;
        leases.renew(1_000 + 2 * LEASE_NS + 2).unwrap();
        assert_eq!(leases.renewed_at, renewed_at, "a lapsed lease was renewed");
    }

    #[test]
    fn the_deadline_ends_it() {
        let mut leases = leases(0, 10);
        leases.renew(10).unwrap();
        assert_eq!(leases.standing, Standing::Overdue);
    }

    #[test]
    fn the_lever_ends_it_and_keeps_it_from_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let start = || {
            let lever = Lever::watch(directory.path()).unwrap();
            Watchdog::start(Vec::new(), u64::MAX, lever).unwrap()
        };
        let watchdog = start();
        assert_eq!(watchdog.standing(), Standing::Live);
        std::fs::write(directory.path().join("halt"), "").unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while watchdog.standing() == Standing::Live {
            assert!(std::time::Instant::now() < deadline, "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(watchdog.standing(), Standing::Halted);
        assert_eq!(start().standing(), Standing::Halted);
    }

    #[test]
    fn the_first_reason_stays() {
        let mut leases = leases(0, 10);
        leases.renew(10).unwrap();
        leases.end(Standing::Disarmed).unwrap();
        assert_eq!(leases.standing, Standing::Overdue);
    }
}
