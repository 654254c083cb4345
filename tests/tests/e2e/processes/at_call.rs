//! `proc kill --at-call`, and what follows a kill with `--respawn deny-exec`.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::Cgroup;
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running};
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use super::{SOON, Stage, arm};
use crate::needs::INJECTOR;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("proc::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("kill_at_the_third_call_by_cgroup", || third(By::Cgroup)),
        case("kill_at_the_third_call_by_pid", || third(By::Pid)),
        case("kill_at_a_call_spares_other_calls", other_calls),
        case("deny_exec_after_a_kill", || denied(After::Timer)),
        case("deny_exec_after_a_kill_at_a_call", || denied(After::Call)),
    ]
}

/// How the target is chosen.
#[derive(Clone, Copy)]
enum By {
    Cgroup,
    Pid,
}

/// What kills.
#[derive(Clone, Copy, PartialEq)]
enum After {
    Timer,
    Call,
}

/// A process that makes one call to `fsync` for each round, with its folder.
fn caller(cgroup: &Cgroup) -> Result<(Victim, tempfile::TempDir)> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let path = folder.path().join("file");
    fs::write(&path, "0123456789abcdef")?;
    let path = path.to_string_lossy();
    let words = [
        "file", "--path", &path, "--call", "fsync", "--count", "1", "--wait",
    ];
    let place = Place {
        cgroup: Some(cgroup),
        netns: None,
    };
    Ok((Victim::start(place, &words)?, folder))
}

fn third(by: By) -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let (mut target, _folder) = caller(&stage.cgroups.agent)?;
    let (mut bystander, _other) = caller(&stage.cgroups.bystander)?;
    let chosen = match by {
        By::Cgroup => stage.by_cgroup(),
        By::Pid => ["--pid".to_owned(), target.pid().to_string()],
    };
    let words = "kill --at-call fsync --when 3 --duration 60s";
    let running = arm(&injector, words, &chosen)?;
    for _ in 0..2 {
        let round = target.round()?;
        ensure!(round.ok == 1, "{round:?}");
    }
    target.ask()?;
    let status = target.ended(SOON)?;
    ensure!(status.signal() == Some(9), "it ended as {status:?}");
    stage.agent.expect_going("a process that never calls it")?;
    for _ in 0..4 {
        let round = bystander.round()?;
        ensure!(round.ok == 1, "{round:?}");
    }
    let report = running.report()?;
    let fault = &report.faults[0];
    ensure!(
        (fault.mechanism.as_str(), fault.matched, fault.hit) == ("raw-tp-signal", 3, 1),
        "{report:?}"
    );
    Ok(())
}

fn other_calls() -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let (mut target, _folder) = caller(&stage.cgroups.agent)?;
    let words = "kill --at-call fdatasync,unlink --duration 60s";
    let running = arm(&injector, words, &stage.by_cgroup())?;
    for _ in 0..3 {
        let round = target.round()?;
        ensure!(round.ok == 1, "{round:?}");
    }
    let report = running.report()?;
    ensure!(report.faults[0].hit == 0, "{report:?}");
    Ok(())
}

fn denied(after: After) -> Result<()> {
    let mut stage = Stage::new()?;
    let injector = Injector::new()?;
    let (mut target, _folder) = caller(&stage.cgroups.agent)?;
    let words = match after {
        After::Timer => "kill --respawn deny-exec --duration 60s",
        After::Call => "kill --at-call fsync --respawn deny-exec --duration 60s",
    };
    let running = arm(&injector, words, &stage.by_cgroup())?;
    if after == After::Call {
        started(&stage.cgroups.agent)?.context("before the kill")?;
        target.ask()?;
        let status = target.ended(SOON)?;
        ensure!(status.signal() == Some(9), "it ended as {status:?}");
    } else {
        stage.agent.ended(SOON)?;
    }
    let refused = started(&stage.cgroups.agent)?;
    let kind = refused.map_err(|error| error.kind());
    ensure!(
        kind == Err(ErrorKind::PermissionDenied),
        "a program was started: {kind:?}"
    );
    started(&stage.cgroups.bystander)?.context("in the bystander's cgroup")?;
    let hits = ended(running)?;
    // The processes that were killed, and the program that was not started.
    let killed = if after == After::Call { 1 } else { 2 };
    ensure!(hits == killed + 1, "{hits} hits");
    eventually("programs to start again", SOON, || {
        Ok(started(&stage.cgroups.agent)?.ok())
    })
}

/// The end of the run, and its hits.
fn ended(running: Running) -> Result<u64> {
    running.signal(Signal::INT)?;
    let report = super::report(running)?;
    Ok(report.faults[0].hit)
}

/// Whether a program can be started in a cgroup.
fn started(cgroup: &Cgroup) -> Result<Result<(), Error>> {
    let place = Place {
        cgroup: Some(cgroup),
        netns: None,
    };
    let mut command = Command::new(injector_tests::binaries::victim()?);
    command.arg("--help").stdout(std::process::Stdio::null());
    place.settle(&mut command)?;
    match command.spawn() {
        Err(error) => Ok(Err(error)),
        Ok(mut child) => {
            child.wait().context("cannot wait for it")?;
            Ok(Ok(()))
        }
    }
}
