//! Threads of a target sleep in the middle of their calls, and a neighbour that works in the same folder, on the same
//! file, waits for none of them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::counter::Counter;
use injector_tests::injector::{Injector, Running};
use injector_tests::place::Place;
use injector_tests::victim::Victim;

use crate::needs::{self, INJECTOR};
use crate::suite::Case;

/// How long each call of the target sleeps.
const SLEEP: Duration = Duration::from_millis(600);

/// What none of the neighbour's operations takes, on the slowest machine.
const AT_ONCE: u64 = 300_000_000;

/// Calls that have their folder or file locked by the time that the kernel checks them.
const LOCKING: &str =
    "chmod,fchmodat,symlink,symlinkat,rename,renameat,renameat2,rmdir,unlink,unlinkat";

/// Calls that have nothing locked then.
const FREE: &str = "openat,statx,newfstatat,fstat,flock";

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("bystander::{name}"), INJECTOR, run)
    };
    vec![
        case("waits_for_no_change_that_is_delayed", changes),
        case("waits_for_no_look_that_is_delayed", || {
            beside("look", FREE, 3)
        }),
    ]
}

/// Where the kernel lets no thread sleep before the lock is taken, the delay is refused, and the refusal says why.
fn changes() -> Result<()> {
    let injector = Injector::new()?;
    // Not this process: the caller of injector is never a target.
    let cgroups = CgroupPair::create()?;
    let resident = Counter::start(Place {
        cgroup: Some(&cgroups.agent),
        netns: None,
    })?;
    let pid = resident.pid().to_string();
    let refused = |words: &str| -> Result<String> {
        let words = format!("sys delay {words} --delay-enter 1s --duration 1s --pid {pid}");
        let words: Vec<&str> = words.split_whitespace().collect();
        let finished = injector.start_here(&words)?.wait()?;
        ensure!(finished.code == Some(2), "{words:?}: {finished:?}");
        Ok(finished.stderr)
    };
    let said = refused("--syscall unlink --mechanism lsm-park")?;
    ensure!(said.contains("others would wait"), "{said}");
    if needs::lacks("sleepable-syscall")?.is_some() || needs::lacks("fmod-ret-syscall")?.is_some() {
        for call in LOCKING.split(',') {
            let said = refused(&format!("--syscall {call}"))?;
            ensure!(said.contains("which this host lacks"), "{said}");
            ensure!(said.contains("others would wait"), "{said}");
        }
        return Ok(());
    }
    beside("change", LOCKING, 5)
}

/// Lets the target make slow calls, and its neighbour work beside it for as long as they take.
fn beside(call: &str, syscalls: &str, sleeps: u32) -> Result<()> {
    let cgroups = CgroupPair::create()?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let path = folder.path().join("file");
    fs::write(&path, "0123456789abcdef")?;
    let mut agent = victim(&cgroups.agent, &path, call, 1)?;
    let mut neighbour = victim(&cgroups.bystander, &path, "beside", 5)?;
    let before = neighbour.round()?;
    let injector = Injector::new()?;
    let running = arm(&injector, syscalls, &cgroups)?;
    let since = Instant::now();
    agent.ask()?;
    let (mut rounds, mut longest) = (0, 0);
    let slow = loop {
        if let Some(summary) = agent.summary_within(Duration::ZERO)? {
            break summary;
        }
        let round = neighbour.round()?;
        ensure!(round.ok == round.sent, "the neighbour: {round:?}");
        rounds += 1;
        longest = longest.max(round.max_ns);
        ensure!(
            since.elapsed() < SLEEP * 60,
            "the target does not come to its end"
        );
    };
    let report = running.interrupt()?.report()?;
    println!(
        "{call}: {rounds} rounds beside it, the longest operation {longest} ns, {} ns before",
        before.max_ns
    );
    ensure!(slow.ok == 1, "the target: {slow:?}");
    let asked = SLEEP * sleeps;
    ensure!(
        u128::from(slow.max_ns) >= asked.as_nanos(),
        "{slow:?}, {report:?}"
    );
    let fault = &report.faults[0];
    ensure!(fault.hit >= u64::from(sleeps), "{report:?}");
    ensure!(
        rounds > 2 && longest < AT_ONCE,
        "it waited {longest} ns, before {before:?}, {report:?}"
    );
    Ok(())
}

fn victim(
    cgroup: &injector_tests::cgroup::Cgroup,
    path: &Path,
    call: &str,
    count: u32,
) -> Result<Victim> {
    let place = Place {
        cgroup: Some(cgroup),
        netns: None,
    };
    let (path, count) = (path.to_string_lossy(), count.to_string());
    let words = [
        "file", "--path", &path, "--call", call, "--count", &count, "--wait",
    ];
    Victim::start(place, &words)
}

fn arm(injector: &Injector, syscalls: &str, cgroups: &CgroupPair) -> Result<Running> {
    let target = cgroups.agent.path();
    let target = target.to_string_lossy();
    let sleep = format!("{}ms", SLEEP.as_millis());
    injector.arm(&[
        "sys",
        "delay",
        "--syscall",
        syscalls,
        "--delay-enter",
        &sleep,
        "--duration",
        "60s",
        "--json",
        "--cgroup",
        &target,
    ])
}
