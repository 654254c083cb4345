//! Starts the guardian, and what the supervisor has to say to it.

use std::{
    os::fd::AsFd,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use super::{COMMAND, message::FromSupervisor};
use crate::{
    channel::{Channel, Wait},
    spawn,
};
use injector_spec::error::Refusal;

/// How long the guardian may take to undo everything and end, once it has no worker to watch.
const END_WITHIN: Duration = Duration::from_secs(2);

/// A guardian that was started.
pub struct Guarding {
    process: Child,
    channel: Channel,
}

/// Starts a guardian over this process and a worker; `end` is the guardian's end of the conversation with the worker.
pub fn start(worker: &Child, end: &Channel) -> Result<Guarding, Refusal> {
    let failed = |error: std::io::Error| {
        Refusal::failed(format!(
            "the guardian process cannot be started: {error}; try again."
        ))
    };
    let (channel, its_end) = Channel::pair().map_err(failed)?;
    let mut command = spawn::own(COMMAND);
    spawn::leave_open(&mut command, "--link", &its_end);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Not waited for yet, so the id is the worker's own, even if it has died.
    let worker = Pid::from_raw(worker.id().cast_signed()).unwrap_or_else(getpid);
    let pidfd = |pid| pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed(errno.into()));
    let (worker, own) = (pidfd(worker)?, pidfd(getpid())?);
    let process = spawn::start(command, spawn::Lifetime::Own).map_err(failed)?;
    channel
        .send(
            &FromSupervisor::Watch,
            &[end.as_fd(), worker.as_fd(), own.as_fd()],
            Wait::at_most(END_WITHIN),
        )
        .map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(Guarding { process, channel })
}

impl Guarding {
    /// Whether it lives.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Has everything undone, for a worker that stands still.
    pub fn undo_all(&self) {
        let _ = self.channel.send(&FromSupervisor::UndoAll, &[], Wait::No);
    }

    /// Waits until it has ended. The worker is gone by now, so that it has undone everything then. One that stands
    /// still is killed.
    pub fn wait(&mut self) {
        let deadline = Instant::now() + END_WITHIN;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        // It may have ended by itself just now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
