//! Experiment files: those of the repository are valid, and steps come and go as written.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::counter::Counter;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;

use crate::needs::INJECTOR;
use crate::probe::Probe;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("experiment::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        // It looks at the host around each of them.
        Case::new(
            "experiment::every_file_passes_a_dry_run",
            INJECTOR,
            dry_runs,
        ),
        case("strict_refuses_an_absent_target", strict),
        case("steps_come_and_go", steps),
        case("pulses_and_rounds_come_and_go", flapping),
        case("branches_run_beside_each_other", branches),
        case("several_faults_compose", compose),
    ]
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

fn dry_runs() -> Result<()> {
    let injector = Injector::new()?;
    let folder = repository().join("configs/experiments");
    let mut files = Vec::new();
    for folder in [
        folder.clone(),
        folder.join("game-days"),
        folder.join("agents"),
    ] {
        let entries = fs::read_dir(&folder)?.flatten();
        let paths = entries.map(|entry| entry.path());
        files.extend(paths.filter(|path: &PathBuf| path.is_file()));
    }
    files.sort();
    ensure!(
        files.len() >= 10,
        "only {} files in {}",
        files.len(),
        folder.display()
    );
    for file in files {
        let path = file.to_string_lossy();
        let before = Snapshot::take()?;
        let finished = injector.once(&["run", &path, "--dry-run"])?;
        ensure!(finished.code == Some(0), "{path}: {finished:?}");
        ensure!(
            finished.stdout.contains("agent"),
            "{path}: no target in {}",
            finished.stdout
        );
        before
            .assert_same()
            .with_context(|| format!("a dry run of {path}"))?;
    }
    Ok(())
}

fn strict() -> Result<()> {
    let file = repository().join("configs/experiments/net-delay.yaml");
    let path = file.to_string_lossy();
    let finished = Injector::new()?.once(&["run", &path, "--dry-run", "--strict"])?;
    ensure!(finished.code == Some(3), "{finished:?}");
    Ok(())
}

const STEPS: &str = "\
name: steps
targets:
  agent: { cgroup: nowhere }
steps:
  - { name: before, duration: 1s }
  - name: late
    duration: 2s
    faults:
      - net.delay: { latency: 100ms }
  - { name: after, duration: 2s }
";

fn steps() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut agent = Probe::TcpPing.observe(lab.agent(), server)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("steps.yaml");
    fs::write(&file, STEPS)?;
    let path = file.to_string_lossy();
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let mut running = injector.start_here(&["run", &path, "--json", "--cgroup", &cgroup])?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut order = Vec::new();
    while let Some(event) = running.next_event(deadline) {
        let step = event.step.unwrap_or_default();
        match (event.event.as_str(), step.as_str()) {
            ("step_started", "before" | "after") => agent.expect_calm(&format!("step {step}"))?,
            ("step_started", "late") => {
                let seen = agent.look()?;
                ensure!(seen.p50_ns >= 100_000_000, "not late in its step: {seen:?}");
            }
            _other => {}
        }
        order.push(format!("{} {step}", event.event));
        if event.event == "ended" {
            break;
        }
    }
    let expected = [
        "armed ",
        "step_started before",
        "step_ended before",
        "step_started late",
        "step_ended late",
        "step_started after",
        "step_ended after",
        "ended ",
    ];
    ensure!(order == expected, "events came as {order:?}");
    let finished = running.wait()?;
    let report = finished.report()?;
    ensure!(
        finished.code == Some(0) && report.outcome == "completed",
        "{finished:?}"
    );
    ensure!(
        report.faults.len() == 1 && report.faults[0].hit > 0,
        "{report:?}"
    );
    Ok(())
}

const FLAPPING: &str = "\
apiVersion: injector/v1
name: flapping
targets:
  agent: { cgroup: nowhere }
steps:
  - name: flaps
    duration: 7s
    pulse: { on: 3s, off: 1s }
    faults: [ net.blackhole: { protocol: udp } ]
  - repeat: 2
    pause: 1s
    steps:
      - { name: burst, duration: 3s, faults: [ net.blackhole: { protocol: udp } ] }
";

/// The target is cut off in each pulse and round, calm in each rest and pause, and each is a fault of its own.
fn flapping() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("flapping.yaml");
    fs::write(&file, FLAPPING)?;
    let path = file.to_string_lossy();
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let mut running = injector.start_here(&["run", &path, "--json", "--cgroup", &cgroup])?;
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut order = Vec::new();
    while let Some(event) = running.next_event(deadline) {
        let step = event.step.unwrap_or_default();
        if event.event == "step_started" {
            if step.contains("rest") || step.contains("pause") {
                agent.expect_calm(&format!("step {step}"))?;
            } else {
                let seen = agent.look()?;
                ensure!(seen.ok == 0, "{step} cuts nothing off: {seen:?}");
            }
            order.push(step);
        }
        if event.event == "ended" {
            break;
        }
    }
    let expected = [
        "flaps (pulse 1 of 2)",
        "flaps (rest 1 of 2)",
        "flaps (pulse 2 of 2)",
        "burst (1 of 2)",
        "pause (1 of 1)",
        "burst (2 of 2)",
    ];
    ensure!(order == expected, "steps came as {order:?}");
    let finished = running.wait()?;
    let report = finished.report()?;
    ensure!(
        finished.code == Some(0) && report.outcome == "completed",
        "{finished:?}"
    );
    let hits: Vec<u64> = report.faults.iter().map(|fault| fault.hit).collect();
    ensure!(hits.len() == 4 && !hits.contains(&0), "{report:?}");
    agent.expect_calm("the target, after the end,")
}

/// The agent's delay and the pause of its neighbour begin and end at times of their own.
fn branches() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let neighbour = Counter::start(lab.bystander())?;
    let [agents, neighbours] = [&lab.cgroups.agent, &lab.cgroups.bystander];
    let [agents, neighbours] = [agents, neighbours].map(|group| group.path().display().to_string());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("branches.yaml");
    fs::write(
        &file,
        format!(
            "name: branches\ntargets: {{ agent: {{ cgroup: {agents} }}, store: {{ cgroup: {neighbours} }} }}\nsteps:\n  \
             - parallel:\n    \
             - - {{ name: slow, duration: 5s, faults: [net.delay: {{ target: agent, latency: 100ms }}] }}\n      \
             - {{ name: slower, duration: 5s, faults: [net.delay: {{ target: agent, latency: 200ms }}] }}\n    \
             - - pause: 3s\n      \
             - {{ name: stopped, duration: 4s, faults: [proc.pause: {{ target: store }}] }}\n"
        ),
    )?;
    let path = file.to_string_lossy();
    let injector = Injector::new()?;
    let mut running = injector.start_here(&["run", &path, "--json"])?;
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut order = Vec::new();
    while let Some(event) = running.next_event(deadline) {
        if event.event == "step_started" {
            let step = event.step.unwrap_or_default();
            let latency = if step.starts_with("slower") { 200 } else { 100 };
            let seen = agent.look()?;
            ensure!(
                (latency..latency + 80).contains(&(seen.p50_ns / 1_000_000)),
                "{step}: {seen:?}"
            );
            if step.contains("stopped") {
                neighbour.expect_still(&step)?;
            } else {
                neighbour.expect_going(&step)?;
            }
            order.push(step);
        }
        if event.event == "ended" {
            break;
        }
    }
    let expected = ["slow", "slow + stopped", "slower + stopped", "slower"];
    ensure!(order == expected, "steps came as {order:?}");
    let report = running.wait()?.report()?;
    let named = report
        .faults
        .iter()
        .map(|fault| (fault.fault.as_str(), fault.hit));
    let hits: Vec<(&str, u64)> = named.collect();
    // One pause of one process: had the border ended it, there would be two.
    ensure!(
        matches!(
            hits[..],
            [("net.delay", 10..), ("proc.pause", 1), ("net.delay", 10..)]
        ),
        "{hits:?}"
    );
    Ok(())
}

/// Delay and duplicate on the same packets: both show.
fn compose() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpFlow.serve(&mut lab)?;
    let mut agent = Probe::UdpFlow.observe(lab.agent(), server)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("both.yaml");
    fs::write(
        &file,
        "name: both\ntargets:\n  agent: { cgroup: nowhere }\nsteps:\n  - name: both\n    duration: 6s\n    \
         faults:\n      - net.delay: { latency: 200ms }\n      - net.duplicate: { percent: 100% }\n      \
         - net.loss: { percent: 50% }\n",
    )?;
    let path = file.to_string_lossy();
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let armed = injector.arm(&["run", &path, "--json", "--cgroup", &cgroup])?;
    let seen = agent.look()?;
    let finished = armed.wait()?;
    ensure!(
        (100..300).contains(&seen.ok),
        "half should get lost: {seen:?}"
    );
    ensure!(
        seen.duplicates >= seen.ok - 5,
        "all that arrive should come twice: {seen:?}"
    );
    ensure!(seen.elapsed_ns >= 200_000_000, "nothing is late: {seen:?}");
    let report = finished.report()?;
    ensure!(
        report.faults.iter().all(|fault| fault.hit > 0),
        "{report:?}"
    );
    Ok(())
}
