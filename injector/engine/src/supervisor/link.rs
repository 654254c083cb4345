//! What worker and supervisor say to each other: short messages over a socket pair, with descriptors.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    channel::{Channel, ChannelError, Wait},
    fd_store::FdStore,
    guardian::Guardian,
    recorder::{Recorder, RunJournal, Terminal},
    worker::Job,
};
use injector_host::kernel::netns::Namespace;
use injector_spec::error::Refusal;

/// How long the supervisor may take to answer. It does nothing that waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What the worker says.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// "I am alive."
    Heartbeat,
    /// "The daemon's socket is there."
    Serving,
    /// "Keep this journal": its descriptor.
    Journal {
        /// The file.
        path: PathBuf,
    },
    /// "Keep this TAP": the descriptors of its namespace and of itself.
    Tap {
        /// The journal of its run.
        path: PathBuf,
    },
    /// "Keep this namespace": its descriptor.
    Namespace {
        /// The journal of its run.
        path: PathBuf,
    },
    /// "This run is over": close what belongs to it.
    Release {
        /// Its journal.
        path: PathBuf,
    },
}

impl ToSupervisor {
    /// What a text says. One that cannot be read is taken for a heartbeat.
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or(Self::Heartbeat)
    }
}

/// The supervisor's end.
pub struct SupervisorEnd(Channel);

/// The worker's end.
pub struct WorkerEnd {
    channel: Channel,
    /// Held from a question to its answer, so that answers are not mixed up.
    asking: Mutex<()>,
}

/// What a worker gets with its job: its ends of the conversations with the other processes.
pub struct Companions {
    /// What goes to disk.
    pub recorder: Recorder,
    /// What goes to the terminal.
    pub terminal: Terminal,
    /// What must be undone whatever becomes of the worker.
    pub guardian: Guardian,
}

/// Makes the two ends; the second is for the worker.
pub fn pair() -> Result<(SupervisorEnd, Channel), Refusal> {
    let (ours, theirs) = Channel::pair()
        .map_err(|error| Refusal::failed(format!("a socket pair cannot be made: {error}.")))?;
    Ok((SupervisorEnd(ours), theirs))
}

impl SupervisorEnd {
    /// Hands the worker its job, and its ends of the conversations with recorder (disk, terminal) and guardian.
    pub fn send_job(&self, job: &Job, ends: [&Channel; 3]) -> Result<(), Refusal> {
        // A path is all in a job that may be no text.
        serde_json::to_value(job).map_err(|_| {
            Refusal::usage(
                "the configuration's path is not UTF-8, and requests and journals are; name it by another \
                 path, as a link.",
            )
        })?;
        let ends = ends.map(AsFd::as_fd);
        self.0
            .send(job, &ends, Wait::at_most(ANSWER_WITHIN))
            .map_err(|error| {
                Refusal::failed(format!("the worker cannot be told its job: {error}."))
            })
    }

    /// The next message, if one waits. What cannot be read is taken for a heartbeat.
    pub fn receive(&self) -> Option<(ToSupervisor, Vec<OwnedFd>)> {
        match self.0.receive(Wait::No) {
            Ok(heard) => Some(heard),
            Err(ChannelError::Broken(_)) => Some((ToSupervisor::Heartbeat, Vec::new())),
            Err(ChannelError::Late | ChannelError::Closed) => None,
        }
    }

    /// Tells the worker that its last message was taken in.
    pub fn acknowledge(&self) {
        // A worker that is gone needs no answer.
        let _ = self.0.send(&(), &[], Wait::No);
    }
}

impl AsFd for SupervisorEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl WorkerEnd {
    /// The end whose number the supervisor put on the command line.
    pub fn inherited(number: i32) -> Result<Self, Refusal> {
        let channel = Channel::inherited(number)
            .map_err(|_| Refusal::usage("`injector worker` is started by injector itself."))?;
        Ok(Self {
            channel,
            asking: Mutex::new(()),
        })
    }

    /// Waits for the job and for what comes with it.
    pub fn job(&self) -> Result<(Job, Companions), Refusal> {
        let failed =
            |what: String| Refusal::failed(format!("the worker was not told its job: {what}."));
        let (job, came) = self
            .channel
            .receive(Wait::Forever)
            .map_err(|error| failed(error.to_string()))?;
        let mut ends = came.into_iter().map(Channel::from);
        let (Some(disk), Some(terminal), Some(guardian)) = (ends.next(), ends.next(), ends.next())
        else {
            return Err(failed("what belongs to it did not come".into()));
        };
        let companions = Companions {
            recorder: Recorder::new(disk),
            terminal: Terminal::new(terminal),
            guardian: Guardian::new(guardian),
        };
        Ok((job, companions))
    }

    /// Sends a heartbeat. A supervisor that does not listen is not waited for.
    pub fn beat(&self) {
        let _ = self.channel.send(&ToSupervisor::Heartbeat, &[], Wait::No);
    }

    /// Says that requests are served from here on.
    pub fn serving(&self) -> Result<(), Refusal> {
        self.ask(&ToSupervisor::Serving, &[])
    }

    /// Says something and waits until the supervisor has taken it in.
    fn ask(&self, message: &ToSupervisor, descriptors: &[BorrowedFd<'_>]) -> Result<(), Refusal> {
        let wait = Wait::at_most(ANSWER_WITHIN);
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // An answer that came too late for its question.
        while self.channel.receive::<()>(Wait::No).is_ok() {}
        self.channel
            .send(message, descriptors, wait)
            .and_then(|()| self.channel.receive::<()>(wait))
            .map(drop)
            .map_err(|error| Refusal::failed(format!("the supervisor does not answer: {error}.")))
    }
}

impl FdStore for WorkerEnd {
    fn keep_journal(&self, journal: &RunJournal) -> Result<(), Refusal> {
        let path = journal.path().to_owned();
        self.ask(&ToSupervisor::Journal { path }, &[journal.as_fd()])
    }

    fn keep_tap(
        &self,
        journal: &RunJournal,
        namespace: &Namespace,
        tap: BorrowedFd<'_>,
    ) -> Result<(), Refusal> {
        let path = journal.path().to_owned();
        let fd = namespace.fd();
        self.ask(&ToSupervisor::Tap { path }, &[fd.as_fd(), tap])
    }

    fn keep_namespace(&self, journal: &RunJournal, namespace: &Namespace) -> Result<(), Refusal> {
        let path = journal.path().to_owned();
        let fd = namespace.fd();
        self.ask(&ToSupervisor::Namespace { path }, &[fd.as_fd()])
    }

    fn release(&self, journal: &RunJournal) -> Result<(), Refusal> {
        let path = journal.path().to_owned();
        self.ask(&ToSupervisor::Release { path }, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (SupervisorEnd, WorkerEnd) {
        let (supervisor, channel) = pair().unwrap();
        let asking = Mutex::new(());
        (supervisor, WorkerEnd { channel, asking })
    }

    #[test]
    fn descriptors_travel_with_messages() {
        let (supervisor, worker) = ends();
        worker.beat();
        assert!(
            matches!(supervisor.receive(), Some((ToSupervisor::Heartbeat, fds)) if fds.is_empty())
        );
        assert!(supervisor.receive().is_none());

        let file = tempfile::tempfile().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let path = PathBuf::new();
                worker.ask(&ToSupervisor::Tap { path }, &[file.as_fd(), file.as_fd()])
            });
            let heard = loop {
                if let Some(heard) = supervisor.receive() {
                    break heard;
                }
                std::thread::yield_now();
            };
            assert!(matches!(heard.0, ToSupervisor::Tap { .. }));
            assert_eq!(heard.1.len(), 2);
            supervisor.acknowledge();
        });
    }

    #[test]
    fn a_worker_whose_supervisor_is_gone_is_told_so() {
        let (supervisor, worker) = ends();
        drop(supervisor);
        assert!(worker.ask(&ToSupervisor::Heartbeat, &[]).is_err());
    }
}
