//! A process whose death is waited for, or brought about: exactly this one, and none that has its number later.
//!
//! By the time that a pidfd tells of it the kernel has closed the descriptors of the process (kernel/exit.c,
//! `do_exit`), so what is promised from a death on can be counted from it.
//!
//! Rejected: /proc/PID/task, whose listing ends early when threads end meanwhile, and leaves out the last one,
//! which has the descriptors still. The moment of the signal: how long a process takes to die is the kernel's
//! business, and in an emulated machine it can be a second.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Timespec;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process by its pidfd; none where it is gone already.
#[derive(Debug)]
pub struct Mortal(Option<OwnedFd>);

impl Mortal {
    /// One that lives, or has just died.
    pub fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        match pidfd_open(pid.context("no process id")?, PidfdFlags::empty()) {
            Ok(alive) => Ok(Self(Some(alive))),
            Err(Errno::SRCH) => Ok(Self(None)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until all of its threads are gone (kernel/fork.c, `pidfd_poll`).
    pub fn await_death(&self, within: Duration) -> Result<()> {
        let Some(alive) = &self.0 else {
            return Ok(());
        };
        let timeout = Timespec::try_from(within)?;
        let ready = poll(&mut [PollFd::new(alive, PollFlags::IN)], Some(&timeout))?;
        ensure!(ready == 1, "a process did not die within {within:?}");
        Ok(())
    }
    /// Whether it has died by now.
    pub fn has_died(&self) -> Result<bool> {
        let Some(alive) = &self.0 else {
            return Ok(true);
        };
        let now = Timespec::try_from(Duration::ZERO)?;
        Ok(poll(&mut [PollFd::new(alive, PollFlags::IN)], Some(&now))? == 1)
    }

    /// Kills it, where it lives.
    pub fn kill(&self) -> Result<()> {
        self.send(Signal::KILL)
    }

    /// Sends it a signal, where it lives.
    pub fn send(&self, signal: Signal) -> Result<()> {
        let Some(alive) = &self.0 else {
            return Ok(());
        };
        match pidfd_send_signal(alive, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
