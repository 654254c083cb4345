//! Process ids that are used again.

use std::fs;
use std::time::Duration;

use anyhow::Result;

use crate::eventually::eventually;

/// Starts one after the other until one has this id; `pid` tells which it has.
pub fn reuse<T>(wanted: u32, start: impl Fn() -> Result<T>, pid: impl Fn(&T) -> u32) -> Result<T> {
    eventually(
        "a process with the same id",
        Duration::from_secs(20),
        || {
            // The next fork of any process on this host gets the number after this one.
            fs::write("/proc/sys/kernel/ns_last_pid", (wanted - 1).to_string())?;
            let candidate = start()?;
            Ok((pid(&candidate) == wanted).then_some(candidate))
        },
    )
}
