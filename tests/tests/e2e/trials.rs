//! Commands that make several runs: what they say together is what the runs say, and each run ends with its command.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use rustix::process::Signal;
use serde_json::Value;

use crate::judged::{Service, cut};
use crate::needs::{INJECTOR, by_means_of_devices};
use crate::probe::{Observer, Probe};
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("trials::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("a_suite_says_what_its_runs_say", judged_suite),
        case("runs_are_made_one_after_the_other", several_runs),
        case("ctrl_c_ends_the_run_and_those_to_come", interrupted),
        case("kill_9_takes_the_run_along", killed),
        case("what_cannot_be_run_is_refused_before_the_first", refused),
    ]
}

/// Longer than any of these commands.
const END: Duration = Duration::from_mins(1);

fn document(finished: &Finished) -> Result<Value> {
    Ok(serde_json::from_str(&finished.stdout)?)
}

/// Two services whose recovery is known, one of which has none.
fn judged_suite() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let injector = Injector::new()?;
    let folder = injector.state().join("game-days");
    fs::create_dir(&folder)?;
    let mut services = Vec::new();
    for (file, character) in [
        ("1-adapts.yaml", "adapts"),
        ("2-never.yml", "never-comes-back"),
    ] {
        let service = Service::start(&lab, lab.agent(), needs, character)?;
        // Each by itself, so that what is done to the first leaves the second as it is.
        let text = format!(
            "name: judged\ntargets: {{ agent: {{ pid: {} }} }}\nprobes:\n{}steady-state: [api]\nobjectives: {{ rto: 2s }}\nbaseline: 5s\nrecovery: 6s\n{}",
            service.pid(),
            service.probe("api"),
            cut(needs.port())
        );
        fs::write(folder.join(file), text)?;
        services.push(service);
    }
    fs::write(folder.join("notes.txt"), "no experiment")?;
    let [kept, junit, markdown] = ["kept.json", "junit.xml", "report.md"]
        .map(|name| injector.state().join(name).to_string_lossy().into_owned());
    let folder = folder.to_string_lossy();
    let words = [
        "suite",
        &folder,
        "--json",
        "--output",
        &kept,
        "--junit",
        &junit,
        "--markdown",
        &markdown,
    ];
    let finished = injector.start_here(&words)?.wait_within(END)?;
    ensure!(finished.code == Some(1), "{finished:?}");
    let told = document(&finished)?;
    let verdict = |place: usize| &told["experiments"][place]["trials"][0]["judgement"]["verdict"];
    ensure!(verdict(0) == "held" && verdict(1) == "deviated", "{told:#}");
    // 0.8 for the one that was good again under the fault, 0 for the one that never was.
    ensure!(told["score"]["score"] == 40.0, "{:#}", told["score"]);
    ensure!(told["score"]["met"] == 2, "{:#}", told["score"]);
    let junit = fs::read_to_string(junit)?;
    ensure!(
        junit.contains("tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""),
        "{junit}"
    );
    let markdown = fs::read_to_string(markdown)?;
    ensure!(
        markdown.contains("| `2-never.yml` | deviated 1 of 1 |"),
        "{markdown}"
    );
    // What was kept is what a later suite is compared with: here a rehearsal, which reads it.
    let again = ["suite", &folder, "--compare", &kept, "--dry-run"];
    let finished = injector.once(&again)?;
    ensure!(
        finished.code == Some(0)
            && finished
                .stdout
                .contains("1-adapts.yaml: a run could start now"),
        "{finished:?}"
    );
    Ok(())
}

/// An experiment without a hypothesis on a process that does nothing.
fn short_experiment(injector: &Injector, pid: u32, duration: &str) -> Result<String> {
    let file = injector.state().join("short.yaml");
    let text = format!(
        "name: short\ntargets: {{ idle: {{ pid: {pid} }} }}\nduration: {duration}\nfaults: [ net.delay: {{ latency: 20ms }} ]\n"
    );
    fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}

fn several_runs() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let idle = Victim::start(lab.agent(), &["sleep"])?;
    let file = short_experiment(&injector, idle.pid(), "300ms")?;
    let finished = injector.once(&["run", &file, "--repeat", "3", "--json"])?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let told = document(&finished)?;
    ensure!(
        told["runs"] == 3 && told["verdicts"]["unjudged"] == 3,
        "{told:#}"
    );
    let runs: Vec<String> = told["trials"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|trial| trial["run"].to_string())
        .collect();
    let listed = injector.once(&["list", "--json"])?;
    for run in &runs {
        ensure!(
            listed.stdout.contains(run.as_str()),
            "{run} is not in {listed:?}"
        );
    }
    ensure!(runs.len() == 3 && runs[0] != runs[1], "{runs:?}");
    let finished = injector.once(&["run", &file, "--repeat", "2"])?;
    ensure!(
        finished.code == Some(0) && finished.stdout.contains("without a steady state 2 of 2"),
        "{finished:?}"
    );
    Ok(())
}

/// A command of five long runs on a process that calls, whose first run is on.
fn started(lab: &mut Lab, injector: &Injector) -> Result<(Running, Observer)> {
    let server = Probe::UdpPing.serve(lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let file = injector.state().join("long.yaml");
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let text = format!(
        "name: long\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\nduration: 50s\nfaults: [ net.blackhole ]\n"
    );
    fs::write(&file, text)?;
    let path = file.to_string_lossy();
    let command = injector.start_here(&["run", &path, "--repeat", "5", "--json"])?;
    eventually("the first run to be felt", Duration::from_secs(10), || {
        let look = agent.look()?;
        Ok((look.ok == 0).then_some(()))
    })?;
    Ok((command, agent))
}

fn interrupted() -> Result<()> {
    by_means_of_devices()?;
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let (command, mut agent) = started(&mut lab, &injector)?;
    let finished = command.interrupt()?;
    agent.expect_calm("the target, after Ctrl-C,")?;
    ensure!(finished.code == Some(1), "{finished:?}");
    let told = document(&finished)?;
    ensure!(
        told["runs"] == 1 && told["trials"][0]["outcome"] == "stopped" && told["ended"].is_string(),
        "{told:#}"
    );
    Ok(())
}

fn killed() -> Result<()> {
    by_means_of_devices()?;
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let (command, mut agent) = started(&mut lab, &injector)?;
    command.signal(Signal::KILL)?;
    command.wait_within(Duration::from_secs(5))?;
    eventually("the target to be free", Duration::from_secs(2), || {
        Ok((agent.look()?.ok > 0).then_some(()))
    })?;
    agent.expect_calm("the target, after the command's death,")
}

fn refused() -> Result<()> {
    let injector = Injector::new()?;
    let folder = injector.state().join("folder");
    fs::create_dir(&folder)?;
    let path = folder.to_string_lossy().into_owned();
    let expect = |words: &[&str], part: &str| -> Result<()> {
        let finished = injector.once(words)?;
        ensure!(
            finished.code == Some(2) && finished.stderr.contains(part),
            "{part:?} is not in {finished:?}"
        );
        Ok(())
    };
    expect(&["suite", &path], "has no experiment")?;
    fs::write(
        folder.join("1-good.yaml"),
        "name: x\ntargets: { a: { pid: 1 } }\nduration: 1s\nfaults: [net.blackhole]\n",
    )?;
    fs::write(
        folder.join("2-bad.yaml"),
        "name: x\nduration: 1s\nfaults: [net.nothing]\n",
    )?;
    expect(&["suite", &path], "2-bad.yaml:1:1: ")?;
    fs::remove_file(folder.join("2-bad.yaml"))?;
    let good = folder.join("1-good.yaml").to_string_lossy().into_owned();
    expect(
        &["suite", &path, "--compare", &good],
        "is no result of a suite",
    )?;
    expect(
        &["run", &good, "--repeat", "0"],
        "`0` is no number of runs; write one from 1 to 1000",
    )?;
    expect(&["suite", "/nonexistent"], "cannot be read")?;
    // A run that is refused says why, and no other is made.
    let finished = injector.once(&["run", &good, "--repeat", "3", "--json"])?;
    let told = document(&finished)?;
    ensure!(
        finished.code == Some(3) && told["runs"] == 1 && told["trials"][0]["exit"] == 3,
        "{finished:?}"
    );
    Ok(())
}
