//! Where a process is born: in which cgroup and in which network namespace.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Result;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::cgroup::Cgroup;
use crate::netns::NetNs;

/// A cgroup and a network namespace; absent parts are inherited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The cgroup.
    pub cgroup: Option<&'a Cgroup>,
    /// The network namespace.
    pub netns: Option<&'a NetNs>,
}

impl Place<'_> {
    /// Makes `command` start here, so that even its first socket belongs to the cgroup, and die with
    /// the thread that starts it.
    pub fn settle(&self, command: &mut Command) -> Result<()> {
        let start_lock = self.cgroup.map(Cgroup::start_lock).transpose()?;
        let namespace = self.netns.map(NetNs::open).transpose()?;
        // SAFETY: between fork and exec only system calls are made, on descriptors opened before
        // the fork; nothing allocates or takes a lock.
        unsafe {
            command.pre_exec(move || enter(start_lock.as_ref(), namespace.as_ref()));
        }
        Ok(())
    }
}

fn enter(start_lock: Option<&File>, namespace: Option<&File>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if let Some(start_lock) = start_lock {
        rustix::io::write(start_lock, b"0")?;
    }
    if let Some(namespace) = namespace {
        move_into_thread_name_spaces(namespace.as_fd(), ThreadNameSpaceType::NETWORK)?;
    }
    Ok(())
}
