//! People are asked for a decision one after the other: while a run waits for them, and when it is over.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use serde_json::Value;

use crate::needs::INJECTOR;
use crate::suite::Case;

/// Longer than any of these runs.
const END: Duration = Duration::from_secs(30);

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("escalation::{name}"), INJECTOR, run)
    };
    vec![
        case("one_who_never_answers_keeps_no_other_waiting", at_a_gate),
        case("after_a_halt_an_acknowledgement_ends_it", after_a_halt),
        case("what_is_misspelt_is_refused_in_its_place", misspelt),
    ]
}

struct Stage {
    lab: Lab,
    injector: Injector,
    folder: tempfile::TempDir,
    /// Takes connections, and says nothing.
    _silent: TcpListener,
}

impl Stage {
    /// A host with a webhook that never answers, and with two programs that leave a file where they are told.
    fn new() -> Result<Self> {
        let silent = TcpListener::bind("127.0.0.1:0")?;
        let folder = tempfile::tempdir()?;
        let told = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let program = |name: &str| {
            format!(
                "[[notifier]]\nname = \"{name}\"\nkind = \"command\"\ncommand = [\"/bin/cp\", \"/proc/self/environ\", \
                 \"{}\"]\n",
                told(name)
            )
        };
        let text = format!(
            "[[notifier]]\nname = \"on-call\"\nkind = \"webhook\"\nurl = \"http://{}/S3CR3T\"\n{}{}",
            silent.local_addr()?,
            program("lead"),
            program("boss")
        );
        Ok(Self {
            lab: Lab::new(Wire::Loopback, Family::V4)?,
            injector: Injector::configured(&text)?,
            folder,
            _silent: silent,
        })
    }

    fn told(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An experiment with these lines beside a cut of a minute.
    fn start(&self, lines: &str, gate: &str) -> Result<Running> {
        let cgroup = self.lab.cgroups.agent.path().to_string_lossy();
        let text = format!(
            "apiVersion: injector/v1\nname: asked\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\n{lines}\nescalate: [ \
             {{to: on-call, within: 2s}}, {{to: lead, within: 1h}}, {{to: boss, within: 1h}} ]\nsteps:\n{gate}  - {{ name: \
             cut, duration: 1m, faults: [ net.connect: {{ errno: ECONNREFUSED }} ] }}\n"
        );
        let file = self.folder.path().join("asked.yaml");
        fs::write(&file, text)?;
        self.injector
            .arm(&["run", &file.to_string_lossy(), "--json"])
    }

    /// The turns that the newest run's report has.
    fn turns(&self) -> Result<Vec<Value>> {
        let said = self
            .injector
            .once(&["report", "last", "--format", "json"])?;
        let report: Value = serde_json::from_str(&said.stdout).context("no report")?;
        let moments = report["timeline"].as_array().context("no timeline")?;
        let turns = moments
            .iter()
            .filter(|moment| moment["happened"] == "escalated");
        Ok(turns.map(|moment| moment["turn"].clone()).collect())
    }

    /// Waits until the second was told; how long that took from now.
    fn await_lead(&self) -> Result<Duration> {
        let began = Instant::now();
        eventually("the second to be told", END, || {
            Ok(is_there(&self.told("lead")).then_some(()))
        })?;
        Ok(began.elapsed())
    }
}

fn is_there(path: &Path) -> bool {
    fs::read(path).is_ok_and(|text| !text.is_empty())
}

fn words(turns: &[Value]) -> Vec<&str> {
    turns
        .iter()
        .filter_map(|turn| turn["turn"].as_str())
        .collect()
}

fn at_a_gate() -> Result<()> {
    let stage = Stage::new()?;
    let run = stage.start(
        "",
        "  - { name: go, gate: { approve: true, timeout: 1m } }\n",
    )?;
    let took = stage.await_lead()?;
    ensure!(
        took < Duration::from_secs(10),
        "the second was told after {took:?}"
    );
    let told = fs::read_to_string(stage.told("lead"))?;
    for text in ["INJECTOR_OUTCOME=gate-waits", "injector approve r"] {
        ensure!(told.contains(text), "no {text}: {told:?}");
    }
    eventually("the approval", END, || {
        let approved = stage.injector.once(&["approve", "last"])?;
        Ok((approved.code == Some(0)).then_some(()))
    })?;
    let turns = eventually("the answer on record", END, || {
        let turns = stage.turns()?;
        Ok(words(&turns).contains(&"answered").then_some(turns))
    })?;
    ensure!(
        words(&turns)
            .iter()
            .filter(|turn| **turn == "asked")
            .count()
            == 2,
        "{turns:#?}"
    );
    let last = turns.last().context("no turn")?;
    ensure!(
        last["answer"] == "approved" && last["approval"]["by_uid"] == 0,
        "{turns:#?}"
    );
    ensure!(last["after_ms"].as_u64() >= Some(2_000), "{turns:#?}");
    let finished = run.interrupt()?;
    ensure!(finished.code == Some(0), "{finished:?}");
    // The one who hangs held up neither the next nor the end, and the third was not asked.
    ensure!(!stage.told("boss").exists(), "the third was told, too");
    let said = serde_json::to_string(&stage.turns()?)?;
    ensure!(!said.contains("S3CR3T"), "{said}");
    let late = stage.injector.once(&["acknowledge", "last"])?;
    ensure!(
        late.code == Some(2) && late.stderr.contains("any more"),
        "{late:?}"
    );
    Ok(())
}

fn after_a_halt() -> Result<()> {
    let stage = Stage::new()?;
    let good = stage.told("good");
    fs::write(&good, "x")?;
    let halt = format!(
        "halt: [ 'command [\"/bin/cat\", \"{}\"] fails 1 every 100ms' ]",
        good.display()
    );
    let run = stage.start(&halt, "")?;
    // Those are asked who were there when the run began.
    stage.injector.configure("")?;
    fs::remove_file(&good)?;
    let began = Instant::now();
    let finished = run.wait_within(END)?;
    ensure!(finished.code == Some(1), "{finished:?}");
    ensure!(
        finished.stderr.contains("injector acknowledge r"),
        "no word of how to answer: {finished:?}"
    );
    ensure!(
        began.elapsed() < Duration::from_secs(10),
        "the end waited for people"
    );
    stage.await_lead()?;
    let told = fs::read_to_string(stage.told("lead"))?;
    ensure!(told.contains("INJECTOR_OUTCOME=halted"), "{told:?}");
    // The run is over while people are asked.
    let listed = stage.injector.once(&["list", "--json"])?.stdout;
    let listed: Value = serde_json::from_str(&listed).context("no list")?;
    ensure!(listed[0]["state"] == "ended", "{listed}");
    let answered = stage.injector.once(&["acknowledge", "last"])?;
    ensure!(answered.code == Some(0), "{answered:?}");
    // The guest of a virtual machine has no names of users.
    let by = ["acknowledged by root", "acknowledged by user 0"];
    ensure!(
        by.iter().any(|by| answered.stdout.contains(by)),
        "{answered:?}"
    );
    let turns = stage.turns()?;
    ensure!(
        words(&turns).first() == Some(&"asked") && words(&turns).last() == Some(&"answered"),
        "{turns:#?}"
    );
    let listed = stage.injector.once(&["list"])?.stdout;
    ensure!(listed.contains("halted"), "{listed}");
    ensure!(!stage.told("boss").exists(), "the third was told, too");
    Ok(())
}

fn misspelt() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.folder.path().join("bad.yaml");
    let path = file.to_string_lossy().into_owned();
    for (escalate, part) in [
        (
            "[ {to: on-call} ]",
            "bad.yaml:4:13: a step of `escalate` needs `within`",
        ),
        ("[ {to: on-call, within: 0s} ]", "bad.yaml:4:35: "),
        (
            "[ {to: a, within: 5m}, {to: a, within: 5m} ]",
            "bad.yaml:4:39: `escalate` names `a` twice",
        ),
        (
            "[ {to: on-cal, within: 5m} ]",
            "`escalate[0].to` names `on-cal`",
        ),
    ] {
        let text = format!(
            "targets: {{ agent: {{ cgroup: {} }} }}\nduration: 5s\nfaults: [net.blackhole]\nescalate: {escalate}\n",
            stage.lab.cgroups.agent.path().display()
        );
        fs::write(&file, text)?;
        let refused = stage.injector.once(&["run", &path])?;
        ensure!(
            refused.code == Some(2) && refused.stderr.contains(part),
            "{escalate}: {refused:?}"
        );
    }
    stage
        .injector
        .configure("[escalation]\nescalate = [{ to = \"x\", within = \"5m\" }]\n")?;
    let refused = stage.injector.once(&["run", &path])?;
    ensure!(
        refused.code == Some(2)
            && refused
                .stderr
                .contains("injector.toml:2:20: no notifier is called `x`"),
        "{refused:?}"
    );
    Ok(())
}
