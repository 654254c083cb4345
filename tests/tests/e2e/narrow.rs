//! Faults on some of a call's uses: to one far end, on one kind of file.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::Cgroup;
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Report};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::observation::Summary;
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::needs::INJECTOR;
use crate::suite::Case;

/// Operations in a round.
const COUNT: u64 = 10;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("sys::{name}"), INJECTOR, run);
    vec![
        case("error_of_connect_to_one_port", || {
            to_one_port(Family::V4, "")
        }),
        case("error_of_connect_by_the_cgroup_v4", || {
            to_one_port(Family::V4, "--mechanism cgroup-sock-addr")
        }),
        case("error_of_connect_by_the_cgroup_v6", || {
            to_one_port(Family::V6, "--mechanism cgroup-sock-addr")
        }),
        case("connect_follows_a_cgroup_that_is_made_again", made_again),
        case("error_of_what_is_sent_to_one_port", sent_to_one_port),
        case("error_of_one_kind_of_file", one_kind),
    ]
}

/// Arms, lets `act` look, ends.
fn during<T>(lab: &Lab, words: &str, act: impl FnOnce() -> Result<T>) -> Result<(T, Report)> {
    let injector = Injector::new()?;
    let words: Vec<&str> = words.split_whitespace().collect();
    let running = lab.arm(&injector, &words)?;
    let seen = act()?;
    running.signal(Signal::INT)?;
    let report = running.wait()?.report()?;
    Ok((seen, report))
}

fn all(summary: &Summary, error: &str, who: &str) -> Result<()> {
    ensure!(summary.error(error) == COUNT, "{who}: {summary:?}");
    Ok(())
}

fn none(summary: &Summary, who: &str) -> Result<()> {
    ensure!(
        summary.ok == COUNT && summary.sent == COUNT,
        "{who}: {summary:?}"
    );
    Ok(())
}

/// The target connects to two ports, of which one is meant; its neighbour to that one.
fn to_one_port(family: Family, mechanism: &str) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, family)?;
    let (one, other) = (lab.serve("tcp-echo")?, lab.serve("tcp-echo")?);
    let client = |place, server: std::net::SocketAddr| {
        let (server, count) = (server.to_string(), COUNT.to_string());
        let words = ["connect", "--connect", &server, "--count", &count];
        Victim::start(place, &[&words[..], &["--wait"]].concat())
    };
    let mut meant = client(lab.agent(), one)?;
    let mut spared = client(lab.agent(), other)?;
    let mut bystander = client(lab.bystander(), one)?;
    none(&meant.round()?, "before")?;
    let words = format!(
        "sys error --syscall connect --errno ECONNREFUSED {mechanism} --dest-ip {} --dest-port {}",
        one.ip(),
        one.port()
    );
    let ((), report) = during(&lab, &words, || {
        all(&meant.round()?, "ECONNREFUSED", "the port that is meant")?;
        none(&spared.round()?, "another port")?;
        none(&bystander.round()?, "the bystander")
    })?;
    let fault = &report.faults[0];
    ensure!(
        fault.hit == COUNT && fault.matched == COUNT && fault.seen >= 2 * COUNT,
        "{report:?}"
    );
    none(&meant.round()?, "after")
}

/// The program is on the cgroup itself, which a restart takes away and makes again.
fn made_again() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let make = || lab.cgroups.agent.child("restarts");
    let client = |cgroup: &Cgroup| {
        let place = Place {
            cgroup: Some(cgroup),
            netns: None,
        };
        let count = COUNT.to_string();
        let words = ["connect", "--connect", &server, "--count", &count, "--wait"];
        Victim::start(place, &words)
    };
    let former = make()?;
    let path = former.path().to_string_lossy().into_owned();
    let mut first = client(&former)?;
    let injector = Injector::new()?;
    let fault = "sys error --syscall connect --errno ECONNREFUSED --mechanism cgroup-sock-addr";
    let mut words: Vec<&str> = fault.split_whitespace().collect();
    words.extend([
        "--fd-kind",
        "inet",
        "--duration",
        "60s",
        "--json",
        "--cgroup",
        &path,
    ]);
    let armed = injector.arm(&words)?;
    all(&first.round()?, "ECONNREFUSED", "the target")?;
    drop((first, former));
    let again = make()?;
    let mut second = client(&again)?;
    eventually("it to be met again", Duration::from_secs(5), || {
        let seen = second.round()?;
        Ok((seen.error("ECONNREFUSED") == COUNT).then_some(()))
    })?;
    armed.report()?;
    none(&second.round()?, "after")?;
    drop((second, again));
    Ok(())
}

/// Sockets that are connected are known by the peer that they are connected to.
fn sent_to_one_port() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (one, other) = (lab.serve("udp-echo")?, lab.serve("udp-echo")?);
    let client = |server: std::net::SocketAddr| {
        let (server, count) = (server.to_string(), COUNT.to_string());
        let words = ["udp-ping", "--connect", &server, "--count", &count];
        let rest = ["--timeout", "400ms", "--wait"];
        Victim::start(lab.agent(), &[&words[..], &rest].concat())
    };
    let (mut meant, mut spared) = (client(one)?, client(other)?);
    let words = format!(
        "sys error --syscall sendto,sendmsg,write --errno ENOBUFS --dest-port {}",
        one.port()
    );
    let ((), report) = during(&lab, &words, || {
        let met = meant.round()?;
        ensure!(met.ok == 0, "the port that is meant: {met:?}");
        none(&spared.round()?, "another port")
    })?;
    ensure!(report.faults[0].hit >= COUNT, "{report:?}");
    none(&meant.round()?, "after")
}

/// Files are meant; pipes, which are read by the same calls, are not.
fn one_kind() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let path = folder.path().join("file");
    fs::write(&path, "0123456789abcdef")?;
    let (path, count) = (path.to_string_lossy(), COUNT.to_string());
    let rest = ["--count", &count, "--wait"];
    let reads = ["file", "--path", &path, "--call", "read"];
    let speaks = ["plugin-speaker", "--between", "pipes"];
    let mut reader = Victim::start(lab.agent(), &[&reads[..], &rest].concat())?;
    let mut speaker = Victim::start(lab.agent(), &[&speaks[..], &rest].concat())?;
    let words = "sys error --syscall read,pread64 --errno EIO --fd-kind file";
    let ((), report) = during(&lab, words, || {
        all(&reader.round()?, "EIO", "files")?;
        none(&speaker.round()?, "pipes")
    })?;
    ensure!(report.faults[0].hit == COUNT, "{report:?}");
    none(&reader.round()?, "after")
}
