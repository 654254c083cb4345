//! The processes beside a supervisor and its worker, found by their parent and their command.

use std::fs;
use std::time::Duration;

use anyhow::Result;

use crate::eventually::eventually;

/// A process that the supervisor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companion {
    /// Does the work.
    Worker,
    /// Undoes what the worker cannot.
    Guardian,
    /// Writes to disks and terminals.
    Recorder,
}

impl Companion {
    /// Its process id beside this supervisor.
    pub fn of(self, supervisor: u32) -> Result<u32> {
        eventually(
            "injector's processes to be there",
            Duration::from_secs(2),
            || Ok(child_of(supervisor, self.command())),
        )
    }

    const fn command(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Guardian => "guard",
            Self::Recorder => "record",
        }
    }
}

/// The process that holds the pages which a worker's sleepers sleep on; `None` where no thread is put to sleep.
pub fn page_holder(worker: u32) -> Option<u32> {
    child_of(worker, "hold-park")
}

/// The process that connections of a worker's targets go through; `None` where none do.
pub fn relay(worker: u32) -> Option<u32> {
    child_of(worker, "hold-relay")
}

fn child_of(parent: u32, command: &str) -> Option<u32> {
    let parent = parent.to_string();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold anything; after it: state, parent.
        let (_name, rest) = stat.rsplit_once(')')?;
        let is_child = rest.split_whitespace().nth(1) == Some(parent.as_str());
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let is_it = words.split(|byte| *byte == 0).nth(1) == Some(command.as_bytes());
        (is_child && is_it)
            .then(|| entry.file_name().to_str()?.parse().ok())
            .flatten()
    })
}
