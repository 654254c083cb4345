//! The binary is replaced while its daemon has faults on, and the daemon ends in every way; the next one starts
//! from the new file, takes the old one's journals and leftovers over, and serves.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use injector_common::decide::random64;
use injector_tests::binaries;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;

use crate::ending::Ending;
use crate::oracle::{self, Outcome};

/// Operations of a round.
const COUNT: u64 = 20;
/// How long an end may take.
const SOON: Duration = Duration::from_secs(15);
/// With host settings, so that there is something to take over.
const FAULT: &str = "net delay --latency 300ms --duration 5m --json";
/// Longer than any operation without it.
const SLOW_NS: u64 = 250_000_000;

/// So many upgrades.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let count = COUNT.to_string();
    let words = [
        "udp-ping",
        "--connect",
        &server,
        "--count",
        &count,
        "--wait",
    ];
    let mut agent = Victim::start(lab.agent(), &words)?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let folder = tempfile::tempdir()?;
    let binary = folder.path().join("injector");
    install(&binary)?;
    let injector = Injector::new()?.installed(&binary);
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let mut daemon = injector.start_daemon()?;
    for number in 0..runs {
        let words = format!("{FAULT} --cgroup {cgroup}");
        let words: Vec<&str> = words.split_whitespace().collect();
        let client = injector.arm(&words)?;
        install(&binary)?;
        // The old one's fault goes on, and the new file's commands reach it.
        let felt = agent.round()?;
        outcome.hits += u64::from(felt.p50_ns > SLOW_NS);
        let status = injector.once(&["status"])?;
        if felt.p50_ns < SLOW_NS || status.code != Some(0) {
            outcome.violated(format!("upgrade {number}: {felt:?}, {status:?}"));
        }
        let ways = [
            Ending::Stop,
            Ending::WorkerKilled,
            Ending::SupervisorKilled,
            Ending::BothKilled,
        ];
        let random = usize::try_from(random64(seed, number) >> 16).unwrap_or_default();
        let way = ways[random % ways.len()];
        way.bring_down(daemon)?;
        let calm = agent.round()?;
        if calm.p50_ns > SLOW_NS || calm.failures() > 0 {
            outcome.violated(format!("upgrade {number}, {way:?}: still slow: {calm:?}"));
        }
        client.wait_within(SOON)?;
        daemon = injector.start_daemon()?;
        outcome.runs += 1;
        let what = format!("upgrade {number}, {way:?}");
        outcome.check(&what, oracle::journals(&injector, outcome.runs));
    }
    Ending::Stop.bring_down(daemon)?;
    outcome.check("after all", before.assert_same());
    Ok(outcome)
}

/// Puts a fresh copy in the place of whatever is there, as package managers do.
fn install(binary: &Path) -> Result<()> {
    let fresh = binary.with_extension("new");
    fs::copy(binaries::injector()?, &fresh).context("cannot copy the binary")?;
    fs::rename(&fresh, binary).context("cannot replace the binary")
}
