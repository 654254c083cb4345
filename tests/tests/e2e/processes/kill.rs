//! `proc kill`.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::binaries;
use injector_tests::counter::Counter;
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;

use super::{SOON, Stage, agent, arm, report};
use crate::needs::INJECTOR;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("proc::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("kill_once", once).shows("proc kill"),
        case("kill_after_a_while", after),
        case("kill_every_so_often", by_interval),
        case("kill_what_comes_back", again),
        case("kill_what_matches_again", again_by_pattern),
        case("kill_by_pid_spares_its_siblings", siblings),
        case("kill_keeps_percent_and_budget", chance),
        case("kill_spares_who_must_not_be_a_target", protected),
    ]
}

fn once() -> Result<()> {
    let mut stage = Stage::new()?;
    let injector = Injector::new()?;
    let target = stage.by_cgroup();
    let running = arm(&injector, "kill --signal TERM --duration 2s", &target)?;
    let status = stage.agent.ended(SOON)?;
    ensure!(status.signal() == Some(15), "it ended as {status:?}");
    let later = stage.another()?;
    let report = report(running)?;
    later.expect_going("a process that came later")?;
    stage.bystander.expect_going("the bystander")?;
    let fault = &report.faults[0];
    ensure!(
        (fault.mechanism.as_str(), fault.seen, fault.hit) == ("pidfd-signal", 1, 1),
        "{report:?}"
    );
    Ok(())
}

fn after() -> Result<()> {
    let mut stage = Stage::new()?;
    let injector = Injector::new()?;
    let target = stage.by_cgroup();
    let since = Instant::now();
    let running = arm(&injector, "kill --after 1s --duration 30s", &target)?;
    stage.agent.expect_going("the target, before its time,")?;
    let status = stage.agent.ended(SOON)?;
    ensure!(status.signal() == Some(9), "it ended as {status:?}");
    ensure!(since.elapsed() >= Duration::from_secs(1), "too early");
    stage.bystander.expect_going("the bystander")?;
    ensure!(running.report()?.faults[0].hit == 1, "not counted");
    Ok(())
}

/// A signal that every process here ignores, so that the process is there each time.
fn by_interval() -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let words = "kill --signal WINCH --interval 300ms --duration 3s";
    let report = report(arm(&injector, words, &stage.by_cgroup())?)?;
    stage.agent.expect_going("the target")?;
    let hits = report.faults[0].hit;
    // Ten rounds begin in that time; a busy machine may leave some out, and never adds one.
    ensure!((3..=10).contains(&hits), "{report:?}");
    Ok(())
}

fn again() -> Result<()> {
    let mut stage = Stage::new()?;
    let injector = Injector::new()?;
    let target = stage.by_cgroup();
    let running = arm(
        &injector,
        "kill --respawn kill-again --duration 60s",
        &target,
    )?;
    stage.agent.ended(SOON)?;
    for _ in 0..3 {
        // It may be killed before it says that it is there.
        if let Ok(mut next) = stage.another() {
            next.ended(SOON)?;
        }
    }
    stage.bystander.expect_going("the bystander")?;
    let report = running.report()?;
    ensure!(report.faults[0].hit == 4, "{report:?}");
    let last = stage.another()?;
    last.expect_going("a process that came after the end")
}

fn again_by_pattern() -> Result<()> {
    let mut stage = Stage::new()?;
    let injector = Injector::new()?;
    let target = ["--process".to_owned(), stage.agent.mark()];
    let running = arm(
        &injector,
        "kill --respawn kill-again --duration 60s",
        &target,
    )?;
    stage.agent.ended(SOON)?;
    // The same program with the same command line, wherever it is started.
    let mut next = stage.agent.again()?;
    let status = eventually("it to be killed again", SOON, || Ok(next.try_wait()?))?;
    ensure!(status.signal() == Some(9), "it ended as {status:?}");
    stage.bystander.expect_going("the bystander")?;
    let report = running.report()?;
    ensure!(report.faults[0].hit == 2, "{report:?}");
    Ok(())
}

fn siblings() -> Result<()> {
    let mut stage = Stage::new()?;
    let sibling = stage.another()?;
    let injector = Injector::new()?;
    let target = stage.by_pid();
    let running = arm(&injector, "kill --interval 100ms --duration 1s", &target)?;
    stage.agent.ended(SOON)?;
    let report = report(running)?;
    sibling.expect_going("a sibling in the same cgroup")?;
    ensure!(report.faults[0].hit == 1, "{report:?}");
    Ok(())
}

/// A process that keeps the host reachable and enters the cgroup when the fault is on already.
fn protected() -> Result<()> {
    let mut stage = Stage::new()?;
    let folder = tempfile::tempdir()?;
    let sshd = folder.path().join("sshd");
    fs::copy(binaries::victim()?, &sshd)?;
    let injector = Injector::new()?;
    let target = stage.by_cgroup();
    let words = "kill --respawn kill-again --interval 100ms --duration 60s";
    let running = arm(&injector, words, &target)?;
    stage.agent.ended(SOON)?;
    let mut command = Command::new(&sshd);
    command.arg("sleep").stdout(Stdio::null());
    agent(&stage.cgroups).settle(&mut command)?;
    let mut guarded = command.spawn().context("cannot start it")?;
    // A process that is killed after it shows that the injector has looked since.
    let killed = stage.another().and_then(|mut next| next.ended(SOON));
    let survived = guarded.try_wait()?.is_none();
    guarded.kill()?;
    guarded.wait()?;
    // It may be killed before it says that it is there.
    drop(killed);
    running.report()?;
    ensure!(survived, "it was killed");
    Ok(())
}

fn chance() -> Result<()> {
    let stage = Stage::new()?;
    let crowd: Vec<Counter> = (0..3).map(|_| stage.another()).collect::<Result<_>>()?;
    let injector = Injector::new()?;
    let target = stage.by_cgroup();
    let never = report(arm(
        &injector,
        "kill --percent 0% --duration 200ms",
        &target,
    )?)?;
    let fault = &never.faults[0];
    ensure!((fault.matched, fault.hit) == (4, 0), "{never:?}");
    let words = "kill --signal WINCH --max-hits 3 --interval 100ms --duration 1s";
    let some = report(arm(&injector, words, &target)?)?;
    ensure!(some.faults[0].hit == 3, "{some:?}");
    let words = "kill --when 2 --duration 500ms";
    let second = report(arm(&injector, words, &target)?)?;
    ensure!(second.faults[0].hit == 1, "{second:?}");
    // The oldest comes first, so the second is the first of the crowd.
    stage.agent.expect_going("the oldest process")?;
    for other in &crowd[1..] {
        other.expect_going("a younger process")?;
    }
    crowd[0].expect_still("the second oldest process")
}
