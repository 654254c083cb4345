//! The commands of a rollback come after the faults, in time, and only where there was a breach.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use rustix::process::Signal;
use serde_json::Value;

use crate::needs::INJECTOR;
use crate::probe::{Observer, Probe};
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    // They look at a setting of the host that other runs share.
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("rollback::{name}"), INJECTOR, run);
    vec![
        case("its_commands_come_after_the_faults_and_in_time", breach),
        case("a_run_that_ends_as_planned_runs_none", planned),
        case("a_run_that_is_asked_to_end_waits_no_longer", cut_short),
        case("the_death_of_a_worker_ends_its_command", killed),
        case("a_command_that_cannot_be_run_arms_nothing", refused),
    ]
}

/// Longer than any of these runs.
const END: Duration = Duration::from_secs(20);

/// What a run changes, and puts back when its faults are off.
const ACCEPT_LOCAL: &str = "/proc/sys/net/ipv4/conf/lo/accept_local";

/// How long the program sleeps that never ends by itself, which no other test asks for.
const SLEEP: &str = "86431";

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

    /// Where a command leaves its mark.
    fn marker(&self) -> PathBuf {
        self.folder.path().join("marker")
    }

    /// A delay of everything for so long, which a victim's end halts.
    fn file(&self, duration: &str, rollback: &str) -> Result<PathBuf> {
        let cgroup = self.lab.cgroups.agent.path().to_string_lossy();
        let text = format!(
            "apiVersion: injector/v1\nname: rolled\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\nduration: \
             {duration}\nfaults:\n  - net.delay: {{ latency: 200ms }}\nhalt: [ target.exits >= 1 ]\nrollback:\n{rollback}"
        );
        let file = self.folder.path().join("rolled.yaml");
        fs::write(&file, text)?;
        Ok(file)
    }

    /// Runs it until it is armed, and ends the victim.
    fn breach(&self, rollback: &str) -> Result<Running> {
        let file = self.file("60s", rollback)?;
        let victim = Victim::start(self.lab.agent(), &["sleep"])?;
        let armed = self
            .injector
            .arm(&["run", &file.to_string_lossy(), "--json"])?;
        let accepts = fs::read_to_string(ACCEPT_LOCAL)?;
        ensure!(accepts.trim() == "1", "nothing is there to put back");
        drop(victim);
        Ok(armed)
    }
}

/// Copies the setting that the run has changed.
fn copies(marker: &Path) -> String {
    format!(
        "  - [\"/bin/cp\", \"{ACCEPT_LOCAL}\", \"{}\"]\n",
        marker.display()
    )
}

fn sleeps(within: &str) -> String {
    format!("  - {{ command: [\"/bin/sleep\", \"{SLEEP}\"], within: {within} }}\n")
}

/// The process id of the program that sleeps.
fn sleeper() -> Result<Option<u32>> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        // Not the process that is to become it.
        if words.ends_with(format!("\0{SLEEP}\0").as_bytes()) && words.starts_with(b"/bin/sleep\0")
        {
            return Ok(entry.file_name().to_string_lossy().parse().ok());
        }
    }
    Ok(None)
}

fn report(finished: &Finished) -> Result<Value> {
    serde_json::from_str(&finished.stdout).with_context(|| format!("no report: {finished:?}"))
}

fn breach() -> Result<()> {
    let before = fs::read_to_string(ACCEPT_LOCAL)?;
    let mut stage = Stage::new()?;
    let marker = stage.marker();
    let commands = [
        &copies(&marker),
        &sleeps("1500ms"),
        "  - [\"/bin/false\"]\n",
    ]
    .concat();
    let mut armed = stage.breach(&commands)?;
    eventually("the second command", END, sleeper)?;
    // The first was run, the second goes on: no fault is on any more.
    let found = fs::read_to_string(&marker)?;
    ensure!(
        found == before,
        "the command came before the undo: {found:?}"
    );
    stage
        .agent
        .expect_calm("the target, while a command hangs,")?;
    ensure!(armed.is_running()?, "the command was not waited for");
    let finished = armed.wait_within(END)?;
    ensure!(finished.code == Some(1), "{finished:?}");
    ensure!(sleeper()?.is_none(), "the command outlived its deadline");
    let report = report(&finished)?;
    ensure!(report["outcome"] == "halted", "{report}");
    let [copied, slept, failed] = report["rollback"].as_array().map_or(&[][..], Vec::as_slice)
    else {
        anyhow::bail!("not three results: {report}");
    };
    ensure!(copied["end"] == "exited" && copied["code"] == 0, "{copied}");
    ensure!(copied["command"][0] == "/bin/cp", "{copied}");
    ensure!(
        slept["end"] == "timed-out" && slept["within_ms"] == 1500,
        "{slept}"
    );
    let took = slept["took_ms"].as_u64().context("no time")?;
    ensure!((1500..3000).contains(&took), "{slept}");
    ensure!(failed["end"] == "exited" && failed["code"] == 1, "{failed}");
    told(&stage, &report)
}

/// Journal and report have it in each of their forms.
fn told(stage: &Stage, report: &Value) -> Result<()> {
    let run = report["run"].as_str().context("no run")?;
    let journal = fs::read_to_string(stage.injector.runs().join(format!("{run}.jsonl")))?;
    let count = journal.matches("\"rolled-back\"").count();
    ensure!(count == 3, "{count} records: {journal}");
    for (form, part) in [
        ("text", "took longer than 1.5s and was ended"),
        ("md", "Rollback: 1 of 3 commands ended with 0"),
        ("html", "took longer than 1.5s and was ended"),
        ("json", "\"timed-out\""),
    ] {
        let told = stage.injector.once(&["report", run, "--format", form])?;
        ensure!(told.stdout.contains(part), "{form}: {told:?}");
    }
    let audit = stage.injector.once(&["audit", run])?;
    ensure!(audit.stdout.contains("ended with 1 after"), "{audit:?}");
    Ok(())
}

fn planned() -> Result<()> {
    let stage = Stage::new()?;
    let marker = stage.marker();
    let file = stage.file("500ms", &copies(&marker))?;
    let path = file.to_string_lossy();
    let finished = stage.injector.once(&["run", &path, "--json"])?;
    let report = report(&finished)?;
    ensure!(
        finished.code == Some(0) && report["outcome"] == "completed",
        "{report}"
    );
    ensure!(report["rollback"].is_null(), "{report}");
    ensure!(!marker.exists(), "the command was run");
    // Nor does one that a person ends.
    let file = stage.file("60s", &copies(&marker))?;
    let armed = stage
        .injector
        .arm(&["run", &file.to_string_lossy(), "--json"])?;
    let stopped = armed.interrupt()?;
    ensure!(stopped.code == Some(0), "{stopped:?}");
    ensure!(!marker.exists(), "the command was run");
    Ok(())
}

/// Ctrl-C while a command hangs: the run still ends in good order, and tells what it did not run.
fn cut_short() -> Result<()> {
    let stage = Stage::new()?;
    let marker = stage.marker();
    let commands = [sleeps("1m"), copies(&marker)].concat();
    let armed = stage.breach(&commands)?;
    eventually("the command", END, sleeper)?;
    armed.signal(Signal::INT)?;
    let finished = armed.wait_within(Duration::from_secs(8))?;
    let report = report(&finished)?;
    for (index, is_begun) in [(0, true), (1, false)] {
        let one = &report["rollback"][index];
        ensure!(one["end"] == "cut-short", "{report}");
        ensure!((one["took_ms"] != 0) == is_begun, "{report}");
    }
    ensure!(sleeper()?.is_none() && !marker.exists(), "{report}");
    Ok(())
}

fn killed() -> Result<()> {
    let mut stage = Stage::new()?;
    let commands = [&sleeps("1m"), "  - [\"/bin/false\"]\n"].concat();
    let armed = stage.breach(&commands)?;
    eventually("the command", END, sleeper)?;
    armed.signal_worker(Signal::KILL)?;
    let finished = armed.wait_within(END)?;
    ensure!(finished.code == Some(1), "{finished:?}");
    eventually("the command to be gone", END, || {
        Ok(sleeper()?.is_none().then_some(()))
    })?;
    stage.agent.expect_calm("the target, after the death,")?;
    let told = stage.injector.once(&["report", "last"])?;
    ensure!(told.stdout.contains("aborted"), "{told:?}");
    Ok(())
}

fn refused() -> Result<()> {
    let stage = Stage::new()?;
    for (rollback, word) in [
        ("  - [\"false\"]\n", ":9:5: `[\"false\"]` is no command"),
        ("  - /bin/false\n", ":9:5: "),
        (
            "  - [\"/no/such/program\"]\n",
            "/no/such/program is no program",
        ),
    ] {
        let file = stage.file("1s", rollback)?;
        let finished = stage.injector.once(&["run", &file.to_string_lossy()])?;
        ensure!(finished.code == Some(2), "{rollback}: {finished:?}");
        ensure!(finished.stderr.contains(word), "{rollback}: {finished:?}");
    }
    ensure!(!stage.injector.runs().exists(), "a run was begun");
    Ok(())
}
