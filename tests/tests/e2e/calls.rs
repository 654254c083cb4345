//! Faults on system calls: they bite the target, spare the bystander, and end with the injector.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Report, Running, page_holder, send};
use injector_tests::observation::Summary;
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::needs::{self, INJECTOR};
use crate::suite::Case;

/// Calls in a round.
const CALLS: u64 = 20;

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("sys::{name}"), INJECTOR, run);
    vec![
        case("error_of_open_by_cgroup", || {
            fails("open", "openat", "ENOSPC", By::Cgroup)
        })
        .shows("sys error"),
        case("error_of_open_by_pid", || {
            fails("open", "openat", "EIO", By::Pid)
        }),
        case("error_of_read", || {
            fails("read", "pread64", "EIO", By::Cgroup)
        }),
        case("error_of_unlink", || {
            fails("unlink", "unlink,unlinkat", "EROFS", By::Pid)
        }),
        case("error_of_fsync", || fails("fsync", "fsync", "EIO", By::Pid)),
        case("error_spares_a_million_calls_beside_it", a_million),
        case("error_spares_other_calls", other_calls),
        case("error_spares_other_threads", other_threads),
        case("error_keeps_its_budget", budget),
        case("delay_of_open_by_cgroup", || {
            slow("open", "openat", "--delay-enter", By::Cgroup)
        })
        .shows("sys delay"),
        case("delay_of_open_by_pid", || {
            slow("open", "openat", "--delay-enter", By::Pid)
        }),
        case("delay_of_read", || {
            slow("read", "pread64", "--delay-enter", By::Pid)
        }),
        case("delay_behind_open", || {
            slow("open", "openat", "--delay-exit", By::Pid)
        }),
        case("delay_in_a_chain_of_sleeps", chain),
        case("delays_of_one_call_in_two_runs", two_runs),
        case("delay_of_64_threads_at_once", threads),
        case("sleepers_go_on_when_the_run_is_stopped", || {
            freed(End::Stop)
        }),
        case("sleepers_go_on_when_the_worker_is_killed", || {
            freed(End::WorkerKilled)
        }),
        case("sleepers_go_on_when_the_page_holder_is_killed", || {
            freed(End::HolderKilled)
        }),
        case("a_sleeper_can_be_killed", killed),
        case("a_forced_mechanism_serves_or_is_refused_by_name", forced),
        case("refusals_name_what_is_wrong", refusals),
    ]
}

/// How the target is chosen.
#[derive(Clone, Copy)]
enum By {
    Cgroup,
    Pid,
}

/// A process that makes calls, and one like it beside it.
struct Stage {
    agent: Victim,
    bystander: Victim,
    path: PathBuf,
    _folder: tempfile::TempDir,
    // Last: cgroups go when no process is in them.
    cgroups: CgroupPair,
}

impl Stage {
    fn new(call: &str) -> Result<Self> {
        Self::with(call, CALLS)
    }

    fn with(call: &str, count: u64) -> Result<Self> {
        let cgroups = CgroupPair::create()?;
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let path = folder.path().join("file");
        fs::write(&path, "0123456789abcdef")?;
        let start = |cgroup| {
            let place = Place {
                cgroup: Some(cgroup),
                netns: None,
            };
            let count = count.to_string();
            let path = path.to_string_lossy();
            let words = [
                "file", "--path", &path, "--call", call, "--count", &count, "--wait",
            ];
            Victim::start(place, &words)
        };
        Ok(Self {
            agent: start(&cgroups.agent)?,
            bystander: start(&cgroups.bystander)?,
            path: path.clone(),
            _folder: folder,
            cgroups,
        })
    }

    fn arm(&self, injector: &Injector, words: &str, by: By) -> Result<Running> {
        let target = match by {
            By::Cgroup => {
                let path = self.cgroups.agent.path();
                ["--cgroup".to_owned(), path.to_string_lossy().into_owned()]
            }
            By::Pid => ["--pid".to_owned(), self.agent.pid().to_string()],
        };
        let words = format!("sys {words} --json");
        let mut arguments: Vec<&str> = words.split_whitespace().collect();
        arguments.extend(target.iter().map(String::as_str));
        injector.arm(&arguments)
    }
}

fn report(running: Running) -> Result<Report> {
    running.signal(Signal::INT)?;
    let finished = running.wait()?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let report = finished.report()?;
    ensure!(report.undo_errors.is_empty(), "{report:?}");
    Ok(report)
}

fn all_well(summary: &Summary, who: &str) -> Result<()> {
    ensure!(summary.ok == summary.sent, "{who}: {summary:?}");
    Ok(())
}

fn fails(call: &str, syscalls: &str, errno: &str, by: By) -> Result<()> {
    let mut stage = Stage::new(call)?;
    let injector = Injector::new()?;
    all_well(&stage.agent.round()?, "the target before")?;
    let words = format!("error --syscall {syscalls} --errno {errno} --duration 60s");
    let running = stage.arm(&injector, &words, by)?;
    let during = stage.agent.round()?;
    let beside = stage.bystander.round()?;
    let report = report(running)?;
    ensure!(during.error(errno) == CALLS, "{during:?}, {report:?}");
    all_well(&beside, "the bystander")?;
    all_well(&stage.agent.round()?, "the target after")?;
    let fault = &report.faults[0];
    ensure!(fault.hit == CALLS && fault.matched == CALLS, "{report:?}");
    Ok(())
}

/// The same program of the same user in the cgroup beside the target's, while every call of the target
/// fails.
fn a_million() -> Result<()> {
    /// A kernel in software emulation takes seconds for that many calls.
    const PATIENCE: Duration = Duration::from_mins(2);
    let mut stage = Stage::with("read-a-million-times", 1)?;
    let injector = Injector::new()?;
    let words = "error --syscall pread64 --errno EIO --duration 5m";
    let running = stage.arm(&injector, words, By::Cgroup)?;
    let before = stage.agent.round()?;
    stage.bystander.ask()?;
    let beside = stage
        .bystander
        .summary_within(PATIENCE)?
        .context("the bystander does not come to its end")?;
    let after = stage.agent.round()?;
    let report = report(running)?;
    ensure!(
        beside.ok == 1 && beside.errors.is_empty(),
        "the bystander: {beside:?}"
    );
    for round in [&before, &after] {
        ensure!(round.ok == 0, "the target: {round:?}");
    }
    // The first of its million fails, and no call of the bystander was even counted.
    let fault = &report.faults[0];
    ensure!((fault.seen, fault.hit) == (2, 2), "{report:?}");
    Ok(())
}

fn other_calls() -> Result<()> {
    let mut stage = Stage::new("open")?;
    let injector = Injector::new()?;
    let words = "error --syscall unlinkat --errno EIO --duration 60s";
    let running = stage.arm(&injector, words, By::Pid)?;
    let during = stage.agent.round()?;
    let report = report(running)?;
    all_well(&during, "the target")?;
    ensure!(
        report.faults[0].hit == 0 && report.faults[0].seen == 0,
        "{report:?}"
    );
    ensure!(report.faults[0].note.is_some(), "{report:?}");
    Ok(())
}

fn other_threads() -> Result<()> {
    let mut stage = Stage::new("open")?;
    let injector = Injector::new()?;
    let words = "error --syscall openat --errno EIO --thread another-* --duration 60s";
    let running = stage.arm(&injector, words, By::Pid)?;
    let during = stage.agent.round()?;
    let report = report(running)?;
    all_well(&during, "the target")?;
    let fault = &report.faults[0];
    ensure!((fault.seen, fault.matched) == (CALLS, 0), "{report:?}");
    // The victim's main thread is called like its program.
    let words = "error --syscall openat --errno EIO --thread vic?im* --duration 60s";
    let running = stage.arm(&injector, words, By::Pid)?;
    let during = stage.agent.round()?;
    self::report(running)?;
    ensure!(during.error("EIO") == CALLS, "{during:?}");
    Ok(())
}

fn budget() -> Result<()> {
    let mut stage = Stage::new("open")?;
    let injector = Injector::new()?;
    let words = "error --syscall openat --errno EIO --max-hits 5 --when 3+ --duration 60s";
    let running = stage.arm(&injector, words, By::Pid)?;
    let during = stage.agent.round()?;
    let report = report(running)?;
    ensure!(
        during.error("EIO") == 5 && during.ok == CALLS - 5,
        "{during:?}"
    );
    ensure!(report.faults[0].hit == 5, "{report:?}");
    Ok(())
}

fn slow(call: &str, syscalls: &str, when: &str, by: By) -> Result<()> {
    const DELAY: u64 = 30_000_000;
    let mut stage = Stage::with(call, 5)?;
    let injector = Injector::new()?;
    let words = format!("delay --syscall {syscalls} {when} 30ms --duration 60s");
    let running = stage.arm(&injector, &words, by)?;
    let during = stage.agent.round()?;
    let beside = stage.bystander.round()?;
    let report = report(running)?;
    all_well(&during, "the target")?;
    ensure!(during.p50_ns >= DELAY, "{during:?}, {report:?}");
    ensure!(beside.p50_ns < DELAY, "the bystander: {beside:?}");
    ensure!(report.faults[0].hit == 5, "{report:?}");
    let after = stage.agent.round()?;
    ensure!(after.p50_ns < DELAY, "after: {after:?}");
    Ok(())
}

/// Longer than one sleep may take.
fn chain() -> Result<()> {
    let mut stage = Stage::with("open", 1)?;
    let injector = Injector::new()?;
    let words = "delay --syscall openat --delay-enter 10500ms --chain --duration 60s";
    let running = stage.arm(&injector, words, By::Pid)?;
    stage.agent.ask()?;
    let during = stage
        .agent
        .summary_within(Duration::from_secs(40))?
        .context("the call does not come to its end")?;
    let report = report(running)?;
    all_well(&during, "the target")?;
    ensure!(during.p50_ns >= 10_500_000_000, "{during:?}");
    let fault = &report.faults[0];
    ensure!((fault.matched, fault.hit) == (1, 1), "{report:?}");
    ensure!(fault.mechanism == "syscall-park", "{report:?}");
    Ok(())
}

/// The copies that one run sleeps in leave no room for those of a second, which then attaches nothing.
fn two_runs() -> Result<()> {
    let stage = Stage::with("fsync", 1)?;
    let injector = Injector::new()?;
    let words = "delay --syscall fsync --delay-enter 100ms --duration 60s";
    let first = stage.arm(&injector, words, By::Cgroup)?;
    let other = stage.bystander.pid().to_string();
    let words = format!("sys {words} --pid {other}");
    let words: Vec<&str> = words.split_whitespace().collect();
    let refused = injector.once(&words)?;
    ensure!(refused.code == Some(2), "{refused:?}");
    ensure!(
        refused.stderr.contains("`__x64_sys_fsync` has no room"),
        "{refused:?}"
    );
    report(first)?;
    report(injector.arm(&[&words[..], &["--json"]].concat())?)?;
    Ok(())
}

fn threads() -> Result<()> {
    let mut stage = Stage::with("open-by-threads", 1)?;
    let injector = Injector::new()?;
    let words = "delay --syscall openat --delay-enter 200ms --duration 60s";
    let running = stage.arm(&injector, words, By::Pid)?;
    let during = stage.agent.round()?;
    let report = report(running)?;
    all_well(&during, "the target")?;
    // One after the other they would take 12.8 s.
    let fault = &report.faults[0];
    // The runtime opens files of its own for new threads. At the call's own function some may find no
    // program free, and the report says how many.
    let is_hook = fault.mechanism == "lsm-park";
    ensure!(fault.hit >= 64 || !is_hook && fault.hit > 0, "{report:?}");
    ensure!(!is_hook || fault.hit == fault.matched, "{report:?}");
    ensure!(
        (200_000_000..6_000_000_000).contains(&during.p50_ns),
        "{during:?}"
    );
    Ok(())
}

/// How a run ends under its sleepers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    WorkerKilled,
    HolderKilled,
}

fn freed(end: End) -> Result<()> {
    let mut stage = Stage::with("open", 1)?;
    let injector = Injector::new()?;
    let words = "delay --syscall openat --delay-enter 10s --duration 60s";
    let running = stage.arm(&injector, words, By::Pid)?;
    let since = Instant::now();
    stage.agent.ask()?;
    asleep(&stage)?;
    match end {
        End::Stop => running.signal(Signal::INT)?,
        End::WorkerKilled => send(running.worker()?, Signal::KILL)?,
        End::HolderKilled => {
            let holder = page_holder(running.worker()?).context("no page holder")?;
            send(holder, Signal::KILL)?;
        }
    }
    let during = stage.agent.summary()?;
    all_well(&during, "the target")?;
    ensure!(
        since.elapsed() < Duration::from_secs(9),
        "it slept to the end"
    );
    let finished = running.wait_within(SOON)?;
    if end == End::HolderKilled {
        // A run that delays no thread any more does not go on as if it did.
        ensure!(finished.code == Some(1), "{finished:?}");
        ensure!(finished.stdout.contains("hold-park"), "{finished:?}");
    }
    all_well(&stage.agent.round()?, "the target after")
}

/// Waits until the target's thread sleeps, as a thread does that waits for a page.
fn asleep(stage: &Stage) -> Result<()> {
    let pid = stage.agent.pid();
    eventually("the target to sleep in openat", SOON, || {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall"))?;
        // 257 is openat; a running thread says `running`.
        Ok(call.starts_with("257 ").then_some(()))
    })
}

fn killed() -> Result<()> {
    let mut stage = Stage::with("open", 1)?;
    let injector = Injector::new()?;
    let words = "delay --syscall openat --delay-enter 10s --duration 60s";
    let running = stage.arm(&injector, words, By::Pid)?;
    stage.agent.ask()?;
    asleep(&stage)?;
    let since = Instant::now();
    send(stage.agent.pid(), Signal::KILL)?;
    stage.agent.ended(SOON)?;
    ensure!(
        since.elapsed() < Duration::from_secs(5),
        "it could not be killed while it slept"
    );
    report(running)?;
    ensure!(stage.path.exists(), "the file is gone");
    Ok(())
}

/// Whatever `injector doctor` says: what is there fails the call by that very mechanism, and what is not there
/// is refused by its name.
fn forced() -> Result<()> {
    let mut stage = Stage::new("open")?;
    let injector = Injector::new()?;
    let pid = stage.agent.pid().to_string();
    for name in [
        "lsm",
        "fmod-ret-security",
        "fmod-ret-syscall",
        "kprobe-override",
    ] {
        let words = format!("error --syscall openat --errno EIO --mechanism {name} --duration 60s");
        if needs::lacks(name)?.is_none() {
            let running = stage.arm(&injector, &words, By::Pid)?;
            let during = stage.agent.round()?;
            let report = report(running)?;
            ensure!(during.error("EIO") == CALLS, "{name}: {during:?}");
            ensure!(report.faults[0].mechanism == name, "{report:?}");
            continue;
        }
        let words = format!("sys {words} --pid {pid}");
        let arguments: Vec<&str> = words.split_whitespace().collect();
        let finished = injector.start_here(&arguments)?.wait()?;
        let said = format!("needs {name}, which this host lacks");
        ensure!(finished.code == Some(2), "{name}: {finished:?}");
        ensure!(finished.stderr.contains(&said), "{name}: {finished:?}");
    }
    Ok(())
}

fn refusals() -> Result<()> {
    let stage = Stage::new("open")?;
    let injector = Injector::new()?;
    let pid = stage.agent.pid().to_string();
    for (words, said) in [
        ("error --syscall opneat --errno EIO", "did you mean openat?"),
        ("error --syscall openat --errno EOI", "EIO"),
        ("error --syscall openat --errno ECONNREFUSED", "--unusual"),
        ("delay --syscall openat --delay-enter 11s", "--chain"),
        (
            "delay --syscall openat --delay-enter 61s --chain",
            "proc pause",
        ),
        ("error --errno EIO", "--syscall"),
        (
            "error --syscall fsync --errno EIO --mechanism lsm",
            "lsm does not meet fsync",
        ),
        (
            "error --syscall openat --errno EIO --mechanism lsm-park",
            "name one of lsm, fmod-ret-security",
        ),
    ] {
        let words = format!("sys {words} --duration 1s --pid {pid}");
        let arguments: Vec<&str> = words.split_whitespace().collect();
        let finished = injector.start_here(&arguments)?.wait()?;
        ensure!(finished.code == Some(2), "{words}: {finished:?}");
        ensure!(finished.stderr.contains(said), "{words}: {finished:?}");
    }
    Ok(())
}
