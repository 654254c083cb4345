//! The watchdog: renews a run's leases, or does not.
//!
//! One OS thread a run, not a task: it must go on when the runtime hangs. It writes the leases of all of
//! the run's namespaces every 250 ms, never past the run's deadline, and never again once it has seen
//! a gap: a process that was stopped for longer than a lease has lost its faults already, and must not
//! bring them back. Every 50 ms it looks at the run's halt conditions ([`crate::halt_monitor`]) and at the safety
//! kill switch ([`crate::kill_switch`]), and ends the leases itself where one says so. Any other thread that
//! wants to end them at once pulls the run's [`Brake`].
//!
//! It waits for no other thread. Conditions are words in memory that other threads write. So is the kill
//! switch: a thread of its own looks for the file, and a lease lasts 2 s from the last time that it was seen
//! not to be there. A file system that hangs therefore ends the run as a stopped process does.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use injector_common::lease::{LEASE_NS, Lease, RENEW_EVERY_NS};

use crate::{
    halt_monitor::{Breach, Slot},
    kill_switch::KillSwitch,
};
use injector_host::{
    kernel::{self, clock::boot_ns, maps::LeaseMap},
    privilege::{self, Locked},
};

/// How often the conditions and the kill switch are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A renewal is due a little before its time is over: the next look may come late.
const DUE_NS: u64 = RENEW_EVERY_NS - 25_000_000;

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
    /// The kill switch was pulled.
    Halted,
    /// A halt condition, or a limit of the host, came to hold.
    Breached,
}

/// How the leases came to their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What was breached, if that was it.
    pub breach: Option<Breach>,
    /// When the last lease was ended in the kernel, on the boot clock, in nanoseconds.
    pub ended_boot_ns: u64,
}

struct Leases {
    maps: Vec<LeaseMap>,
    standing: Standing,
    renewed_at: u64,
    deadline: u64,
    slots: Vec<Slot>,
    ending: Option<Ending>,
}

/// Ends the leases of a run at once, from any thread, whether or not the run is armed yet.
#[derive(Clone, Debug, Default)]
pub struct Brake(Arc<Mutex<Grip>>);

#[derive(Default)]
struct Grip {
    is_pulled: bool,
    leases: Weak<Mutex<Leases>>,
}

impl std::fmt::Debug for Grip {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Grip")
            .field("is_pulled", &self.is_pulled)
            .finish_non_exhaustive()
    }
}

impl Brake {
    /// Ends the leases as the kill switch does. A run that is armed later ends at once.
    pub fn pull(&self) {
        let mut grip = lock(&self.0);
        grip.is_pulled = true;
        if let Some(leases) = grip.leases.upgrade() {
            // A lease that cannot be ended runs out.
            let _ = lock(&leases).end(Standing::Halted, None);
        }
    }

    /// Takes hold of a run's leases; says whether they are to end now.
    fn take_hold(&self, leases: &Arc<Mutex<Leases>>) -> bool {
        let mut grip = lock(&self.0);
        grip.leases = Arc::downgrade(leases);
        grip.is_pulled
    }
}

/// Whether a run may go on, for threads that do not have its watchdog.
#[derive(Clone)]
pub struct Licence {
    leases: Weak<Mutex<Leases>>,
    beat: Arc<AtomicU64>,
}

impl Licence {
    /// Whether the leases are live. They are not once the watchdog is gone, or has stood still for longer than a lease lasts.
    pub fn is_live(&self) -> bool {
        let since = boot_ns().saturating_sub(self.beat.load(Ordering::Relaxed));
        let leases = self.leases.upgrade();
        since <= LEASE_NS && leases.is_some_and(|leases| lock(&leases).standing == Standing::Live)
    }
}

/// The kill switch as a thread of its own has seen it last.
struct Sight {
    is_pulled: AtomicBool,
    /// On the boot clock, in nanoseconds.
    seen_at: AtomicU64,
    is_over: AtomicBool,
}

/// The watchdog of one run. Dropping it disarms the run.
pub struct Watchdog {
    /// What the thread looks at. Before the rest, which frees it.
    _locked: [Locked; 5],
    leases: Arc<Mutex<Leases>>,
    /// When the leases were renewed last, for threads that want to know without a lock.
    beat: Arc<AtomicU64>,
    sight: Arc<Sight>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Makes the leases live and keeps them so until the deadline, a time on the boot clock, until a slot
    /// is breached, or until the kill switch or the brake is pulled. Where one of these is already they never are.
    pub fn start(
        maps: Vec<LeaseMap>,
        deadline_boot_ns: u64,
        kill_switch: KillSwitch,
        slots: Vec<Slot>,
        brake: &Brake,
    ) -> Result<Self, kernel::Error> {
        let now = boot_ns();
        let mut leases = Leases {
            maps,
            standing: Standing::Live,
            renewed_at: now,
            deadline: deadline_boot_ns,
            slots,
            ending: None,
        };
        if kill_switch.is_pulled() {
            leases.end(Standing::Halted, None)?;
        } else {
            // What is breached already ends the leases before they begin.
            leases.look(now)?;
            leases.renew(now)?;
        }
        let leases = Arc::new(Mutex::new(leases));
        if brake.take_hold(&leases) {
            lock(&leases).end(Standing::Halted, None)?;
        }
        let beat = Arc::new(AtomicU64::new(now));
        let sight = Arc::new(Sight {
            is_pulled: AtomicBool::new(false),
            seen_at: AtomicU64::new(now),
            is_over: AtomicBool::new(false),
        });
        let locked = {
            let inner = lock(&leases);
            [
                privilege::lock_value(leases.as_ref()),
                privilege::lock_value(inner.maps.as_slice()),
                privilege::lock_value(inner.slots.as_slice()),
                privilege::lock_value(beat.as_ref()),
                privilege::lock_value(sight.as_ref()),
            ]
        };
        spawn("kill-switch", {
            let sight = Arc::clone(&sight);
            move || keep_looking(&kill_switch, &sight)
        })?;
        let thread = spawn("watchdog", {
            let (leases, beat) = (Arc::clone(&leases), Arc::clone(&beat));
            let sight = Arc::clone(&sight);
            move || {
                let _locked = privilege::lock_stack();
                keep(&leases, &sight, &beat);
            }
        })?;
        Ok(Self {
            _locked: locked,
            leases,
            beat,
            sight,
            thread: Some(thread),
        })
    }

    /// How the leases stand.
    pub fn standing(&self) -> Standing {
        lock(&self.leases).standing
    }

    /// Whether the leases are live, for what acts from user space, where no program asks them. A watchdog that has
    /// stood still for longer than a lease lasts is none.
    pub fn is_live(&self) -> bool {
        self.licence().is_live()
    }

    /// The same question, for another thread to ask.
    pub fn licence(&self) -> Licence {
        Licence {
            leases: Arc::downgrade(&self.leases),
            beat: Arc::clone(&self.beat),
        }
    }

    /// When the leases end unless they are renewed, on the boot clock, in nanoseconds; asks no lock.
    pub fn lease_until_boot_ns(&self) -> u64 {
        self.beat.load(Ordering::Relaxed).saturating_add(LEASE_NS)
    }

    /// How the leases came to their end, once they have.
    pub fn ending(&self) -> Option<Ending> {
        lock(&self.leases).ending.clone()
    }

    /// Ends the leases. Programs that have read them already may still act; see
    /// [`kernel::grace::wait`].
    pub fn disarm(&self) -> Result<(), kernel::Error> {
        lock(&self.leases).end(Standing::Disarmed, None)
    }

    /// Ends the leases for what another thread has seen.
    pub fn breach(&self, breach: Breach) -> Result<(), kernel::Error> {
        lock(&self.leases).end(Standing::Breached, Some(breach))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The lease runs out by itself where the write fails.
        let _ = self.disarm();
        // The watchdog does not wait for the thread that looks at the kill switch: its file system may hang. That
        // thread holds no more than the directory.
        self.sight.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there was printed, and has ended the renewals.
            let _ = thread.join();
        }
    }
}

impl Leases {
    /// Looks at the conditions; ends the leases where one holds.
    fn look(&mut self, now: u64) -> Result<(), kernel::Error> {
        if self.standing != Standing::Live {
            return Ok(());
        }
        match self.slots.iter().find_map(|slot| slot.look(now)) {
            Some(breach) => self.end(Standing::Breached, Some(breach)),
            None => Ok(()),
        }
    }

    /// Renews, or finds out why not. `now` is on the boot clock.
    fn renew(&mut self, now: u64) -> Result<(), kernel::Error> {
        // Nothing brings a lease back.
        if self.standing != Standing::Live {
            return Ok(());
        }
        let gap = now.saturating_sub(self.renewed_at);
        if now >= self.deadline {
            return self.end(Standing::Overdue, None);
        }
        if gap > LEASE_NS {
            return self.end(Standing::Lapsed(gap), None);
        }
        let expires_boot_ns = Lease::from(now).expires_boot_ns.min(self.deadline);
        for map in &mut self.maps {
            map.write(Lease { expires_boot_ns })?;
        }
        self.renewed_at = now;
        Ok(())
    }

    /// Ends every lease, whatever happens with the others; the first failure is reported.
    fn end(&mut self, standing: Standing, breach: Option<Breach>) -> Result<(), kernel::Error> {
        let written: Vec<_> = self
            .maps
            .iter_mut()
            .map(|map| map.write(Lease::DISARMED))
            .collect();
        if self.standing == Standing::Live {
            self.standing = standing;
            self.ending = Some(Ending {
                breach,
                ended_boot_ns: boot_ns(),
            });
        }
        written.into_iter().collect()
    }
}

fn keep(leases: &Mutex<Leases>, sight: &Sight, beat: &AtomicU64) {
    loop {
        std::thread::park_timeout(LOOK_EVERY);
        let is_pulled = sight.is_pulled.load(Ordering::Relaxed);
        // No later than the kill switch was seen last: what is not known is not renewed.
        let seen_at = sight.seen_at.load(Ordering::Relaxed);
        let mut leases = lock(leases);
        let now = boot_ns();
        // A gap first: who was stopped has seen no condition meanwhile, and has lost its faults. A lease
        // that cannot be written or ended runs out by itself, which is the safe side.
        if now.saturating_sub(leases.renewed_at) > LEASE_NS {
            let _ = leases.renew(now);
        } else if is_pulled {
            let _ = leases.end(Standing::Halted, None);
        } else {
            let _ = leases.look(now);
            let covered = now.min(seen_at);
            let is_due =
                covered.saturating_sub(leases.renewed_at) >= DUE_NS || now >= leases.deadline;
            let covered = if now >= leases.deadline { now } else { covered };
            if is_due && leases.renew(covered).is_ok() {
                beat.store(leases.renewed_at, Ordering::Relaxed);
            }
        }
        if leases.standing != Standing::Live {
            return;
        }
    }
}

/// Looks for the kill switch until the run is over.
fn keep_looking(kill_switch: &KillSwitch, sight: &Sight) {
    while !sight.is_over.load(Ordering::Relaxed) {
        let now = boot_ns();
        if kill_switch.is_pulled() {
            sight.is_pulled.store(true, Ordering::Relaxed);
            return;
        }
        sight.seen_at.store(now, Ordering::Relaxed);
        std::thread::sleep(LOOK_EVERY);
    }
}

fn spawn(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, kernel::Error> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(|error| kernel::Error::system("start a thread of the watchdog", error))
}

/// The state is sound after a panic elsewhere: every writer leaves it so at each step.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
