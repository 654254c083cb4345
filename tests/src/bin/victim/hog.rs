//! Wants more memory than it gets.

use std::io::stdin;
use std::time::Duration;

use anyhow::Result;

use crate::speak;

const MEBIBYTE: usize = 1 << 20;

/// Waits for a line, then takes one mebibyte after the other and writes to all of it.
pub(crate) fn run(mebibytes: usize) -> Result<()> {
    speak::ready(None)?;
    stdin().read_line(&mut String::new())?;
    let taken: Vec<Vec<u8>> = (0..mebibytes).map(|_| vec![1; MEBIBYTE]).collect();
    std::thread::sleep(Duration::from_millis(100));
    drop(taken);
    Ok(())
}
