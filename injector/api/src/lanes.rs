//! Work that waits for a disk, for probes or for another process, in lanes that do not stand in each
//! other's way.
//!
//! Each piece of such work has a thread of the runtime's pool while it lasts. A pool that everything shares
//! is a queue, and a client that asks often enough, or for long enough, keeps `stop` and `halt` at its end. So
//! each kind has threads of its own, as many as it may use at once, and the pool has room for all of them.
//!
//! The place in a lane belongs to the work and not to the request: a client that leaves gives back nothing
//! while its work goes on.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

/// How many look at once: journals, the kill switch, this host.
const LOOKS: usize = 4;

/// How many start a run at once. Each may wait for the one before it.
const STARTS: usize = 8;

/// How many end a run at once that is in the foreground of a terminal; each may take seconds.
const ENDS: usize = 8;

/// How many move the kill switch at once. One is enough, unless its disk hangs.
const KILL_SWITCHES: usize = 4;

/// There is one schedule.
const SCHEDULES: usize = 1;

/// The threads that the lanes need together.
pub const THREADS: usize = LOOKS + STARTS + ENDS + KILL_SWITCHES + SCHEDULES;

/// The lanes.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// Who looks and changes nothing.
    pub look: Lane,
    /// Who starts a run.
    pub start: Lane,
    /// Who ends one.
    pub end: Lane,
    /// Who moves the kill switch.
    pub kill_switch: Lane,
    /// The schedule, which looks at clock, journals and suite.
    pub schedule: Lane,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            look: Lane::of(LOOKS),
            start: Lane::of(STARTS),
            end: Lane::of(ENDS),
            kill_switch: Lane::of(KILL_SWITCHES),
            schedule: Lane::of(SCHEDULES),
        }
    }
}

/// The work broke off: it panicked, or the runtime ends.
#[derive(Debug, thiserror::Error)]
#[error("the work broke off")]
pub struct Broke;

/// One lane.
#[derive(Clone, Debug)]
pub struct Lane(Arc<Semaphore>);

impl Lane {
    fn of(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// Does the work on a thread of this lane, when its turn has come. Work whose client leaves before
    /// that is not begun.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Broke> {
        let place = Arc::clone(&self.0).acquire_owned().await;
        let place = place.map_err(|_| Broke)?;
        let done = spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|_| Broke)
    }
}
