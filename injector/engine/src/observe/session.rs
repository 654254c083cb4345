//! What a look holds in the kernel: programs, probes and a lease. Dropping it takes everything out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use injector_common::{
    lease::{Lease, RENEW_EVERY_NS},
    plaintext::Heard,
};
use injector_host::{
    kernel::{
        clock::boot_ns,
        links::{Links, ProcessHook},
        maps::{LeaseMap, Maps},
        object::{Callers, Object},
        plaintext::{self, PlaintextRing},
        uprobe::TlsProbes,
    },
    targets::{Presence, ResolvedTarget, Sight, guard::Guard, process::TaskKey, tls::Runtime},
};
use injector_plan::tables::Sizes;
use injector_spec::{error::Refusal, experiment::Follow};

use crate::members::{Covered, EVERY, Members, Unheard};

/// The scope of the only target.
const SCOPE: u32 = 0;

/// A look that is on. Fields are dropped in this order: the lease ends before anything is detached.
pub(super) struct Session {
    lessor: Lessor,
    members: Members,
    _links: Links,
    ring: PlaintextRing,
    maps: Maps,
    probes: TlsProbes,
    _object: Object,
    target: ResolvedTarget,
    presence: Presence,
    /// Whether a process of the target was seen.
    was_here: bool,
    next: Instant,
}

/// How old the last turn of the loop may be where the lease is renewed, in nanoseconds.
const STANDS_NS: u64 = 1_000_000_000;

/// Renews the lease from a thread of its own, so that a turn that takes long does not cost it; not for a loop that stands
/// still, since records that are not read make a target's calls dearer for nothing.
struct Lessor {
    /// When the loop made its last turn, on the boot clock.
    turned_ns: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lessor {
    fn begin(mut lease: LeaseMap) -> Result<Self, Refusal> {
        // The first is written before anything is told to be on.
        lease.write(Lease::from(boot_ns()))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let turned_ns = Arc::new(AtomicU64::new(boot_ns()));
        let (told, turned) = (Arc::clone(&is_over), Arc::clone(&turned_ns));
        let thread = std::thread::Builder::new()
            .name("lease".into())
            .spawn(move || {
                while !told.load(Ordering::Acquire) {
                    let now = boot_ns();
                    if goes_on(turned.load(Ordering::Relaxed), now) {
                        // One that cannot be written ends by itself.
                        let _ = lease.write(Lease::from(now));
                    }
                    std::thread::park_timeout(Duration::from_nanos(RENEW_EVERY_NS));
                }
                let _ = lease.write(Lease::DISARMED);
            })
            .map_err(|error| {
                Refusal::failed(format!(
                    "the thread that renews the lease cannot be started: {error}; try again"
                ))
            })?;
        Ok(Self {
            turned_ns,
            is_over,
            thread: Some(thread),
        })
    }
}

/// Whether a loop goes on that made its last turn then.
const fn goes_on(turned_ns: u64, now_ns: u64) -> bool {
    now_ns.saturating_sub(turned_ns) < STANDS_NS
}

impl Drop for Lessor {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It writes one word and ends.
            let _ = thread.join();
        }
    }
}

impl Session {
    /// Attaches to a target.
    pub(super) fn begin(target: ResolvedTarget, guard: Guard) -> Result<Self, Refusal> {
        let mut object = Object::load_for(Callers::of(std::iter::once(&target))?, Sizes::OBSERVE)?;
        let probes = TlsProbes::looking(&mut object)?;
        let ring = PlaintextRing::take(&mut object)?;
        let mut links = Links::default();
        plaintext::attach_plain(&mut object, &mut links)?;
        if target.follow == Follow::Tree {
            links.process(&mut object, ProcessHook::Fork)?;
            links.process(&mut object, ProcessHook::Exit)?;
        }
        let (mut maps, lease, _events) = Maps::take(&mut object)?;
        if let Some(cgroup) = &target.cgroup {
            maps.write_cgroup(cgroup.id, SCOPE)?;
        }
        let follow = u32::from(target.follow == Follow::Tree);
        for key in &target.processes {
            let (key, record) = key.record(SCOPE, follow);
            maps.write_process(key, record)?;
        }
        Ok(Self {
            lessor: Lessor::begin(lease)?,
            members: Members::new(guard),
            _links: links,
            ring,
            maps,
            probes,
            _object: object,
            presence: Presence::of(&target),
            target,
            was_here: false,
            next: Instant::now(),
        })
    }

    /// Has `hear` look at the next record; false where none waits.
    pub(super) fn next(&mut self, hear: impl FnOnce(&Heard<'_>)) -> bool {
        self.ring.next(hear)
    }

    /// Looks at the target where that is due; says how it has ended, where it has.
    pub(super) fn keep_up(&mut self, tell: &mut dyn FnMut(Covered)) -> Option<&'static str> {
        self.lessor.turned_ns.store(boot_ns(), Ordering::Relaxed);
        let now = Instant::now();
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        let members = self.present();
        // Where attaching takes so long that the lease ends, the rest is attached to by the next look.
        let turned_ns = self.lessor.turned_ns.as_ref();
        let may_go_on = || goes_on(turned_ns.load(Ordering::Relaxed), boot_ns());
        self.members
            .keep_up(&members, &self.probes, &may_go_on, tell);
        self.was_here |= !members.is_empty();
        let followed = members.len();
        match self.presence.look(|| followed, &mut Vec::new()) {
            Sight::Ended => Some("its last process has ended"),
            Sight::Removed => Some("its cgroup was removed"),
            Sight::Empty if self.was_here => Some("its last process has ended"),
            Sight::Empty | Sight::Here => None,
        }
    }

    /// Processes that are heard in plain text alone.
    pub(super) fn unheard(&self) -> Vec<(u32, Option<Runtime>)> {
        Unheard::of_those_here(&self.members.unheard())
    }

    /// Records that found no room.
    pub(super) fn lost(&self) -> u64 {
        self.ring.lost().unwrap_or_default()
    }

    fn present(&self) -> Vec<TaskKey> {
        let alive = |key: &TaskKey| key.is_alive();
        match (&self.target.cgroup, self.target.follow) {
            (Some(_), _) => self.target.members(),
            (None, Follow::Process) => self
                .target
                .processes
                .iter()
                .copied()
                .filter(alive)
                .collect(),
            (None, Follow::Tree) => {
                let followed = self.maps.members(SCOPE).into_iter();
                followed.filter(alive).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_goes_with_a_loop_that_stands() {
        assert!(goes_on(5, 5) && goes_on(5, 4 + STANDS_NS));
        assert!(!goes_on(5, 5 + STANDS_NS));
        assert!(goes_on(9, 5), "a turn in between is none that stands");
    }
}
