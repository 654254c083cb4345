//! A victim that counts, and what it has counted.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::place::Place;
use crate::process_status::cpu_ticks;
use crate::victim::Victim;

/// How long a process is watched before it counts as standing still.
const WATCHED: Duration = Duration::from_millis(300);

/// A process that counts as long as it goes on.
#[derive(Debug)]
pub struct Counter {
    victim: Victim,
    folder: TempDir,
}

impl Counter {
    /// One that counts every millisecond.
    pub fn start(place: Place<'_>) -> Result<Self> {
        Self::with_pause(place, "1ms")
    }

    /// One that takes all the CPU time it gets.
    pub fn busy(place: Place<'_>) -> Result<Self> {
        Self::with_pause(place, "0ms")
    }

    fn with_pause(place: Place<'_>, pause: &str) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let file = folder.path().join("count").to_string_lossy().into_owned();
        let victim = Victim::start(place, &["count", "--file", &file, "--pause", pause])?;
        Ok(Self { victim, folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.victim.pid()
    }

    /// Words of its command line that no other process has.
    pub fn mark(&self) -> String {
        self.folder.path().to_string_lossy().into_owned()
    }

    /// What it has counted.
    pub fn count(&self) -> Result<u64> {
        let bytes = fs::read(self.folder.path().join("count")).context("no count")?;
        Ok(u64::from_ne_bytes(
            bytes.as_slice().try_into().context("half a count")?,
        ))
    }

    /// Fails unless it goes on.
    pub fn expect_going(&self, who: &str) -> Result<()> {
        let before = self.count()?;
        eventually(&format!("{who} to go on"), Duration::from_secs(5), || {
            Ok((self.count()? > before).then_some(()))
        })
    }

    /// Fails unless it stands still, and has done so for a while.
    pub fn expect_still(&self, who: &str) -> Result<()> {
        let before = self.count()?;
        sleep(WATCHED);
        let after = self.count()?;
        ensure!(before == after, "{who} went on from {before} to {after}");
        Ok(())
    }

    /// How it ended.
    pub fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        self.victim.ended(within)
    }

    /// Starts the same command line again, anywhere; the injector or the caller has to kill it.
    pub fn again(&self) -> Result<Child> {
        let file = self.folder.path().join("count");
        let mut command = Command::new(crate::binaries::victim()?);
        command.arg("count").arg("--file").arg(file);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Place::default().settle(&mut command)?;
        command.spawn().context("cannot start a victim again")
    }

    /// The share of one CPU that it used in a time.
    pub fn cpu_share(&self, over: Duration) -> Result<f64> {
        let (before, since) = (cpu_ticks(self.pid())?, Instant::now());
        sleep(over);
        let ticks = cpu_ticks(self.pid())? - before;
        // A tick is 10 ms.
        Ok(f64::from(u32::try_from(ticks)?) / 100.0 / since.elapsed().as_secs_f64())
    }
}
