//! Targets that end, stay away, or are made again.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::boot_clock;
use injector_tests::cgroup::Cgroup;
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, Injector, Report};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use serde_json::Value;

use crate::probe::Probe;

use super::{ASKED_NS, DELAY, arm, ensure_late};

/// As a unit's or a container's restart does it: the cgroup goes with its processes and comes back under its name.
pub(super) fn made_again() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let make = || lab.cgroups.agent.child("restarts");
    let observe = |cgroup: &Cgroup| {
        let place = Place {
            cgroup: Some(cgroup),
            netns: None,
        };
        Probe::TcpPing.observe(place, server)
    };
    let former = make()?;
    let path = former.path().to_string_lossy().into_owned();
    let mut first = observe(&former)?;
    let mut neighbour = Probe::TcpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = arm(&injector, &["--cgroup", &path])?;
    ensure_late("the target", &first.look()?)?;
    drop((first, former));
    let again = make()?;
    let started = boot_clock::now_ns();
    let mut second = observe(&again)?;
    eventually("it to be met again", Duration::from_secs(5), || {
        Ok((second.look()?.p50_ns >= ASKED_NS).then_some(()))
    })?;
    neighbour.expect_calm("a process beside the cgroup")?;
    let finished = armed.interrupt()?;
    drop((second, again));
    let met = event(&finished, "target_met")?;
    let met_after = met["boot_ns"].as_u64().unwrap_or_default() - started;
    println!("met again after {} ms", met_after / 1_000_000);
    ensure!(met_after < 1_000_000_000, "{finished:?}");
    event(&finished, "target_ended")?;
    let report = finished.report()?;
    ensure!(
        remarks(&report).contains("met again after"),
        "{:?}",
        report.remarks
    );
    Ok(())
}

/// What does not come back is told, and what comes back as a protected one is spared.
pub(super) fn stays_away() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let make = || lab.cgroups.agent.child("goes");
    let former = make()?;
    let path = former.path().to_string_lossy().into_owned();
    let injector = Injector::configured("[protected]\nprocesses = [\"sleep\"]\n")?;
    let armed = arm(&injector, &["--cgroup", &path])?;
    drop(former);
    sleep(Duration::from_millis(300));
    let again = make()?;
    let mut command = Command::new("sleep");
    command.arg("60");
    let place = Place {
        cgroup: Some(&again),
        netns: None,
    };
    place.settle(&mut command)?;
    let mut stranger = command.spawn()?;
    sleep(Duration::from_millis(1_200));
    stranger.kill()?;
    stranger.wait()?;
    let finished = armed.interrupt()?;
    drop(again);
    let spared = event(&finished, "target_not_met")?;
    ensure!(
        spared["why"]
            .as_str()
            .is_some_and(|why| why.contains("protected")),
        "{spared}"
    );
    let report = finished.report()?;
    for part in ["its cgroup was removed", "did not come back", "was not met"] {
        ensure!(
            remarks(&report).contains(part),
            "{part}: {:?}",
            report.remarks
        );
    }
    Ok(())
}

fn remarks(report: &Report) -> String {
    report.remarks.join("\n")
}

/// The event of this name that a run has told.
fn event(finished: &Finished, name: &str) -> Result<Value> {
    finished
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["event"] == name)
        .with_context(|| format!("no {name}: {finished:?}"))
}

/// A process that ends after half a second, as the target of a run with these flags.
fn ending(flags: &[&str]) -> Result<(Finished, Report)> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let injector = Injector::new()?;
    let pid = victim.pid().to_string();
    let words = [&DELAY[..], &["--pid", &pid, "--json"], flags].concat();
    let armed = injector.arm(&words)?;
    sleep(Duration::from_millis(500));
    drop(victim);
    let finished = armed.wait_within(Duration::from_secs(10))?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let told = event(&finished, "target_ended")?;
    let after = told["after_ms"].as_u64().unwrap_or_default();
    ensure!((400..1_500).contains(&after), "{told}");
    let report = finished.report()?;
    Ok((finished, report))
}

pub(super) fn end_waited_out() -> Result<()> {
    let (finished, report) = ending(&["--duration", "2s"])?;
    ensure!(report.outcome == "completed", "{finished:?}");
    ensure!(report.armed_for_ms >= 1_900, "{finished:?}");
    ensure!(
        remarks(&report).contains("ended after"),
        "{:?}",
        report.remarks
    );
    // The fault was not met because no process was there to send.
    let note = report.faults[0].note.as_deref().unwrap_or_default();
    ensure!(note.contains("the target ended after"), "{note}");
    Ok(())
}

pub(super) fn end_ends() -> Result<()> {
    let (finished, report) = ending(&["--duration", "60s", "--on-target-exit", "end"])?;
    ensure!(report.outcome == "target-ended", "{finished:?}");
    ensure!(report.armed_for_ms < 3_000, "{finished:?}");
    Ok(())
}
