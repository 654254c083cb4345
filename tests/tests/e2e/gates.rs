//! A run waits at a gate with nothing on, and goes on when a service answers or a person says so.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use serde_json::Value;

use crate::needs::INJECTOR;
use crate::probe::{Observer, Probe};
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("gate::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("the_first_right_answer_opens_it", answered),
        case("a_person_opens_it", approved),
        case(
            "a_person_opens_that_of_a_run_of_the_daemon",
            through_the_daemon,
        ),
        case("a_gate_that_stays_shut_is_inconclusive", shut),
        case(
            "a_command_opens_it_by_its_end_and_is_killed_in_time",
            commands,
        ),
    ]
}

/// Longer than any of these runs.
const END: Duration = Duration::from_secs(30);

struct Stage {
    lab: Lab,
    agent: Observer,
    injector: Injector,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Result<Self> {
        let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
        let server = Probe::UdpPing.serve(&mut lab)?;
        Ok(Self {
            agent: Probe::UdpPing.observe(lab.agent(), server)?,
            lab,
            injector: Injector::new()?,
            folder: tempfile::tempdir()?,
        })
    }

    /// A gate, and a cut of 3 s behind it.
    fn start(&self, gate: &str) -> Result<Running> {
        self.start_step(&format!("gate: {gate}"))
    }

    /// The same with another step in its place.
    fn start_step(&self, step: &str) -> Result<Running> {
        let cgroup = self.lab.cgroups.agent.path().to_string_lossy();
        let text = format!(
            "apiVersion: injector/v1\nname: gated\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\nsteps:\n  - {{ name: go, \
             {step} }}\n  - {{ name: cut, duration: 3s, faults: [ net.blackhole: {{ protocol: udp }} ] }}\n"
        );
        let file: PathBuf = self.folder.path().join("gated.yaml");
        fs::write(&file, text)?;
        self.injector
            .arm(&["run", &file.to_string_lossy(), "--json"])
    }
}

/// The first event of this name.
fn await_event(run: &mut Running, name: &str, step: &str) -> Result<()> {
    let deadline = Instant::now() + END;
    while let Some(event) = run.next_event(deadline) {
        if event.event == name && event.step.as_deref() == Some(step) {
            return Ok(());
        }
    }
    anyhow::bail!("no {name} of {step}")
}

fn report(run: Running, code: i32) -> Result<Value> {
    let finished = run.wait_within(END)?;
    ensure!(finished.code == Some(code), "{finished:?}");
    serde_json::from_str(&finished.stdout).with_context(|| format!("no report: {finished:?}"))
}

fn answered() -> Result<()> {
    let mut stage = Stage::new()?;
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.local_addr()?
    };
    let mut run = stage.start(&format!(
        "{{ until: tcp {address} every 100ms, timeout: 1m }}"
    ))?;
    await_event(&mut run, "gate_waits", "go")?;
    stage
        .agent
        .expect_calm("the target, while the run waits,")?;
    let _service = TcpListener::bind(address)?;
    await_event(&mut run, "step_started", "cut")?;
    let seen = stage.agent.look()?;
    ensure!(
        seen.ok == 0,
        "the fault behind the gate is not on: {seen:?}"
    );
    let report = report(run, 0)?;
    ensure!(report["outcome"] == "completed", "{report}");
    let gate = &report["gates"][0];
    ensure!(
        gate["gate"] == "answered" && gate["step"] == "go",
        "{report}"
    );
    ensure!(gate["waited_ms"].as_u64() < Some(30_000), "{report}");
    stage.agent.expect_calm("the target, after the end,")
}

fn approved() -> Result<()> {
    let stage = Stage::new()?;
    opened_by_a_person(stage)
}

/// The daemon's runs are approved in the same way as those of a command.
fn through_the_daemon() -> Result<()> {
    let stage = Stage::new()?;
    stage
        .injector
        .configure("[daemon]\nenabled = true\nallow = [\"/\"]\n")?;
    let daemon = stage.injector.start_daemon()?;
    opened_by_a_person(stage)?;
    daemon.interrupt().map(drop)
}

fn opened_by_a_person(mut stage: Stage) -> Result<()> {
    let mut run = stage.start("{ approve: true, timeout: 1m }")?;
    await_event(&mut run, "gate_waits", "go")?;
    stage
        .agent
        .expect_calm("the target, while the run waits,")?;
    // The record of the wait goes through the recorder, and may come after the event.
    let approved = eventually("the approval", END, || {
        let approved = stage.injector.once(&["approve", "last"])?;
        Ok((approved.code == Some(0)).then_some(approved))
    })?;
    ensure!(
        approved.stdout.contains("gate go: approved by user 0"),
        "{approved:?}"
    );
    await_event(&mut run, "step_started", "cut")?;
    let seen = stage.agent.look()?;
    ensure!(
        seen.ok == 0,
        "the fault behind the gate is not on: {seen:?}"
    );
    let again = stage.injector.once(&["approve", "last"])?;
    ensure!(again.code == Some(2), "{again:?}");
    ensure!(
        again.stderr.contains("does not wait for a person"),
        "{again:?}"
    );
    let report = report(run, 0)?;
    let gate = &report["gates"][0];
    ensure!(gate["gate"] == "approved", "{report}");
    ensure!(gate["approval"]["by_uid"] == 0, "{report}");
    let left = fs::read_dir(stage.injector.runs())?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("approval"));
    ensure!(!left, "the approval was left behind");
    let run = report["run"].as_str().context("no run")?;
    for form in ["text", "md", "html", "json"] {
        let told = stage.injector.once(&["report", run, "--format", form])?;
        ensure!(told.stdout.contains("pproved"), "{form}: {told:?}");
    }
    let over = stage.injector.once(&["approve", run])?;
    ensure!(over.code == Some(2), "{over:?}");
    ensure!(over.stderr.contains("does not go on any more"), "{over:?}");
    stage.agent.expect_calm("the target, after the end,")
}

fn shut() -> Result<()> {
    let mut stage = Stage::new()?;
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.local_addr()?
    };
    for (gate, word) in [
        (
            format!("{{ until: tcp {address} every 100ms, timeout: 1s }}"),
            "the last answer: ",
        ),
        ("{ approve: true, timeout: 1s }".to_owned(), "a person"),
    ] {
        let report = report(stage.start(&gate)?, 4)?;
        ensure!(report["outcome"] == "gate-shut", "{report}");
        ensure!(report["gates"][0]["gate"] == "timed-out", "{report}");
        let why = report["why"].as_str().unwrap_or_default();
        ensure!(why.contains(word), "{report}");
        ensure!(report["faults"][0]["hit"] == 0, "{report}");
    }
    stage.agent.expect_calm("the target, after the end,")
}

/// How long the program sleeps that never ends by itself, which no other test asks for.
const SLEEP: &str = "86433";

fn commands() -> Result<()> {
    let mut stage = Stage::new()?;
    let marker = stage.folder.path().join("marker");
    let touch = format!(
        "run: {{ command: [/usr/bin/touch, '{}'], timeout: 10s }}",
        marker.display()
    );
    let mut run = stage.start_step(&touch)?;
    await_event(&mut run, "gate_waits", "go")?;
    await_event(&mut run, "step_started", "cut")?;
    ensure!(marker.exists(), "the command has done nothing");
    let seen = stage.agent.look()?;
    ensure!(
        seen.ok == 0,
        "the fault behind the command is not on: {seen:?}"
    );
    let told = report(run, 0)?;
    ensure!(told["outcome"] == "completed", "{told}");
    let gate = &told["gates"][0];
    ensure!(
        gate["gate"] == "ran" && gate["end"] == "exited" && gate["code"] == 0,
        "{told}"
    );
    // A code of its own, and what it says of it on standard error.
    let missing = "run: { command: [/bin/cat, /nonexistent], timeout: 10s }";
    let told = report(stage.start_step(missing)?, 4)?;
    ensure!(told["outcome"] == "gate-shut", "{told}");
    let gate = &told["gates"][0];
    ensure!(gate["end"] == "exited" && gate["code"] == 1, "{told}");
    let said = gate["said"].as_str().unwrap_or_default();
    ensure!(said.contains("/nonexistent"), "{told}");
    ensure!(told["faults"][0]["matched"] == 0, "{told}");
    let run = told["run"].as_str().context("no run")?;
    for form in ["text", "md", "html", "json"] {
        let page = stage.injector.once(&["report", run, "--format", form])?;
        ensure!(page.stdout.contains("/nonexistent"), "{form}: {page:?}");
    }
    // Its child, which it does not wait for, ends with it.
    let hangs = format!(
        "run: {{ command: [/bin/sh, -c, '/bin/sleep {SLEEP} & exec /bin/sleep {SLEEP}'], timeout: 1s }}"
    );
    let told = report(stage.start_step(&hangs)?, 4)?;
    ensure!(told["outcome"] == "gate-shut", "{told}");
    ensure!(told["gates"][0]["end"] == "timed-out", "{told}");
    eventually("the end of the command", END, || {
        Ok((!sleeps()?).then_some(()))
    })?;
    // A program that is not there arms nothing.
    let cgroup = stage.lab.cgroups.agent.path().to_string_lossy();
    let file = stage.folder.path().join("missing.yaml");
    fs::write(
        &file,
        format!(
            "targets: {{ agent: {{ cgroup: {cgroup} }} }}\nsteps:\n  - run: {{ command: [/nonexistent], timeout: 1s }}\n  - \
             {{ duration: 3s, faults: [ net.blackhole ] }}\n"
        ),
    )?;
    let refused = stage.injector.once(&["run", &file.to_string_lossy()])?;
    ensure!(refused.code == Some(2), "{refused:?}");
    ensure!(refused.stderr.contains("no program"), "{refused:?}");
    stage.agent.expect_calm("the target, after the end,")
}

/// Whether the program that never ends by itself is there.
fn sleeps() -> Result<bool> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if words.ends_with(format!("\0{SLEEP}\0").as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}
