//! A stage runs when the one in front of it has held, and where it wants to be; its record is that of what was asked.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use serde_json::Value;

use crate::needs::INJECTOR_AND_NETNS;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("stages::{name}"), INJECTOR_AND_NETNS, run).beside_others()
    };
    vec![case("one_that_held_unlocks_the_next", unlocked)]
}

/// Longer than any of these runs.
const END: Duration = Duration::from_mins(1);

fn unlocked() -> Result<()> {
    let lab = Lab::new(Wire::Veth, Family::V4)?;
    let injector = Injector::new()?;
    let sandbox = Victim::start(lab.agent(), &["sleep"])?;
    let at_home = Victim::start(
        injector_tests::place::Place {
            netns: None,
            ..lab.bystander()
        },
        &["sleep"],
    )?;
    let cgroup = |cgroup: &injector_tests::cgroup::Cgroup| cgroup.path().display().to_string();
    let folder = injector.state().join("suite");
    fs::create_dir(&folder)?;
    let file = folder.join("staged.yaml");
    let text = format!(
        "name: staged\nhypothesis: It outlives a pause.\n\
         variables: {{ cgroup: nowhere, pid: 1, active: 300ms }}\n\
         stages:\n  \
         open: {{ set: {{ cgroup: {home}, pid: {home_pid} }}, ground: sandbox }}\n  \
         sandbox: {{ set: {{ cgroup: {apart}, pid: {apart_pid} }}, ground: sandbox }}\n  \
         production: {{ set: {{ cgroup: {home}, pid: {home_pid} }}, after: sandbox, approve: true }}\n\
         targets: {{ agent: {{ cgroup: '${{cgroup}}' }} }}\n\
         probes: {{ alive: 'process pid ${{pid}} every 100ms within 100ms' }}\nsteady-state: [alive]\n\
         objectives: {{ rto: 2s }}\nbaseline: 5500ms\nrecovery: 6s\n\
         steps:\n  - name: pause\n    duration: 1s\n    faults:\n      - proc.pause: {{ active: '${{active}}', dormant: 5s }}\n",
        home = cgroup(&lab.cgroups.bystander),
        home_pid = at_home.pid(),
        apart = cgroup(&lab.cgroups.agent),
        apart_pid = sandbox.pid(),
    );
    fs::write(&file, text)?;
    let path = file.to_string_lossy();
    let run = |more: &[&str]| -> Result<Finished> {
        let words = [&["run", &path, "--json", "--stage"], more].concat();
        injector.start_here(&words)?.wait_within(END)
    };
    let folder = folder.to_string_lossy();
    let suite = |more: &[&str]| -> Result<Finished> {
        let words = [&["suite", &folder, "--json", "--stage"], more].concat();
        injector.start_here(&words)?.wait_within(END)
    };
    let refuses = |more: &[&str], code: i32, part: &str| -> Result<()> {
        let finished = run(more)?;
        ensure!(
            finished.code == Some(code) && finished.stderr.contains(part),
            "{more:?}: no {part} in {finished:?}"
        );
        Ok(())
    };
    let production = ["production", "--approved-by", "Ada Ames"];
    let rehearsed = [&production[..], &["--dry-run", "--strict"]].concat();
    refuses(&["production"], 2, "add `--approved-by NAME`")?;
    refuses(&production, 3, "`sandbox` was not run")?;
    refuses(
        &["open"],
        3,
        "is in the network namespace that injector is in",
    )?;
    for (stage, code) in [(&["production"][..], 2), (&rehearsed, 3), (&["nowhere"], 2)] {
        let finished = suite(stage)?;
        ensure!(finished.code == Some(code), "{stage:?}: {finished:?}");
    }
    ensure!(
        fs::read_dir(injector.runs()).map_or(0, Iterator::count) == 0,
        "a refused stage ran"
    );

    // By a suite: what one of its runs has held unlocks the next stage, of a suite as of a run.
    let held = suite(&["sandbox"])?;
    ensure!(held.code == Some(0), "{held:?}");
    let told: Value = serde_json::from_str(&held.stdout)?;
    let report = &told["experiments"][0]["trials"][0];
    ensure!(report["judgement"]["verdict"] == "held", "{told:#}");
    let finished = suite(&rehearsed)?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let finished = run(&rehearsed)?;
    ensure!(
        finished.code == Some(0) && finished.stdout.contains("approved by Ada Ames"),
        "{finished:?}"
    );
    // With another value it is not what has held.
    let other = [&rehearsed[..], &["--set", "active=400ms"]].concat();
    ensure!(run(&other)?.code == Some(3), "another value is unlocked");
    let told = injector.once(&["report", "last", "--format", "md"])?.stdout;
    // Its lines are wrapped.
    let words: Vec<&str> = told.split_whitespace().collect();
    ensure!(words.join(" ").contains("sandbox, in a sandbox"), "{told}");

    // A run that is killed locks it again.
    let killed = injector.arm(&["run", &path, "--json", "--stage", "sandbox"])?;
    killed.signal(rustix::process::Signal::KILL)?;
    killed.wait_within(Duration::from_secs(5))?;
    refuses(&production, 3, "came to no verdict").context("after a kill")
}
