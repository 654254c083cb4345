//! `watch`: how a run stands, for a person who did not start it.
//!
//! What is shown comes from the run's journal, as it is written, whichever process carries the run out. A daemon that
//! answers tells beside it what no journal has: hits, their rate and the lease. This command holds nothing of the run: it may be
//! killed, or its terminal stand still.
//!
//! Rejected: asking the daemon for everything. It has no past to tell, and does not know runs in the foreground.

mod seat;

use std::{future::pending, pin::Pin, time::Duration};

use tokio::time::{Interval, MissedTickBehavior};

use injector_api::{
    Client,
    client::{Events, Told},
    socket_path,
};
use injector_engine::{
    dashboard::{Board, Outline, Viewer, Wish},
    live, tell,
    worker::{Output, Showing},
};
use injector_host::kernel::clock::boot_ns;
use injector_record::{
    event::{EventKind, RunEvent},
    journal::{self, Follower, Held, ListedRun, Record, RunId, RunState, Stamped},
    report::RunReport,
};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::Experiment,
    printable,
};

use super::{arm::Interrupts, ask, record::Reader, stored::Which};
pub(super) use seat::Seat;

/// Shows a run until it is over, or the person has seen enough.
pub fn watch(which: &Which, showing: Showing) -> Result<Exit, Refusal> {
    let (listed, replay) = which.read()?;
    let experiment = replay.experiment().ok_or_else(|| {
        let run = &listed.run;
        Refusal::failed(format!(
            "the first record of run {run} is damaged, so nothing is known of its steps; `injector events {run}` \
             prints the others"
        ))
    })?;
    if listed.state != RunState::Running {
        tell_end(&listed, listed.report.as_ref());
        return Ok(Exit::Done);
    }
    super::runtime()?.block_on(Watching::begin(&listed, experiment, showing)?.until_the_end())
}

/// What became of a run that is over.
fn tell_end(listed: &ListedRun, report: Option<&RunReport>) {
    if let Some(report) = report {
        tell::report(report, Output::Text);
    } else {
        let run = &listed.run;
        tell::result(format!(
            "run {run} broke off without a report; `injector report {run}` has what its journal says"
        ));
    }
}

/// How it ended for this command.
enum End {
    /// The run is over, with a report where it did not break off.
    OfRun(Option<Box<RunReport>>),
    /// The person, or the reader of a pipe, has seen enough.
    OfWatching,
}

type Stopping = Pin<Box<dyn Future<Output = Result<RunReport, Refusal>>>>;

struct Watching<'l> {
    listed: &'l ListedRun,
    follower: Follower,
    seat: Seat,
    /// Hears every record, so that lines go on where the dashboard leaves off.
    lines: Reader,
    report: Option<Box<RunReport>>,
}

impl<'l> Watching<'l> {
    fn begin(
        listed: &'l ListedRun,
        experiment: &Experiment,
        showing: Showing,
    ) -> Result<Self, Refusal> {
        let path = journal::file(&journal::directory(), &listed.run);
        let follower = Follower::open(&path).map_err(|error| {
            let shown = printable::path(&path);
            Refusal::failed(format!(
                "the journal {shown} cannot be read: {error}; use sudo, or check the path"
            ))
        })?;
        let board = Board::new(Outline::of(experiment), Viewer::Reader, boot_ns());
        let seat = Seat::new(board, showing);
        Ok(Self {
            listed,
            follower,
            lines: Reader::default(),
            seat,
            report: None,
        })
    }

    async fn until_the_end(mut self) -> Result<Exit, Refusal> {
        let end = self.watch().await;
        // The card, or the refusal, stands on the screen from before.
        let Self { listed, seat, .. } = self;
        drop(seat);
        if let End::OfRun(report) = end? {
            tell_end(listed, report.as_deref());
        }
        Ok(Exit::Done)
    }

    async fn watch(&mut self) -> Result<End, Refusal> {
        let mut interrupts = Interrupts::new()?;
        // Of a run in the foreground no daemon knows.
        let client = match self.listed.supervisor {
            None => Client::connect(&socket_path()).await.ok().flatten(),
            Some(_) => None,
        };
        let mut events = match &client {
            Some(client) => client.turns_and_progress().await.ok(),
            None => None,
        };
        let mut anew = every(live::EVERY);
        let mut stopping: Option<Stopping> = None;
        loop {
            tokio::select! {
                _ = anew.tick() => {
                    if let Some(end) = self.look()? {
                        return Ok(end);
                    }
                }
                progress = progress(&mut events, &self.listed.run) => self.seat.turn(&progress),
                wish = self.seat.wish() => match wish {
                    Wish::Leave => return Ok(End::OfWatching),
                    Wish::Suspend => self.seat.suspend(),
                    Wish::Halt => {
                        let (client, listed) = (client.clone(), self.listed.clone());
                        stopping = Some(Box::pin(async move {
                            ask::stop_one(client.as_ref(), listed).await
                        }));
                    }
                },
                stopped = stopped(&mut stopping) => {
                    stopping = None;
                    if let Err(refusal) = stopped {
                        self.seat.not_halted(&refusal);
                    }
                }
                () = interrupts.next() => return Ok(End::OfWatching),
            }
        }
    }

    /// Takes in what the journal has by now, and shows it.
    fn look(&mut self) -> Result<Option<End>, Refusal> {
        let (records, held) = self.follower.look().map_err(|error| {
            let run = &self.listed.run;
            Refusal::failed(format!(
                "the journal of run {run} cannot be read any more: {error}; `injector report {run}` tries again"
            ))
        })?;
        let is_over = held == Held::No && records.is_empty();
        for stamped in records {
            self.take_in(stamped);
        }
        if is_over {
            return Ok(Some(End::OfRun(self.report.take())));
        }
        self.seat.draw();
        // After Ctrl-Z and `bg` another job has the terminal, and it may have become too small meanwhile.
        self.seat.take_again(boot_ns());
        Ok((!self.seat.is_taken() && tell::has_left()).then_some(End::OfWatching))
    }

    fn take_in(&mut self, stamped: Stamped) {
        let is_said = !self.seat.is_taken()
            && !matches!(
                stamped.record,
                Record::Sampled { .. } | Record::Ended { .. }
            );
        // Every record passes the reader, which remembers changes.
        let what = self.lines.sentence(&stamped.record);
        if is_said {
            let time = journal::time(stamped.unix_ms);
            tell::result(format!("{time}  {}  {what}", self.listed.run));
        }
        if let Some(what) = EventKind::of_record(&stamped.record) {
            self.seat.turn(&RunEvent {
                run: self.listed.run.clone(),
                boot_ns: stamped.boot_ns,
                what,
            });
        }
        if let Record::Ended { report } = stamped.record {
            self.report = Some(Box::new(report));
        }
    }
}

/// A clock for pictures: what was missed, as while the command stood still, is not made up for.
pub(super) fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Whether it says how this run stands: a daemon tells of all its runs.
fn is_progress_of(run: &RunId, event: &RunEvent) -> bool {
    event.run == *run && matches!(event.what, EventKind::Progress { .. })
}

/// The next word of how a run stands; none comes where no daemon tells. Other turns are the journal's to tell.
async fn progress(events: &mut Option<Events>, run: &RunId) -> RunEvent {
    while let Some(stream) = events {
        match stream.next().await {
            Ok(Some(Told::Event(event))) => {
                if is_progress_of(run, &event) {
                    return *event;
                }
            }
            Ok(Some(Told::Lost)) => {}
            // The journal is left.
            Ok(None) | Err(_) => *events = None,
        }
    }
    pending().await
}

async fn stopped(stopping: &mut Option<Stopping>) -> Result<RunReport, Refusal> {
    match stopping {
        Some(stopping) => stopping.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_run_of_the_daemon_is_not_shown_as_this_one() {
        let (ours, theirs): (RunId, RunId) = (
            "r000000010001".parse().unwrap(),
            "r000000010002".parse().unwrap(),
        );
        let event = |run: &RunId, what| RunEvent {
            run: run.clone(),
            boot_ns: 7,
            what,
        };
        let progress = || EventKind::Progress {
            hits: 5,
            by_fault: vec![],
            bytes: 0,
            step_until_boot_ns: 9,
            lease_until_boot_ns: 8,
        };
        assert!(is_progress_of(&ours, &event(&ours, progress())));
        assert!(!is_progress_of(&ours, &event(&theirs, progress())));
        let other = EventKind::StepEnded { step: "s".into() };
        assert!(!is_progress_of(&ours, &event(&ours, other)));
    }
}
