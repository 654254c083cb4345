//! Slowness of files that are named one by one: where no program may sleep near a call, fanotify serves.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Running, send};
use injector_tests::victim::Victim;
use rustix::process::Signal;

use super::{COUNT, DELAY, Stage, Who, all_well};
use crate::needs::{INJECTOR, no_park};
use crate::suite::Case;

/// How long one may wait who is let go at once; the machine is busy.
const SOON: Duration = Duration::from_millis(500);
/// The same where a lease has to run out first, and a worker to be killed.
const LEASE: Duration = Duration::from_secs(4);

pub(super) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("io::{name}"), INJECTOR, run);
    let asked = |name: &str, run: fn() -> Result<()>| case(name, run).also_needs(fanotify_serves);
    vec![
        case("latency_of_opening_one_file", || one_file("open")).shows("io latency --methods open"),
        case("latency_of_reading_one_file", || one_file("read")).shows("io latency --methods read"),
        case("latency_of_one_file_keeps_its_budget", budget),
        case("latency_of_one_file_spares_its_sibling", sibling),
        asked("latency_of_a_file_that_is_saved_anew", saved_anew),
        asked("who_waits_goes_on_when_the_worker_is_killed", || {
            let kill = |running: &Running| running.signal_worker(Signal::KILL);
            freed(kill, SOON, 1)
        }),
        asked("who_waits_goes_on_when_both_are_killed", || {
            let kill = |running: &Running| {
                let worker = running.worker()?;
                running.signal(Signal::KILL)?;
                // It may have gone with its parent already.
                let _gone = send(worker, Signal::KILL);
                Ok(())
            };
            freed(kill, SOON, 2)
        }),
        asked("who_waits_goes_on_when_the_worker_stands_still", || {
            let stop = |running: &Running| running.signal_worker(Signal::STOP);
            freed(stop, LEASE, 1)
        }),
        asked("who_waits_goes_on_with_ctrl_c", || {
            freed(|running| running.signal(Signal::INT), SOON, 0)
        }),
        asked("who_waits_can_be_killed", killed),
        asked("nobody_goes_on_while_both_stand_still", both_stand_still),
    ]
}

/// `None` where nothing else slows opening down: where a path leads is known at hooks alone, not at the call's
/// own function.
fn fanotify_serves() -> Option<String> {
    let programs_sleep = no_park().is_none();
    programs_sleep.then(|| "programs may sleep at hooks here".to_owned())
}

fn words(path: &Path, method: &str, latency: &str) -> String {
    let path = path.display();
    format!("io latency --latency {latency} --methods {method} --path {path}")
}

/// The file is slow for the target, and for nobody else; another file is not.
fn one_file(method: &str) -> Result<()> {
    let stage = Stage::new()?;
    let (file, other) = (stage.file("file")?, stage.file("other")?);
    let mut target = stage.on_file(Who::Agent, &file, method)?;
    let mut elsewhere = stage.on_file(Who::Agent, &other, method)?;
    let mut bystander = stage.on_file(Who::Bystander, &file, method)?;
    let (during, report) = stage.during(&words(&file, method, "30ms"), || {
        let during = target.round()?;
        for (other, who) in [
            (elsewhere.round()?, "the target with another file"),
            (bystander.round()?, "the bystander with the same file"),
        ] {
            all_well(&other, who)?;
            ensure!(other.p50_ns < DELAY, "{who}: {other:?}");
        }
        Ok(during)
    })?;
    all_well(&during, "the target")?;
    ensure!(during.p50_ns >= DELAY, "{during:?}");
    let fault = &report.faults[0];
    ensure!(fault.hit == COUNT && fault.matched == COUNT, "{report:?}");
    let after = target.round()?;
    all_well(&after, "the target after")?;
    ensure!(after.p50_ns < DELAY, "{after:?}");
    Ok(())
}

fn budget() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.file("file")?;
    let mut target = stage.on_file(Who::Agent, &file, "open")?;
    let words = format!("{} --max-hits 3", words(&file, "open", "30ms"));
    let (during, report) = stage.during(&words, || target.round())?;
    all_well(&during, "the target")?;
    ensure!(
        during.p50_ns < DELAY && during.max_ns >= DELAY,
        "{during:?}"
    );
    let fault = &report.faults[0];
    ensure!(fault.hit == 3 && fault.matched == COUNT, "{report:?}");
    Ok(())
}

/// One process is the target; another in its cgroup is not.
fn sibling() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.file("file")?;
    let mut target = stage.on_file(Who::Agent, &file, "open")?;
    let mut sibling = stage.on_file(Who::Agent, &file, "open")?;
    let words = words(&file, "open", "30ms");
    let pid = target.pid().to_string();
    let arguments = [
        &words.split_whitespace().collect::<Vec<_>>()[..],
        &["--pid", &pid, "--duration", "60s", "--json"],
    ];
    let running = stage.injector.arm(&arguments.concat())?;
    let (during, beside) = (target.round()?, sibling.round()?);
    let report = running.report()?;
    ensure!(during.p50_ns >= DELAY, "{during:?}");
    ensure!(beside.p50_ns < DELAY, "the sibling: {beside:?}");
    ensure!(report.faults[0].hit == COUNT, "{report:?}");
    Ok(())
}

fn saved_anew() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.file("file")?;
    let mut target = stage.on_file(Who::Agent, &file, "open")?;
    stage.during(&words(&file, "open", "30ms"), || {
        fs::rename(stage.file("new")?, &file)?;
        eventually("the new file to be slow", Duration::from_secs(5), || {
            Ok((target.round()?.p50_ns >= DELAY).then_some(()))
        })
    })?;
    Ok(())
}

/// A target that waits for 10 s, as long as nobody lets it go.
fn waiting(stage: &Stage) -> Result<(Victim, Running)> {
    let file = stage.file("file")?;
    let mut target = stage.on_file(Who::Agent, &file, "open")?;
    let cgroup = stage.cgroups.agent.path().to_string_lossy();
    let words = words(&file, "open", "10s");
    let arguments = [
        &words.split_whitespace().collect::<Vec<_>>()[..],
        &[
            "--max-hits",
            "1",
            "--cgroup",
            &cgroup,
            "--duration",
            "60s",
            "--json",
        ],
    ];
    let running = stage.injector.arm(&arguments.concat())?;
    target.ask()?;
    eventually("the target to wait", Duration::from_secs(5), || {
        Ok(waits(&target)?.then_some(()))
    })?;
    Ok((target, running))
}

/// Whether it waits where only a fatal signal ends that.
fn waits(victim: &Victim) -> Result<bool> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", victim.pid()))?;
    let (_name, rest) = stat.rsplit_once(") ").context("not a stat")?;
    Ok(rest.starts_with('D'))
}

/// Somebody who waits goes on when the injector ends like this, and it ends with this code.
fn freed(end: fn(&Running) -> Result<()>, within: Duration, how: i32) -> Result<()> {
    let stage = Stage::new()?;
    let (target, running) = waiting(&stage)?;
    let began = Instant::now();
    end(&running)?;
    let summary = target.summary_within(within)?;
    let summary = summary.with_context(|| format!("it waited for more than {within:?}"))?;
    all_well(&summary, "the target")?;
    ensure!(began.elapsed() < within, "it took {:?}", began.elapsed());
    let finished = running.wait_within(Duration::from_secs(10))?;
    ensure!(finished.code == (how < 2).then_some(how), "{finished:?}");
    Ok(())
}

fn killed() -> Result<()> {
    let stage = Stage::new()?;
    let (mut target, running) = waiting(&stage)?;
    send(target.pid(), Signal::KILL)?;
    target.ended(SOON)?;
    let report = running.report()?;
    ensure!(report.faults[0].hit == 1, "{report:?}");
    Ok(())
}

/// What cannot be promised (LIMITS.md): where worker and supervisor both stand still, nobody answers and nobody
/// closes the descriptor, so others who open the file wait as well, for longer than the lease.
fn both_stand_still() -> Result<()> {
    let stage = Stage::new()?;
    let mut bystander = stage.on_file(Who::Bystander, &stage.file("file")?, "open")?;
    let (target, running) = waiting(&stage)?;
    let worker = running.worker()?;
    running.signal(Signal::STOP)?;
    send(worker, Signal::STOP)?;
    bystander.ask()?;
    let early = bystander.summary_within(Duration::from_secs(3))?;
    ensure!(early.is_none(), "the bystander went on: {early:?}");
    ensure!(waits(&target)?, "the target went on");
    send(worker, Signal::KILL)?;
    for (who, victim) in [("the target", &target), ("the bystander", &bystander)] {
        let summary = victim.summary_within(SOON)?;
        all_well(&summary.with_context(|| format!("{who} waits still"))?, who)?;
    }
    running.signal(Signal::KILL)?;
    running.wait_within(Duration::from_secs(10))?;
    Ok(())
}
