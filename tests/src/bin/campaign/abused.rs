//! Clients that may reach the daemon's socket play with it in all ways: the faults that are on stay as they are,
//! the control notices nothing, and the owner's words are heard once it is over.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use injector_common::decide::random64;
use injector_tests::abuse;
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::oracle::{self, Outcome};

/// Who play at once.
const ABUSERS: u64 = 10;
/// How long each time, at least.
const BURST: Duration = Duration::from_millis(500);
/// Operations of a round.
const COUNT: u64 = 40;

/// So many bursts, each while a fault of its own is on.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let count = COUNT.to_string();
    let words = ["connect-udp", "--connect", &server, "--count", &count];
    let pace = ["--interval", "10ms", "--wait"];
    let words = [&words[..], &pace].concat();
    let mut agent = Victim::start(lab.agent(), &words)?;
    let mut control = Victim::start(lab.bystander(), &words)?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let socket = injector.state().join("injector.sock");
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let daemon = injector.start_daemon()?;
    let worker = daemon.worker()?;
    let open = || Ok::<_, anyhow::Error>(fs::read_dir(format!("/proc/{worker}/fd"))?.count());
    let idle = open()?;
    for number in 0..runs {
        let fault = ["net", "connect", "--errno", "EIO", "--duration", "5m"];
        let client = injector.arm(&[&fault[..], &["--cgroup", &cgroup, "--json"]].concat())?;
        let over = AtomicBool::new(false);
        let (felt, beside) = thread::scope(|scope| {
            for abuser in 0..ABUSERS {
                let (socket, over) = (&socket, &over);
                let seed = random64(seed ^ abuser, number);
                scope.spawn(move || abuse::socket(socket, seed, over));
            }
            thread::sleep(BURST);
            let rounds = (agent.round(), control.round());
            over.store(true, Ordering::Relaxed);
            rounds
        });
        let (felt, beside) = (felt?, beside?);
        outcome.runs += 1;
        outcome.hits += felt.failures();
        if felt.failures() != COUNT || beside.failures() != 0 {
            outcome.violated(format!(
                "burst {number}: the target {felt:?}, beside it {beside:?}"
            ));
        }
        client.signal(Signal::INT)?;
        let report = client.wait()?.report()?;
        ensure!(
            report.outcome == "stopped",
            "burst {number} has ended the run: {report:?}"
        );
        if agent.round()?.failures() > 0 {
            outcome.violated(format!("burst {number}: hits after the stop has returned"));
        }
    }
    let closed = eventually("connections to be closed", Duration::from_secs(10), || {
        Ok((open()? <= idle).then_some(()))
    });
    outcome.check("descriptors", closed);
    daemon.signal(Signal::TERM)?;
    let ended = daemon.wait_within(Duration::from_secs(20))?;
    ensure!(ended.code == Some(0), "{ended:?}");
    outcome.check("in the end", oracle::journals(&injector, outcome.runs));
    outcome.check("after all", before.assert_same());
    Ok(outcome)
}
