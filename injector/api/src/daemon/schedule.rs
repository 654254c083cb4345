//! The daemon's own wishes: one experiment of its suite at a time, when its schedule says so.
//!
//! It asks as root does, through the same door as every caller, and lifts no limit. It waits by the boot clock, which no
//! person sets, and looks at the wall clock when the time has come: what is outside of the hours by then is drawn anew. A
//! start that was refused is no start; the next is drawn after a rest.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use super::{Daemon, Launched};
use crate::{Lanes, ScheduleStatus, StartRequest, Tie};
use injector_engine::{schedule, tell, worker::AskedBy};
use injector_host::kernel::clock::boot_ns;
use injector_record::journal;
use injector_spec::{config::ScheduleInForce, error::Refusal};

/// The rest after a start that was refused: a kill switch that is pulled is not asked every second.
const REST: Duration = Duration::from_mins(1);

/// The rest after one whose time was over when it was due.
const PAUSE: Duration = Duration::from_secs(1);

/// How long hours that are never open are left alone.
const NEVER: Duration = Duration::from_hours(1);

/// How long a start that is on its way may keep the daemon's end waiting.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// How often a wait looks at the boot clock: the runtime's own stands still while the host is suspended.
const SLICE: Duration = Duration::from_secs(10);

impl Daemon {
    /// What the schedule is at.
    pub(super) fn standing(&self) -> MutexGuard<'_, Option<ScheduleStatus>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts experiments until the daemon ends.
    pub(super) async fn keep_schedule(self, schedule: ScheduleInForce) {
        let mut told = None;
        loop {
            match self.turn(&schedule).await {
                Ok(()) => told = None,
                Err(refusal) => {
                    // Once, and not every minute that a kill switch is pulled.
                    if told.as_ref() != Some(&refusal.message) {
                        tell::aside(format!("injector: the schedule starts nothing: {refusal}"));
                    }
                    told = Some(refusal.message);
                    wait(REST).await;
                }
            }
        }
    }

    /// Draws a start, waits until it is due, and for its end.
    async fn turn(&self, schedule: &ScheduleInForce) -> Result<(), Refusal> {
        let asked = schedule.clone();
        // Any number does: it is written down with what it has decided.
        let seed = boot_ns() ^ journal::unix_ms().rotate_left(32);
        let due = self.look(move || schedule::draw(&asked, seed)).await?;
        let next = due
            .in_seconds
            .map(|seconds| Duration::from_secs(seconds.into()));
        let now = journal::unix_ms();
        let status = ScheduleStatus {
            next_unix_ms: next.map(|next| {
                now.saturating_add(u64::try_from(next.as_millis()).unwrap_or(u64::MAX))
            }),
            run: None,
            today: due.today,
            at_most_a_day: schedule.at_most_a_day,
        };
        *self.standing() = Some(status.clone());
        let Some(next) = next else {
            wait(NEVER).await;
            return Ok(());
        };
        wait(next).await;
        let asked = schedule.clone();
        let chosen = self.look(move || schedule::choose(&asked, seed)).await?;
        let Some((experiment, drawn)) = chosen else {
            wait(PAUSE).await;
            return Ok(());
        };
        let asked = StartRequest {
            experiment,
            overrides: Vec::new(),
        };
        let by = AskedBy {
            uid: rustix::process::geteuid().as_raw(),
            pid: std::process::id(),
            login_uid: None,
        };
        let daemon = self.clone();
        let launch = move || daemon.launch(asked, by, Tie::None, Some(drawn));
        let Launched { run, mut end, .. } = self.look(launch).await?;
        *self.standing() = Some(ScheduleStatus {
            next_unix_ms: None,
            run: Some(run),
            today: due.today.saturating_add(1),
            ..status
        });
        // The sender goes with the run's thread.
        let _ = end.wait_for(Option::is_some).await;
        Ok(())
    }

    /// Waits for a start that was on its way when the schedule was ended, so that its run is there to be ended as well; not
    /// for long, for what such a start waits for may never come, and its faults end with the process.
    pub(super) async fn settle_schedule(&self) {
        let _ = tokio::time::timeout(SETTLES_WITHIN, self.lanes.schedule.run(|| ())).await;
    }

    /// Does what may wait for a disk, or for another run's start, and never more than one such thing at a time.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Lanes { schedule, .. } = &self.lanes;
        schedule.run(work).await.map_err(|_| broke())?
    }
}

fn broke() -> Refusal {
    Refusal::failed("the schedule's work broke off; the daemon's log says how")
}

async fn wait(time: Duration) {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let until = boot_ns().saturating_add(time);
    loop {
        let left = Duration::from_nanos(until.saturating_sub(boot_ns()));
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(SLICE)).await;
    }
}
