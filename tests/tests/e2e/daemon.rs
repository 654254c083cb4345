//! Commands through the daemon: the same faults, the same reports, and nothing left when it goes.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::{Cgroup, CgroupPair};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::netns::NetNs;
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use rustix::process::Signal;
use serde_json::Value;

use crate::lifecycle::id_of_only_run;
use crate::needs::{INJECTOR, INJECTOR_AND_NETNS};
use crate::probe::Probe;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("daemon::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("arms_lists_and_stops", arms_lists_and_stops),
        case("its_end_ends_its_faults", || ends_with(Signal::TERM)),
        case("the_death_of_its_worker_ends_its_faults", || {
            ends_with(Signal::KILL)
        }),
        case(
            "a_command_that_is_killed_takes_its_run_along",
            a_killed_command,
        ),
        case(
            "nothing_but_a_dead_socket_is_replaced",
            nothing_else_is_replaced,
        ),
        case(
            "a_run_names_its_configuration",
            a_run_names_its_configuration,
        ),
        case("status_is_json", status_is_json),
        Case::new(
            "daemon::a_namespace_goes_with_its_run",
            INJECTOR_AND_NETNS,
            a_namespace_goes_with_its_run,
        ),
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

/// A fault that a command has armed through the daemon ends with the daemon.
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

/// Two runs overlap, each on a container of its own. When the first container goes after its run, nothing of
/// the daemon's holds its network: the far end of its wire goes with it, while the second run goes on.
fn a_namespace_goes_with_its_run() -> Result<()> {
    let one = NetNs::create("one")?;
    let two = NetNs::create("two")?;
    let wire = format!(
        "link add wire type veth peer name wire netns {}\n",
        two.name()
    );
    one.batch(&wire)?;
    let cgroups = CgroupPair::create()?;
    let serve = |cgroup, netns| {
        let place = Place {
            cgroup: Some(cgroup),
            netns: Some(netns),
        };
        Victim::start(place, &["udp-echo", "--listen", "127.0.0.1:0"])
    };
    let first = serve(&cgroups.agent, &one)?;
    let _second = serve(&cgroups.bystander, &two)?;
    let injector = Injector::new()?;
    let daemon = injector.start_daemon()?;
    let arm = |cgroup: &Cgroup| {
        let path = cgroup.path().to_string_lossy().into_owned();
        let fault = ["net", "delay", "--latency", "10ms", "--direction", "both"];
        let rest = ["--cgroup", &path, "--duration", "60s", "--json"];
        injector.arm(&[&fault[..], &rest].concat())
    };
    let armed = arm(&cgroups.agent)?;
    let goes_on = arm(&cgroups.bystander)?;
    armed.report()?;
    drop(first);
    drop(one);
    eventually("the first network to go", Duration::from_secs(10), || {
        let links = Command::new("ip")
            .args(["-n", two.name(), "-o", "link"])
            .output()?;
        Ok((!String::from_utf8_lossy(&links.stdout).contains("wire")).then_some(()))
    })?;
    goes_on.report()?;
    daemon.interrupt()?;
    Ok(())
}

/// SIGKILL of the command that handed its run over: within a second nothing of it is left.
fn a_killed_command() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let daemon = injector.start_daemon()?;
    let armed = lab.arm(&injector, &["net", "blackhole"])?;
    ensure!(agent.look()?.ok == 0, "the fault is not there");
    let killed = Instant::now();
    armed.signal(Signal::KILL)?;
    eventually("the end of the run", Duration::from_secs(5), || {
        let status = injector.once(&["status", "--json"])?;
        let status: Value = serde_json::from_str(&status.stdout)?;
        Ok((status["running"] == serde_json::json!([])).then_some(()))
    })?;
    let took = killed.elapsed();
    // The command that asks takes its time as well.
    ensure!(
        took < Duration::from_secs(2),
        "the run went on for {took:?}"
    );
    agent.expect_calm("the target, after its command was killed,")?;
    let listed = injector.once(&["list", "--json"])?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    ensure!(listed[0]["outcome"] == "stopped", "{listed}");
    daemon.interrupt()?;
    Ok(())
}

/// What another program keeps at the socket's path stays, and so does what comes there while the daemon serves.
fn nothing_else_is_replaced() -> Result<()> {
    let injector = Injector::new()?;
    let socket = injector.state().join("injector.sock");
    fs::write(&socket, "precious")?;
    for command in [&["daemon"][..], &["status"]] {
        let said = injector.once(command)?;
        ensure!(said.code == Some(2), "{command:?}: {said:?}");
        ensure!(said.stderr.contains("is a file"), "{command:?}: {said:?}");
        ensure!(fs::read(&socket)? == b"precious", "{command:?} changed it");
    }
    fs::remove_file(&socket)?;
    let daemon = injector.start_daemon()?;
    fs::remove_file(&socket)?;
    fs::write(&socket, "precious")?;
    daemon.interrupt()?;
    ensure!(fs::read(&socket)? == b"precious", "the daemon removed it");
    Ok(())
}

fn a_run_names_its_configuration() -> Result<()> {
    let injector = Injector::new()?;
    let config = injector.state().join("own.toml");
    fs::write(&config, "[limits]\nmax_hits = 7\n")?;
    let mut target = Command::new("sleep").arg("60").spawn()?;
    let mut command = injector.command(&[
        "net",
        "blackhole",
        "--pid",
        &target.id().to_string(),
        "--duration",
        "100ms",
        "--config",
        config.to_str().context("the path is not UTF-8")?,
    ]);
    command.env("SUDO_UID", "4711");
    let said = Running::spawn(command)?.wait()?;
    target.kill()?;
    target.wait()?;
    ensure!(said.code == Some(0), "{said:?}");
    let listed = injector.once(&["list", "--json"])?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    let asked = &listed[0]["asked"];
    ensure!(
        asked["config"]["path"] == config.to_str().unwrap_or_default(),
        "{listed}"
    );
    // printf '[limits]\nmax_hits = 7\n' | sha256sum
    let sum = "11ed0502fd54ff27497aaa22b783cec94fd082916d403ffd6c06273caad429de";
    ensure!(asked["config"]["sha256"] == sum, "{listed}");
    // Where the kernel has noted a login, that counts.
    ensure!(asked["login_uid"].is_u64(), "{listed}");
    let told = injector.once(&["audit"])?;
    ensure!(told.stdout.contains(sum), "{told:?}");
    ensure!(told.stdout.contains("logged in as"), "{told:?}");
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
