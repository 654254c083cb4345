//! Counts for ever, in a file: a test that reads it sees whether this process goes on.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::speak;

/// Counts; `pause` is the time between two numbers, and zero uses all the CPU time that there is.
pub(crate) fn for_ever(file: &Path, pause: Duration) -> Result<()> {
    let file = File::create(file).with_context(|| format!("cannot make {}", file.display()))?;
    file.write_all_at(&0u64.to_ne_bytes(), 0)?;
    speak::ready(None)?;
    for number in 1u64.. {
        file.write_all_at(&number.to_ne_bytes(), 0)?;
        if !pause.is_zero() {
            sleep(pause);
        }
    }
    Ok(())
}
