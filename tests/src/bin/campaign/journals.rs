//! Journals that are cut, have a bit turned over, have lines twice or bytes that no run wrote: each command that
//! reads them says so and goes on.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use injector_common::decide::random64;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;

use crate::oracle::Outcome;

/// Who reads journals.
const READERS: [&[&str]; 4] = [&["list"], &["list", "--json"], &["audit"], &["sweep"]];

/// Damages one journal so many times.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let run = ["net", "delay", "--latency", "1ms", "--cgroup", &cgroup];
    let run = [&run[..], &["--duration", "100ms"]].concat();
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let injector = Injector::new()?;
    let finished = injector.once(&run)?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let journal = journal(&injector)?;
    let whole = fs::read(&journal)?;
    for number in 0..runs {
        let damaged = damage(&whole, seed, number);
        outcome.hits += u64::from(damaged != whole);
        fs::write(&journal, &damaged)?;
        for reader in READERS {
            let read = injector.once(reader)?;
            let is_calm = matches!(read.code, Some(0 | 1)) && !read.stderr.contains("panicked");
            if !is_calm {
                outcome.violated(format!(
                    "{reader:?}, damage {number} of seed {seed}: {read:?}"
                ));
            }
        }
        outcome.runs += 1;
        // A new run arms, whatever lies beside its journal.
        if number % 50 == 0 {
            let finished = injector.once(&run)?;
            if finished.code != Some(0) {
                outcome.violated(format!("a run beside damage {number}: {finished:?}"));
            }
        }
    }
    outcome.check("after all", before.assert_same());
    Ok(outcome)
}

fn journal(injector: &Injector) -> Result<PathBuf> {
    let runs = fs::read_dir(injector.state().join("runs"))?;
    let mut files = runs.flatten().map(|entry| entry.path()).filter(|path| {
        let is_kill_switch = path.file_stem().is_some_and(|stem| stem == "lever");
        path.extension().is_some_and(|ending| ending == "jsonl") && !is_kill_switch
    });
    files.next().context("the run left no journal")
}

/// The `n`-th damage.
fn damage(whole: &[u8], seed: u64, n: u64) -> Vec<u8> {
    let draw =
        |what: u64| usize::try_from(random64(seed ^ (what << 56), n) >> 16).unwrap_or_default();
    let mut bytes = whole.to_vec();
    let at = draw(1) % bytes.len().max(1);
    match draw(2) % 4 {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << (draw(3) % 8),
        2 => {
            let twice = bytes[at..].to_vec();
            bytes.extend(twice);
        }
        _ => {
            let noise: Vec<u8> = (0..64)
                .flat_map(|word| draw(4 + word).to_le_bytes())
                .collect();
            bytes.splice(at..at, noise);
        }
    }
    bytes
}
