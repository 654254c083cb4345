//! A target ends while the run is on, and its number goes to a stranger in the same cgroup: no fault and no signal
//! reaches the stranger.

use std::time::Duration;

use anyhow::{Result, ensure};
use injector_common::decide::random64;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::pids;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::oracle::{self, Outcome};

/// Operations of a round.
const COUNT: u64 = 20;
/// How long the stranger is watched: several looks of whatever acts from user space.
const WATCHED: Duration = Duration::from_millis(400);

/// A fault, and whether its target feels it in a round.
const FAULTS: [(&str, Felt); 6] = [
    ("net connect --errno ECONNREFUSED", Felt::InARound),
    ("net blackhole", Felt::InARound),
    ("net loss --percent 100%", Felt::InARound),
    ("proc kill --after 700ms", Felt::Later),
    ("proc kill --interval 100ms --signal USR1", Felt::AtOnce),
    ("proc pause --active 100ms --dormant 100ms", Felt::Later),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Felt {
    InARound,
    Later,
    /// It ends with it.
    AtOnce,
}

/// So many numbers are used again.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let injector = Injector::new()?;
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    for number in 0..runs {
        let random = usize::try_from(random64(seed, number) >> 16).unwrap_or_default();
        let (fault, felt) = FAULTS[random % FAULTS.len()];
        let start = || client(&lab, &server, fault);
        let mut target = start()?;
        let pid = target.pid();
        let words = format!("{fault} --pid {pid} --duration 30s --json");
        let words: Vec<&str> = words.split_whitespace().collect();
        let running = injector.arm(&words)?;
        match felt {
            Felt::InARound => outcome.hits += target.round()?.failures(),
            Felt::AtOnce => {
                target.ended(Duration::from_secs(5))?;
                outcome.hits += 1;
            }
            Felt::Later => {}
        }
        drop(target);
        let mut stranger = pids::reuse(pid, start, Victim::pid)?;
        let summary = stranger.round()?;
        std::thread::sleep(WATCHED);
        let again = stranger.round();
        outcome.runs += 1;
        if summary.failures() > 0 || !again.as_ref().is_ok_and(|again| again.failures() == 0) {
            outcome.violated(format!(
                "{fault}: the stranger with the number {pid}: {summary:?}, {again:?}"
            ));
        }
        if running.signal(Signal::INT).is_ok() {
            let ended = running.wait()?;
            ensure!(ended.code.is_some(), "{ended:?}");
        }
    }
    outcome.check("in the end", oracle::journals(&injector, outcome.runs));
    outcome.check("after all", before.assert_same());
    Ok(outcome)
}

fn client(lab: &Lab, server: &str, fault: &str) -> Result<Victim> {
    let role = if fault.starts_with("net connect") {
        "connect-udp"
    } else {
        "udp-ping"
    };
    let count = COUNT.to_string();
    let words = [role, "--connect", server, "--count", &count];
    let pace = ["--timeout", "20ms", "--wait"];
    Victim::start(lab.agent(), &[&words[..], &pace].concat())
}
