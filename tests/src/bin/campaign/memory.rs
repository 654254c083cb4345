//! The kernel runs out of memory where the injector is, and kills it for that.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use injector_tests::cgroup::CgroupPair;
use injector_tests::controller::{self, Home};
use injector_tests::place::Place;
use injector_tests::victim::Victim;

/// What the cgroup may have; what the processes had before counts elsewhere.
const LIMIT: &str = "16M";
/// The first choice of the kernel (`mm/oom_kill.c`, `oom_badness`).
const FIRST: &str = "1000";
/// How long the kernel may take.
const SOON: Duration = Duration::from_secs(20);

/// Whether memory can be limited here.
pub(crate) fn is_limitable() -> bool {
    controller::is_there("memory")
}

/// Puts these processes beside one that wants more memory than there is, as those that the kernel kills first.
/// Returns when that one was killed as well.
pub(crate) fn run_out(pids: &[u32]) -> Result<()> {
    let pair = CgroupPair::create()?;
    let place = Place {
        cgroup: Some(&pair.agent),
        netns: None,
    };
    let mut hog = Victim::start(place, &["hog", "--mebibytes", "64"])?;
    let home = Home::give("memory", &pair, &[hog.pid()])?;
    for pid in pids {
        home.move_in(*pid)?;
        fs::write(format!("/proc/{pid}/oom_score_adj"), FIRST)
            .with_context(|| format!("cannot offer process {pid} to the kernel"))?;
    }
    let file = match home.version {
        1 => "memory.limit_in_bytes",
        _ => "memory.max",
    };
    fs::write(home.directory.join(file), LIMIT).context("cannot limit memory")?;
    hog.ask()?;
    hog.ended(SOON)?;
    Ok(())
}
