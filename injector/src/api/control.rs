//! What the server asks of the daemon.

use std::future::Future;

use tokio::{sync::broadcast, task::spawn_blocking};

use super::StartRequest;
use crate::{
    error::Refusal,
    event::RunEvent,
    journal::{self, ListedRun, RunId},
    kernel::capability::{self, Capability},
    lever::{self, Halt},
    report::RunReport,
    worker::AskedBy,
};

/// The daemon behind the server. The experiment has been checked; the caller is known to the kernel.
pub trait Control: Send + Sync + 'static {
    /// Starts a run and returns its name when it is armed. A refusal means that nothing of it is there.
    fn start(
        &self,
        asked: StartRequest,
        by: AskedBy,
    ) -> impl Future<Output = Result<RunId, Refusal>> + Send;

    /// Ends a run and returns when nothing of it fires any more.
    fn stop(&self, run: &RunId) -> impl Future<Output = Result<RunReport, Refusal>> + Send;

    /// Ends every run of the daemon.
    fn stop_all(&self) -> impl Future<Output = Result<Vec<RunReport>, Refusal>> + Send;

    /// Pulls the safety lever. When this returns, the daemon's runs are disarmed, and those of others will
    /// be within their watchdogs' next look. Returns who has: somebody else, if they were first.
    fn halt(&self, halt: Halt) -> impl Future<Output = Result<Halt, Refusal>> + Send;

    /// Releases the lever. Returns who had pulled it, if somebody had.
    fn resume(&self, by: AskedBy) -> impl Future<Output = Result<Option<Halt>, Refusal>> + Send;

    /// What happens from now on, in all runs of the daemon.
    fn events(&self) -> broadcast::Receiver<RunEvent>;

    /// Every run that has a journal, the daemon's and others.
    fn list(&self) -> impl Future<Output = Result<Vec<ListedRun>, Refusal>> + Send {
        async {
            let directory = journal::directory();
            let shown = directory.display().to_string();
            match spawn_blocking(move || journal::list(&directory)).await {
                Ok(Ok(runs)) => Ok(runs),
                Ok(Err(error)) => Err(Refusal::usage(format!(
                    "the journals in {shown} cannot be read: {error}; check the directory"
                ))),
                Err(_) => Err(Refusal::failed(
                    "reading the journals broke; the daemon's log says how",
                )),
            }
        }
    }

    /// Who has pulled the safety lever.
    fn halted(&self) -> impl Future<Output = Result<Option<Halt>, Refusal>> + Send {
        async {
            let standing = spawn_blocking(|| lever::standing(&journal::directory())).await;
            let broke =
                |_| Refusal::failed("looking at the lever broke; the daemon's log says how");
            Ok(standing.map_err(broke)??)
        }
    }

    /// What this machine offers.
    fn capabilities(&self) -> impl Future<Output = Result<Vec<Capability>, Refusal>> + Send {
        async {
            let survey = spawn_blocking(capability::survey).await;
            survey.map_err(|_| {
                Refusal::failed("the survey of this machine broke; the daemon's log says how")
            })
        }
    }
}
