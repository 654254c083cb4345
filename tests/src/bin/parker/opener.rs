//! Opens a file on many threads at once, for each line on standard input, and says how long that took.

use std::fs::File;
use std::io::{self, stdin};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rustix::time::{ClockId, clock_gettime};

pub(crate) fn open(threads: usize) -> Result<()> {
    println!("ready {}", std::process::id());
    for line in stdin().lines() {
        let _go = line?;
        let before = cpu();
        let since = Instant::now();
        let took = all_at_once(threads)?;
        let least = took.iter().min().copied().unwrap_or_default();
        let most = took.iter().max().copied().unwrap_or_default();
        println!(
            "{} {} {} {}",
            least.as_micros(),
            most.as_micros(),
            since.elapsed().as_micros(),
            (cpu().saturating_sub(before)).as_micros()
        );
    }
    Ok(())
}

fn all_at_once(threads: usize) -> Result<Vec<Duration>> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let opening: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| -> io::Result<Duration> {
                    start.wait();
                    let since = Instant::now();
                    File::open("/")?;
                    Ok(since.elapsed())
                })
            })
            .collect();
        opening
            .into_iter()
            .map(|thread| Ok(thread.join().map_err(|_| anyhow!("a thread panicked"))??))
            .collect()
    })
}

/// The processor time that this process has used.
fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(used.tv_sec).unwrap_or(0),
        u32::try_from(used.tv_nsec).unwrap_or(0),
    )
}
