//! A daemon that starts and ends runs for long: it neither grows nor keeps descriptors.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::process_status::kib;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::oracle::Outcome;

const CONFIG: &str = "[daemon]\nenabled = true\nallow = [\"/\"]\n";
/// Runs before the first look: what is made once is there by then.
const WARM_UP: u64 = 10;
/// What memory of its own it may grow by. Pages of files come and go as the kernel likes: they are told only.
const MOST_GROWTH_KIB: u64 = 5 * 1024;
/// What locked memory may grow by; a run locks some pages, and lets them go.
const MOST_LOCKED_KIB: u64 = 64;

const FAULTS: [&str; 4] = [
    "net delay --latency 5ms",
    "net loss --percent 10%",
    "net connect --errno ECONNREFUSED",
    "net corrupt --mode payload --percent 50%",
];

/// For so many seconds.
pub(crate) fn campaign(seconds: u64) -> Result<Outcome> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let mut agent = Victim::start(
        lab.agent(),
        &[
            "udp-ping",
            "--connect",
            &server,
            "--count",
            "20",
            "--interval",
            "5ms",
            "--timeout",
            "200ms",
            "--wait",
        ],
    )?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::configured(CONFIG)?;
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let daemon = injector.start_daemon()?;
    let processes = [daemon.pid(), daemon.worker()?];
    let mut first = None;
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until || outcome.runs <= WARM_UP {
        let index = usize::try_from(outcome.runs).unwrap_or_default() % FAULTS.len();
        let mut words: Vec<&str> = FAULTS[index].split_whitespace().collect();
        words.extend(["--cgroup", &cgroup, "--duration", "10s", "--json"]);
        let client = injector.arm(&words)?;
        agent.round()?;
        client.signal(Signal::INT)?;
        let report = client.wait()?.report()?;
        outcome.hits += report.faults[0].hit;
        outcome.runs += 1;
        if outcome.runs == WARM_UP {
            first = Some(quiet(&processes)?);
        }
    }
    let (first, last) = (first.context("no first look")?, quiet(&processes)?);
    outcome.figures.push(format!(
        "{seconds} s: resident {} to {} KiB, of which its own {} to {} KiB; locked {} to {} KiB; \
         descriptors {} to {}",
        first.resident_kib,
        last.resident_kib,
        first.own_kib,
        last.own_kib,
        first.locked_kib,
        last.locked_kib,
        first.descriptors,
        last.descriptors
    ));
    if last.own_kib > first.own_kib + MOST_GROWTH_KIB {
        outcome.violated("it has grown by more than 5 MiB");
    }
    if last.locked_kib > first.locked_kib + MOST_LOCKED_KIB {
        outcome.violated("it keeps locked what ended runs had locked");
    }
    if last.descriptors > first.descriptors {
        outcome.violated("it has kept descriptors");
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

/// What supervisor and worker hold.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Holding {
    resident_kib: u64,
    /// Without pages of files.
    own_kib: u64,
    /// Of pages that may not leave memory.
    locked_kib: u64,
    descriptors: usize,
}

/// The same twice in a row: a run that has just ended may still be let go.
fn quiet(processes: &[u32]) -> Result<Holding> {
    let mut last = None;
    eventually("the daemon to be quiet", Duration::from_secs(20), || {
        let now = holding(processes)?;
        let is_quiet = last.is_some_and(|last: Holding| last.descriptors == now.descriptors);
        last = Some(now);
        std::thread::sleep(Duration::from_millis(500));
        Ok(is_quiet.then_some(now))
    })
}

fn holding(processes: &[u32]) -> Result<Holding> {
    let mut sum = Holding {
        resident_kib: 0,
        own_kib: 0,
        locked_kib: 0,
        descriptors: 0,
    };
    for pid in processes {
        sum.resident_kib += kib(*pid, "VmRSS")?;
        sum.locked_kib += kib(*pid, "VmLck")?;
        sum.own_kib += kib(*pid, "RssAnon")?;
        sum.descriptors += fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    }
    Ok(sum)
}
