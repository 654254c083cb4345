//! Many experiments at once in one daemon: each hits its own target, and all of them leave.

use std::time::Duration;

use anyhow::{Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::place::Place;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::oracle::Outcome;

const CONFIG: &str = "[daemon]\nenabled = true\nallow = [\"/\"]\n[limits]\nmax_experiments = 200\n";
/// Calls of each target while all are on.
const CALLS: u64 = 100;

/// So many experiments.
pub(crate) fn campaign(experiments: u64) -> Result<Outcome> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let injector = Injector::configured(CONFIG)?;
    let mut outcome = Outcome::default();
    let mut pairs = Vec::new();
    for _ in 0..experiments {
        let cgroups = CgroupPair::create()?;
        let start = |cgroup| {
            let place = Place {
                cgroup: Some(cgroup),
                netns: None,
            };
            let count = CALLS.to_string();
            let words = [
                "connect-udp",
                "--connect",
                &server,
                "--count",
                &count,
                "--wait",
            ];
            Victim::start(place, &words)
        };
        pairs.push((start(&cgroups.agent)?, start(&cgroups.bystander)?, cgroups));
    }
    let before = Snapshot::take()?;
    let daemon = injector.start_daemon()?;
    let mut clients = Vec::new();
    for (_, _, cgroups) in &pairs {
        let cgroup = cgroups.agent.path().to_string_lossy().into_owned();
        let words = [
            "net",
            "connect",
            "--errno",
            "ECONNREFUSED",
            "--duration",
            "10m",
            "--json",
        ];
        clients.push(injector.arm(&[&words[..], &["--cgroup", &cgroup]].concat())?);
    }
    for (agent, bystander, _) in &mut pairs {
        let (felt, beside) = (agent.round()?, bystander.round()?);
        outcome.runs += 1;
        outcome.hits += felt.failures();
        if felt.failures() != CALLS || beside.failures() != 0 {
            outcome.violated(format!(
                "of {CALLS}: the target {felt:?}, its neighbour {beside:?}"
            ));
        }
    }
    for client in &clients {
        client.signal(Signal::INT)?;
    }
    for client in clients {
        let report = client.wait()?.report()?;
        if report.faults[0].hit != CALLS {
            outcome.violated(format!("{CALLS} hits, and the report says {report:?}"));
        }
    }
    for (agent, _, _) in &mut pairs {
        if agent.round()?.failures() > 0 {
            outcome.violated("a target is hit after its stop has returned");
        }
    }
    daemon.signal(Signal::TERM)?;
    let ended = daemon.wait_within(Duration::from_secs(20))?;
    ensure!(
        ended.code == Some(0),
        "the daemon did not end well: {ended:?}"
    );
    outcome.check("after all", before.assert_same());
    Ok(outcome)
}
