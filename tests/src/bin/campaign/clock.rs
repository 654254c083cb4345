//! The wall clock jumps by hours, to and fro, while runs go on: a run lasts as long as was asked, and its lease
//! is neither cut nor stretched. Only in a virtual machine of `cargo xtask`, whose clock nothing else relies on.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use injector_common::decide::random64;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::oracle::{NotHere, Outcome};

/// How long each run is asked to be.
const ASKED: Duration = Duration::from_secs(3);
/// How much later an end may come: the next look, and a slow machine.
const LATE: Duration = Duration::from_secs(4);
/// The farthest jump, in seconds to both sides.
const FARTHEST_S: u64 = 48 * 3600;

/// So many runs.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    ensure!(
        Path::new("/command").exists() && Path::new("/injector/release").exists(),
        NotHere("it moves the wall clock, and that is not done to a host: say --kernel NAME")
    );
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let words = ["connect-udp", "--connect", &server, "--count", "20"];
    let mut agent = Victim::start(lab.agent(), &[&words[..], &["--wait"]].concat())?;
    let path = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    for number in 0..runs {
        let fault = ["net", "connect", "--errno", "EIO", "--duration", "3s"];
        let running = injector.arm(&[&fault[..], &["--cgroup", &path, "--json"]].concat())?;
        let began = Instant::now();
        jump(random64(seed, number))?;
        outcome.hits += agent.round()?.failures();
        jump(random64(!seed, number))?;
        if agent.round()?.failures() == 0 && began.elapsed() < ASKED {
            outcome.violated(format!("run {number}: a jump has ended the fault"));
        }
        let finished = running.wait_within(ASKED + LATE)?;
        let took = began.elapsed();
        if finished.code != Some(0) || took > ASKED + LATE || took < ASKED.mul_f64(0.9) {
            outcome.violated(format!("run {number} took {took:?}: {finished:?}"));
        }
        if agent.round()?.failures() > 0 {
            outcome.violated(format!("run {number} still hits"));
        }
        outcome.runs += 1;
    }
    outcome.check("after all", before.assert_same());
    Ok(outcome)
}

fn jump(random: u64) -> Result<()> {
    let now = clock_gettime(ClockId::Realtime);
    let by = i64::try_from(random % (2 * FARTHEST_S))? - i64::try_from(FARTHEST_S)?;
    // Not before 1970.
    let tv_sec = (now.tv_sec + by).max(FARTHEST_S.try_into()?);
    clock_settime(ClockId::Realtime, Timespec { tv_sec, ..now })?;
    Ok(())
}
