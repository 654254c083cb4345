//! A target that never stays the same: processes come into its cgroup, fork, start programs and go, one after the
//! other and at once, while the run goes on; in the end the cgroup itself goes.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use injector_common::decide::random64;
use injector_tests::cgroup::CgroupPair;
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::place::Place;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::oracle::Outcome;

/// Calls of each process.
const CALLS: u64 = 20;
/// Processes that live for a while.
const MOST: usize = 8;

/// So many processes come and go.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let injector = Injector::new()?;
    let cgroups = CgroupPair::create()?;
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let start = |cgroup| {
        let place = Place {
            cgroup: Some(cgroup),
            netns: None,
        };
        let count = CALLS.to_string();
        let words = ["connect-udp", "--connect", &server, "--count", &count];
        Victim::start(place, &[&words[..], &["--wait"]].concat())
    };
    let path = cgroups.agent.path().to_string_lossy().into_owned();
    let fault = [
        "net",
        "connect",
        "--errno",
        "ECONNREFUSED",
        "--duration",
        "1h",
    ];
    let resident = start(&cgroups.agent)?;
    let armed = injector.arm(&[&fault[..], &["--cgroup", &path, "--json"]].concat())?;
    let mut living: Vec<(Victim, Victim)> = Vec::new();
    for number in 0..runs {
        if living.len() < MOST {
            living.push((start(&cgroups.agent)?, start(&cgroups.bystander)?));
        }
        let random = usize::try_from(random64(seed, number) >> 16).unwrap_or_default();
        let chosen = random % living.len();
        let (agent, bystander) = &mut living[chosen];
        let (felt, beside) = (agent.round()?, bystander.round()?);
        outcome.runs += 1;
        outcome.hits += felt.failures();
        if felt.failures() != CALLS || beside.failures() != 0 {
            outcome.violated(format!(
                "process {number}: the target {felt:?}, beside it {beside:?}"
            ));
        }
        if (random / living.len()).is_multiple_of(2) {
            living.swap_remove(chosen);
        }
    }
    living.clear();
    drop(resident);
    // The cgroup goes while the run is on.
    eventually("the cgroup to go", Duration::from_secs(10), || {
        Ok(fs::remove_dir(&path).is_ok().then_some(()))
    })?;
    armed.signal(Signal::INT)?;
    let ended = armed.wait()?;
    ensure!(ended.code == Some(0), "{ended:?}");
    outcome.check("after all", before.assert_same());
    Ok(outcome)
}
