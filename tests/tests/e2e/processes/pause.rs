//! `proc pause`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::Cgroup;
use injector_tests::counter::Counter;
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Report, send};
use injector_tests::place::Place;
use rustix::process::Signal;

use super::{SOON, Stage, arm, kill_all, kill_both, next_start, report};
use crate::needs::INJECTOR;
use crate::suite::Case;

/// How the agent is chosen, and so how it is paused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Cgroup,
    Pid,
}

/// How the injector ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Duration,
    Interrupt,
    WorkerKilled,
    WorkerStopped,
    BothKilled,
    AllKilled,
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (how, by) in [("freeze", By::Cgroup), ("sigstop", By::Pid)] {
        for (name, end) in [
            ("ends_with_its_duration", End::Duration),
            ("ends_with_ctrl_c", End::Interrupt),
            ("ends_with_its_worker", End::WorkerKilled),
            ("ends_with_a_worker_that_stopped", End::WorkerStopped),
            ("ends_with_a_double_kill", End::BothKilled),
            ("is_swept_when_all_are_killed", End::AllKilled),
        ] {
            let name = format!("proc::{how}_{name}");
            let case = Case::new(name, INJECTOR, move || pause(by, end)).beside_others();
            // The plainest of them tells whether a kernel can do it.
            let is_plain = by == By::Cgroup && end == End::Duration;
            cases.push(if is_plain {
                case.shows("proc pause")
            } else {
                case
            });
        }
    }
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("proc::{name}"), INJECTOR, run).beside_others()
    };
    cases.extend([
        case("freeze_in_turns", || turns(By::Cgroup)),
        case("sigstop_in_turns", || turns(By::Pid)),
        case("what_was_stopped_before_stays_stopped", stopped_before),
        case("what_was_frozen_before_stays_frozen", frozen_before),
        case("sigstop_spares_siblings", siblings),
        case("a_thaw_by_somebody_else_is_theirs", thawed_by_others),
        case("sigstop_follows_a_tree", tree),
        case("a_sigcont_by_another_is_told", continued_by_others),
        case("freeze_follows_a_cgroup_that_is_made_again", made_again),
    ]);
    cases
}

impl By {
    fn target(self, stage: &Stage) -> [String; 2] {
        match self {
            Self::Cgroup => stage.by_cgroup(),
            Self::Pid => stage.by_pid(),
        }
    }

    fn mechanism(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup-freeze",
            Self::Pid => "sigstop",
        }
    }
}

fn pause(by: By, end: End) -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let target = by.target(&stage);
    let words = match end {
        End::Duration => "pause --duration 2s",
        _ => "pause --duration 60s",
    };
    let running = arm(&injector, words, &target)?;
    stage.agent.expect_still("the target")?;
    stage.bystander.expect_going("the bystander")?;
    let report = match end {
        End::Duration => Some(report(running)?),
        End::Interrupt => Some(running.report()?),
        End::WorkerKilled | End::WorkerStopped => {
            let signal = match end {
                End::WorkerStopped => Signal::STOP,
                _ => Signal::KILL,
            };
            running.signal_worker(signal)?;
            let finished = running.wait_within(SOON)?;
            ensure!(finished.code == Some(1), "{finished:?}");
            None
        }
        End::BothKilled => {
            kill_both(running)?;
            None
        }
        End::AllKilled => {
            kill_all(running)?;
            // No process is left that could; that it still stands is what the sweep is for.
            stage
                .agent
                .expect_still("the target, when all were killed,")?;
            next_start(&injector, &target)?;
            None
        }
    };
    stage.agent.expect_going("the target, after the end,")?;
    ensure!(
        frozen(&stage)? == "0",
        "cgroup.freeze is {}",
        frozen(&stage)?
    );
    if let Some(report) = report {
        let fault = &report.faults[0];
        ensure!(
            (fault.mechanism.as_str(), fault.matched, fault.hit) == (by.mechanism(), 1, 1),
            "{report:?}"
        );
    }
    Ok(())
}

fn turns(by: By) -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let words = "pause --active 400ms --dormant 400ms --duration 4s";
    let running = arm(&injector, words, &by.target(&stage))?;
    let mut was_going = false;
    let mut was_still_after = false;
    // It is looked at in shorter pieces than a turn, so that both are seen.
    let mut before = stage.agent.count()?;
    eventually("it to go on and to stand still again", SOON, || {
        std::thread::sleep(Duration::from_millis(90));
        let now = stage.agent.count()?;
        was_going |= now != before;
        was_still_after |= was_going && now == before;
        before = now;
        Ok(was_still_after.then_some(()))
    })?;
    let report = report(running)?;
    stage.agent.expect_going("the target, after the end,")?;
    let hits = report.faults[0].hit;
    ensure!((2..=5).contains(&hits), "{report:?}");
    Ok(())
}

fn stopped_before() -> Result<()> {
    let stage = Stage::new()?;
    send(stage.agent.pid(), Signal::STOP)?;
    eventually("it to stop", SOON, || {
        Ok((state(stage.agent.pid())? == 'T').then_some(()))
    })?;
    let injector = Injector::new()?;
    let report = report(arm(&injector, "pause --duration 500ms", &stage.by_pid())?)?;
    stage.agent.expect_still("what was stopped before")?;
    let fault = &report.faults[0];
    ensure!((fault.seen, fault.hit) == (1, 0), "{report:?}");
    let note = fault.note.as_deref().unwrap_or_default();
    ensure!(note.contains("stood still already"), "{report:?}");
    send(stage.agent.pid(), Signal::CONT)
}

fn frozen_before() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.cgroups.agent.path().join("cgroup.freeze");
    fs::write(&file, "1").context("cannot freeze")?;
    let injector = Injector::new()?;
    let report = report(arm(
        &injector,
        "pause --duration 500ms",
        &stage.by_cgroup(),
    )?)?;
    ensure!(frozen(&stage)? == "1", "it was thawed");
    ensure!(report.faults[0].hit == 0, "{report:?}");
    fs::write(&file, "0").context("cannot thaw")
}

fn siblings() -> Result<()> {
    let stage = Stage::new()?;
    let sibling = stage.another()?;
    let injector = Injector::new()?;
    let running = arm(&injector, "pause --duration 60s", &stage.by_pid())?;
    stage.agent.expect_still("the target")?;
    sibling.expect_going("a sibling in the same cgroup")?;
    running.report()?;
    stage.agent.expect_going("the target, after the end,")
}

fn thawed_by_others() -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let running = arm(&injector, "pause --duration 60s", &stage.by_cgroup())?;
    fs::write(stage.cgroups.agent.path().join("cgroup.freeze"), "0").context("cannot thaw")?;
    stage.agent.expect_going("what somebody else thawed")?;
    let report = running.report()?;
    ensure!(frozen(&stage)? == "0", "it was frozen again");
    told_of_another_hand(&report)
}

/// The report says what was achieved, and not what was asked.
fn told_of_another_hand(report: &Report) -> Result<()> {
    let told = report.remarks.join("\n");
    let is_told = told.contains("went on after") && told.contains("by another's hand");
    ensure!(is_told, "{:?}", report.remarks);
    Ok(())
}

fn continued_by_others() -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let running = arm(&injector, "pause --duration 60s", &stage.by_pid())?;
    stage.agent.expect_still("the target")?;
    send(stage.agent.pid(), Signal::CONT)?;
    stage.agent.expect_going("what somebody else let go on")?;
    told_of_another_hand(&running.report()?)
}

/// A container restarts while it stands still: what comes back under its name is frozen, too, and thawed at the end.
fn made_again() -> Result<()> {
    let stage = Stage::new()?;
    let make = || stage.cgroups.agent.child("restarts");
    let count = |cgroup: &Cgroup| {
        Counter::start(Place {
            cgroup: Some(cgroup),
            netns: None,
        })
    };
    let former = make()?;
    let path = former.path().to_string_lossy().into_owned();
    let first = count(&former)?;
    let injector = Injector::new()?;
    let target = ["--cgroup".into(), path];
    let running = arm(&injector, "pause --duration 60s", &target)?;
    first.expect_still("the target")?;
    drop((first, former));
    let again = make()?;
    let second = count(&again)?;
    let file = again.path().join("cgroup.freeze");
    eventually("it to be frozen", Duration::from_secs(1), || {
        Ok((fs::read_to_string(&file)?.trim() == "1").then_some(()))
    })?;
    second.expect_still("what came back")?;
    stage.agent.expect_going("a process above it")?;
    let report = running.report()?;
    second.expect_going("what came back, after the end,")?;
    drop((second, again));
    ensure!(report.faults[0].hit == 2, "{report:?}");
    ensure!(
        report.remarks.iter().any(|one| one.contains("met again")),
        "{:?}",
        report.remarks
    );
    Ok(())
}

/// A shell and its child: both stand still.
fn tree() -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let mut shell = std::process::Command::new("sh")
        .args(["-c", "sleep 60 & wait"])
        .spawn()
        .context("cannot start a shell")?;
    let child = eventually("the shell to have a child", SOON, || {
        let path = format!("/proc/{0}/task/{0}/children", shell.id());
        let children = fs::read_to_string(path)?;
        Ok(children
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok()))
    })?;
    let words = "pause --tree --duration 60s";
    let running = arm(&injector, words, &["--pid".into(), shell.id().to_string()])?;
    let states = [state(shell.id())?, state(child)?];
    let report = running.report()?;
    let states_after = [state(shell.id())?, state(child)?];
    send(child, Signal::KILL)?;
    shell.wait()?;
    drop(stage);
    ensure!(states == ['T', 'T'], "{states:?}");
    ensure!(!states_after.contains(&'T'), "{states_after:?}");
    ensure!(report.faults[0].hit == 2, "{report:?}");
    Ok(())
}

/// The letter of `/proc/PID/stat`.
fn state(pid: u32) -> Result<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_name, rest) = stat.rsplit_once(')').context("not a stat")?;
    rest.trim().chars().next().context("no state")
}

fn frozen(stage: &Stage) -> Result<String> {
    let text = fs::read_to_string(stage.cgroups.agent.path().join("cgroup.freeze"))?;
    Ok(text.trim().to_owned())
}
