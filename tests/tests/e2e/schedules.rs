//! Experiments that the daemon starts by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use serde_json::Value;

use crate::needs::INJECTOR;
use crate::probe::Probe;
use crate::suite::Case;

const EXPERIMENT: &str = "name: slow\ntargets: { victim: { unit: stand-in.service } }\nduration: 60s\nfaults: \
                          [net.delay: { latency: 100ms }]\n";
const ASKED_NS: u64 = 100_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("schedule::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("starts_and_halts_and_counts", starts),
        case("mistakes_are_refused_at_the_start", mistakes),
    ]
}

/// One experiment at a time on a victim that was opted in, ended by the kill switch; a restart forgets no start.
fn starts() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut victim = Probe::TcpPing.observe(lab.agent(), server)?;
    let mut bystander = Probe::TcpPing.observe(lab.bystander(), server)?;
    let mount = injector_tests::cgroup::mount()?;
    let victims = format!(
        "/{}",
        lab.cgroups.agent.path().strip_prefix(mount)?.display()
    );
    let injector = Injector::new()?;
    let suite = injector.state().join("suite");
    fs::create_dir(&suite)?;
    fs::write(suite.join("slow.yaml"), EXPERIMENT)?;
    let configure = |a_day: u32| {
        let keys = format!(
            "enabled = true\nsuite = \"{}\"\nat_most_a_day = {a_day}\ncgroups = [\"{victims}\"]\nhours = {}\n\
             [journal]\nkeep = 2880\n",
            suite.display(),
            open_now()?
        );
        configure(&injector, &keys)
    };

    // So many in so short a time that the first is due at once; their journals have to be kept.
    configure(1440)?;
    let daemon = injector.start_daemon()?;
    let run = eventually("the schedule to start a run", PATIENCE, || {
        let status = status(&injector)?;
        Ok(status["daemon"]["schedule"]["run"]
            .as_str()
            .map(str::to_owned))
    })?;
    eventually("the victim to feel it", PATIENCE, || {
        Ok((victim.look()?.p50_ns >= ASKED_NS).then_some(()))
    })?;
    bystander.expect_calm("a process that was not opted in")?;
    let status_now = status(&injector)?;
    let running = status_now["running"].as_array().context("no runs")?;
    ensure!(running.len() == 1, "not one at a time: {status_now}");
    let told = injector.once(&["status"])?;
    ensure!(
        told.stdout
            .contains(&format!("schedule: run {run} goes on")),
        "{told:?}"
    );

    let halted = injector.once(&["halt", "--reason", "enough"])?;
    ensure!(halted.code == Some(0), "{halted:?}");
    victim.expect_calm("the victim, after the halt,")?;
    let record = injector.once(&["audit", &run])?;
    ensure!(
        record.stdout.contains("drawn by the schedule with seed")
            && record.stdout.contains("slow.yaml of 1, on cgroup"),
        "{record:?}"
    );
    daemon.interrupt()?;

    let resumed = injector.once(&["resume"])?;
    ensure!(resumed.code == Some(0), "{resumed:?}");
    configure(1)?;
    let daemon = injector.start_daemon()?;
    let next = eventually("the next start to be told", PATIENCE, || {
        let status = status(&injector)?;
        let schedule = &status["daemon"]["schedule"];
        ensure!(
            schedule["run"].is_null(),
            "a second one on this day: {status}"
        );
        Ok(schedule["next_unix_ms"].as_u64())
    })?;
    let told = injector.once(&["status"])?;
    ensure!(told.stdout.contains("the next is due at"), "{told:?}");
    // Behind the hours of today, which last for minutes.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let hours = next.saturating_sub(u64::try_from(now.as_millis())?) / 3_600_000;
    ensure!((20..=24).contains(&hours), "due in {hours} h");
    daemon.interrupt()?;
    Ok(())
}

/// With line and column, and nothing serves.
fn mistakes() -> Result<()> {
    let injector = Injector::new()?;
    let suite = injector.state().join("suite");
    fs::create_dir(&suite)?;
    let named = format!(
        "enabled = true\nunits = [\"a\"]\nsuite = \"{}\"\n",
        suite.display()
    );
    let none = "enabled = true\nunits = [\"a\"]\nsuite = \"/nowhere/suite\"\n";
    refused(
        &injector,
        none,
        ":7:9: the suite /nowhere/suite cannot be read",
    )?;
    refused(
        &injector,
        "enabled = true\n",
        ":5:11: a schedule needs experiments",
    )?;
    refused(
        &injector,
        "at_most_a_day = 0\n",
        ":5:17: a day has 1 to 1440 starts",
    )?;
    refused(
        &injector,
        "enabled = true\nsuite = \"/a\"\n",
        ":5:11: a schedule needs victims",
    )?;
    refused(&injector, &named, "has no experiment")?;
    let file = suite.join("two.yaml");
    fs::write(&file, EXPERIMENT.replace("} }", "}, b: { pid: 7 } }"))?;
    refused(&injector, &named, "two.yaml:2:10: a target was named")?;
    fs::write(&file, EXPERIMENT)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o646))?;
    refused(&injector, &named, ":7:9: ")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    fs::set_permissions(&suite, fs::Permissions::from_mode(0o777))?;
    refused(&injector, &named, "can be written by others than root")?;
    fs::set_permissions(&suite, fs::Permissions::from_mode(0o755))?;
    let link = injector.state().join("link");
    std::os::unix::fs::symlink(&suite, &link)?;
    let linked = format!(
        "enabled = true\nunits = [\"a\"]\nsuite = \"{}\"\n",
        link.display()
    );
    refused(&injector, &linked, "name the folder itself")?;
    let young = format!("{named}[journal]\nmax_age = \"1d\"\n");
    refused(&injector, &young, ":7:9: the schedule counts its starts")?;
    configure(&injector, &named)?;
    injector.start_daemon()?.interrupt()?;
    Ok(())
}

fn refused(injector: &Injector, keys: &str, part: &str) -> Result<()> {
    configure(injector, keys)?;
    let said: Finished = injector.once(&["daemon"])?;
    ensure!(
        said.code == Some(2) && said.stderr.contains(part),
        "not refused with `{part}`: {said:?}"
    );
    Ok(())
}

/// The section begins in line 4.
fn configure(injector: &Injector, keys: &str) -> Result<()> {
    injector.configure(&format!(
        "[daemon]\nenabled = true\nallow = [\"/\"]\n[schedule]\n{keys}"
    ))
}

fn status(injector: &Injector) -> Result<Value> {
    let said = injector.once(&["status", "--json"])?;
    serde_json::from_str(&said.stdout).with_context(|| format!("no status: {said:?}"))
}

/// Hours that are open for the next minutes, as the local clock has it.
fn open_now() -> Result<String> {
    let clock = |when: &str| -> Result<String> {
        let said = Command::new("date").args(["-d", when, "+%H:%M"]).output()?;
        Ok(String::from_utf8(said.stdout)?.trim().to_owned())
    };
    Ok(format!(
        "{{ from = \"{}\", until = \"{}\" }}",
        clock("now")?,
        clock("2 minutes")?
    ))
}
