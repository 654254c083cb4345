//! What the server asks of the daemon.

use std::{future::Future, io, os::fd::OwnedFd};

use tokio::sync::broadcast;

use super::{
    Lanes, ScheduleStatus, StartRequest,
    lanes::{Broke, Lane},
};
use injector_engine::{kill_switch, worker::AskedBy};
use injector_host::kernel::capability::{self, Capability};
use injector_record::halt::Halt;
use injector_record::{
    event::RunEvent,
    journal::{self, ListedRun, RunId},
    report::RunReport,
};
use injector_spec::error::Refusal;

/// Whose end ends a run before its time.
#[derive(Debug)]
pub enum Tie {
    /// No process's.
    None,
    /// That of the process behind this pidfd.
    Process(OwnedFd),
}

/// The daemon behind the server. The experiment has been checked; the caller is known to the kernel.
pub trait Control: Send + Sync + 'static {
    /// Where work that waits is done.
    fn lanes(&self) -> &Lanes;

    /// Starts a run and returns its name when it is armed. A refusal means that nothing of it is there.
    fn start(
        &self,
        asked: StartRequest,
        by: AskedBy,
        tie: Tie,
    ) -> impl Future<Output = Result<RunId, Refusal>> + Send;

    /// Whether a run is the daemon's own, and goes on. Never waits.
    fn carries_out(&self, run: &RunId) -> bool;

    /// Ends a run of its own and returns when nothing of it fires any more.
    fn stop(&self, run: &RunId) -> impl Future<Output = Result<RunReport, Refusal>> + Send;

    /// Ends every run of the daemon.
    fn stop_all(&self) -> impl Future<Output = Result<Vec<RunReport>, Refusal>> + Send;

    /// Pulls the kill switch. When this returns, the daemon's runs are disarmed, and those of others will
    /// be within their watchdogs' next look. Returns who has pulled it: another caller, if that one was first.
    fn halt(&self, halt: Halt) -> impl Future<Output = Result<Halt, Refusal>> + Send;

    /// Releases the kill switch. Returns who had pulled it, if it was pulled.
    fn resume(&self, by: AskedBy) -> impl Future<Output = Result<Option<Halt>, Refusal>> + Send;

    /// What happens from now on, in all runs of the daemon.
    fn events(&self) -> broadcast::Receiver<RunEvent>;

    /// What its schedule is at; `None` where it has none. Never waits.
    fn schedule(&self) -> Option<ScheduleStatus> {
        None
    }

    /// Every run that has a journal, the daemon's and others.
    fn list(&self) -> impl Future<Output = Result<Vec<ListedRun>, Refusal>> + Send {
        let read = self.lanes().look.run(|| {
            let directory = journal::directory();
            journal::list(&directory).map_err(|error| unreadable(&error))
        });
        async { read.await.map_err(|Broke| reading_broke())? }
    }

    /// One run, by its journal; `None` where it has none.
    fn find(
        &self,
        run: &RunId,
        lane: &Lane,
    ) -> impl Future<Output = Result<Option<ListedRun>, Refusal>> + Send {
        let run = run.clone();
        async move {
            let read = lane.run(move || {
                // A run's name is digits; it leads nowhere else.
                let path = journal::file(&journal::directory(), &run);
                match journal::read(&path, run) {
                    Ok((listed, _)) => Ok(Some(listed)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(unreadable(&error)),
                }
            });
            read.await.map_err(|Broke| reading_broke())?
        }
    }

    /// Who has pulled the kill switch.
    fn halted(&self) -> impl Future<Output = Result<Option<Halt>, Refusal>> + Send {
        let look = self.lanes().look.run(|| {
            let standing = kill_switch::standing(&journal::directory());
            standing.map_err(|error| Refusal::failed(error.to_string()))
        });
        let broke =
            |Broke| Refusal::failed("looking at the kill switch broke; the daemon's log says how");
        async move { look.await.map_err(broke)? }
    }

    /// What this machine offers.
    fn capabilities(&self) -> impl Future<Output = Result<Vec<Capability>, Refusal>> + Send {
        let survey = self.lanes().look.run(capability::survey);
        let broke =
            |Broke| Refusal::failed("the survey of this machine broke; the daemon's log says how");
        async move { survey.await.map_err(broke) }
    }
}

fn unreadable(error: &io::Error) -> Refusal {
    let shown = journal::directory().display().to_string();
    Refusal::failed(format!(
        "the journals in {shown} cannot be read: {error}; check the directory"
    ))
}

fn reading_broke() -> Refusal {
    Refusal::failed("reading the journals broke; the daemon's log says how")
}
