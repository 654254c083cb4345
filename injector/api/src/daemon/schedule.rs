//! The daemon's own wishes: one experiment of its suite at a time, when its schedule says so.
//!
//! It asks as root does, through the same door as every caller, and lifts no limit. It waits by the boot clock, which no
//! person sets, and looks at the wall clock when the time has come: what is outside of the hours by then is drawn anew. A
//! start that was refused is no start; the next is drawn after a rest. What it is at is told from before the first draw on.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use super::{Daemon, End, Launched};
use crate::{Lanes, ScheduleStatus, StartRequest, Tie};
use injector_engine::{
    preflight::any_number,
    schedule::{self, Chosen},
    tell,
    worker::AskedBy,
};
use injector_host::kernel::clock::boot_ns;
use injector_record::journal;
use injector_spec::{
    config::ScheduleInForce,
    error::Refusal,
    quantity::duration::{millis, nanos},
};

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

/// What stands where no time is, before each draw.
const UNDRAWN: &str = "the next start is not drawn yet";

/// What a schedule is at before it has drawn or counted anything.
pub(super) fn undrawn(schedule: &ScheduleInForce) -> ScheduleStatus {
    ScheduleStatus {
        next_unix_ms: None,
        run: None,
        waiting_because: Some(UNDRAWN.to_owned()),
        today: None,
        at_most_a_day: schedule.at_most_a_day,
    }
}

/// The same where nothing goes on and nothing is due, for this reason.
fn waiting(status: &ScheduleStatus, because: &str) -> ScheduleStatus {
    ScheduleStatus {
        next_unix_ms: None,
        run: None,
        waiting_because: Some(because.to_owned()),
        ..status.clone()
    }
}

/// What a run of the schedule came to, where it came to no report.
fn refusal(end: Option<End>) -> Result<(), Refusal> {
    match end.flatten() {
        Some(Ok(_)) => Ok(()),
        Some(Err(refusal)) => Err(refusal),
        None => Err(broke()),
    }
}

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
                    self.wait_because(&refusal.message);
                    told = Some(refusal.message);
                    wait(REST).await;
                }
            }
        }
    }

    fn wait_because(&self, because: &str) {
        let mut standing = self.standing();
        *standing = standing.take().map(|status| waiting(&status, because));
    }

    /// Draws a start, waits until it is due, and for its end. A refusal that comes with the end is one as any other.
    async fn turn(&self, schedule: &ScheduleInForce) -> Result<(), Refusal> {
        let (asked, config) = (schedule.clone(), self.config.clone());
        let seed = any_number();
        let draw = move || schedule::draw(&asked, &config, seed);
        let due = self.look(draw).await?;
        let next = due
            .in_seconds
            .map(|seconds| Duration::from_secs(seconds.into()));
        let now = journal::unix_ms();
        let status = ScheduleStatus {
            next_unix_ms: next.map(|next| now.saturating_add(millis(next))),
            run: None,
            waiting_because: None,
            today: due.today,
            at_most_a_day: schedule.at_most_a_day,
        };
        *self.standing() = Some(status.clone());
        let Some(next) = next else {
            wait(NEVER).await;
            return Ok(());
        };
        wait(next).await;
        let (asked, config) = (schedule.clone(), self.config.clone());
        let choose = move || schedule::choose(&asked, &config, seed);
        let chosen = self.look(choose).await?;
        let Some(Chosen {
            experiment,
            drawn,
            today,
        }) = chosen
        else {
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
            today: Some(today.saturating_add(1)),
            ..status
        });
        let ended = end.wait_for(Option::is_some).await;
        // The sender goes with the run's thread.
        let ended = ended.ok().map(|end| end.clone());
        self.wait_because(UNDRAWN);
        refusal(ended)
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
    let until = boot_ns().saturating_add(nanos(time));
    loop {
        let left = Duration::from_nanos(until.saturating_sub(boot_ns()));
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(SLICE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_spec::config::Hours;

    fn schedule() -> ScheduleInForce {
        ScheduleInForce {
            suite: "/a".into(),
            suite_at: (1, 1),
            hours: Hours::default(),
            at_most_a_day: 3,
            victims: Vec::new(),
        }
    }

    #[test]
    fn what_it_waits_for_is_told_and_what_was_counted_stays() {
        let first = undrawn(&schedule());
        assert_eq!((first.next_unix_ms, first.today), (None, None));
        assert_eq!(first.waiting_because.as_deref(), Some(UNDRAWN));
        let drawn = ScheduleStatus {
            next_unix_ms: Some(7),
            run: Some("r000000000001".parse().unwrap()),
            waiting_because: None,
            today: Some(2),
            ..first
        };
        let refused = waiting(&drawn, "the kill switch is pulled");
        assert_eq!((refused.next_unix_ms, &refused.run), (None, &None));
        assert_eq!(refused.today, Some(2));
        assert_eq!(
            refused.waiting_because.as_deref(),
            Some("the kill switch is pulled")
        );
    }

    #[test]
    fn a_refusal_that_comes_with_the_end_is_not_lost() {
        let refused = Refusal::usage("the disk is full");
        assert_eq!(refusal(Some(Some(Err(refused.clone())))), Err(refused));
        assert!(refusal(None).is_err() && refusal(Some(None)).is_err());
    }
}
