//! Commands through the daemon: the same faults, the same reports, and nothing left when it goes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use rustix::process::Signal;
use serde_json::Value;

use crate::lifecycle::id_of_only_run;
use crate::needs::INJECTOR;
use crate::probe::Probe;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("daemon::{name}"), INJECTOR, run);
    vec![
        case("arms_lists_and_stops", arms_lists_and_stops),
        case("its_end_ends_its_faults", || ends_with(Signal::TERM)),
        case("the_death_of_its_worker_ends_its_faults", || {
            ends_with(Signal::KILL)
        }),
        case("status_is_json", status_is_json),
    ]
}

fn arms_lists_and_stops() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let daemon = injector.start_daemon()?;
    let armed = lab.arm(&injector, &["net", "blackhole"])?;
    ensure!(agent.look()?.ok == 0, "the fault is not there");
    let id = id_of_only_run(&injector)?;
    let stopped = injector.once(&["stop", &id])?;
    agent.expect_calm("the target, after stop,")?;
    ensure!(stopped.code == Some(0), "{stopped:?}");
    ensure!(
        armed.wait()?.report()?.outcome == "stopped",
        "the report does not say stopped"
    );
    daemon.interrupt()?;
    Ok(())
}

/// Whoever armed through it: without the daemon there is no fault.
fn ends_with(signal: Signal) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let daemon = injector.start_daemon()?;
    let armed = lab.arm(&injector, &["net", "blackhole"])?;
    match signal {
        Signal::KILL => daemon.signal_worker(signal)?,
        _orderly => daemon.signal(signal)?,
    }
    daemon
        .wait_within(Duration::from_secs(10))
        .context("the daemon")?;
    agent.expect_calm("the target, without the daemon,")?;
    armed
        .wait_within(Duration::from_secs(10))
        .context("the command")?;
    Ok(())
}

fn status_is_json() -> Result<()> {
    let injector = Injector::new()?;
    let daemon = injector.start_daemon()?;
    for ask in [
        ["status", "--json"],
        ["list", "--json"],
        ["doctor", "--json"],
    ] {
        let said = injector.once(&ask)?;
        ensure!(said.code == Some(0), "{ask:?}: {said:?}");
        let _valid: Value =
            serde_json::from_str(&said.stdout).with_context(|| said.stdout.clone())?;
    }
    daemon.interrupt()?;
    Ok(())
}
