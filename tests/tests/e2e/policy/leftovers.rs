//! What dead runs have left is found and put back by `injector sweep`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::Cgroup;
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use rustix::process::Signal;
use serde_json::Value;

use crate::lifecycle::id_of_only_run;

use super::{DELAY, audit, types};

const ACCEPT_LOCAL: &str = "/proc/sys/net/ipv4/conf/lo/accept_local";

const ROUTE_LOCALNET: &str = "/proc/sys/net/ipv4/conf/lo/route_localnet";

fn accept_local() -> Result<String> {
    Ok(fs::read_to_string(ACCEPT_LOCAL)?.trim().to_owned())
}

/// Switched off while this lives, so that a run has both to change; then again what their host wants.
struct SettingsOff {
    before: [(&'static str, String); 2],
}

impl SettingsOff {
    fn new() -> Result<Self> {
        let of = |path| fs::read_to_string(path).map(|value| (path, value));
        let before = [of(ACCEPT_LOCAL)?, of(ROUTE_LOCALNET)?];
        for (path, _) in &before {
            fs::write(path, "0")?;
        }
        Ok(Self { before })
    }
}

impl Drop for SettingsOff {
    fn drop(&mut self) {
        for (path, value) in &self.before {
            // The snapshot around each test tells of one that failed.
            let _ = fs::write(path, value);
        }
    }
}

pub(super) fn double_kill() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let _off = SettingsOff::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    let id = id_of_only_run(&injector)?;
    // None is left that could restore anything.
    armed.kill_all()?;
    armed.wait_within(Duration::from_secs(5))?;
    let found = injector.once(&["sweep", "--dry-run"])?;
    ensure!(
        found.code == Some(0) && found.stdout.contains(&id),
        "{found:?}"
    );
    ensure!(
        accept_local()? == "1",
        "the dry run restored, or there was nothing to restore"
    );
    let swept = injector.once(&["sweep", "--json"])?;
    ensure!(swept.code == Some(0), "{swept:?}");
    let told: Value = serde_json::from_str(&swept.stdout)?;
    ensure!(told["leftovers"][0]["run"] == *id, "{told}");
    ensure!(told["leftovers"][0]["fate"] == "removed", "{told}");
    ensure!(accept_local()? == "0", "not restored");
    let again = injector.once(&["sweep"])?;
    ensure!(again.stdout.contains("nothing is left"), "{again:?}");
    let run = &audit(&injector, &[&id])?["runs"][0];
    ensure!(
        types(run).ends_with(&["restored", "restored", "aborted"]),
        "{run}"
    );
    Ok(())
}

/// What a run of an earlier version left frozen when all of its processes were killed: its journal is a fixture of
/// `injector-record`, and only the path of the cgroup is of today.
pub(super) fn of_a_former_version() -> Result<()> {
    const JOURNAL: &str =
        include_str!("../../../../injector/record/tests/former/runs/r6b0be05ec7a2.jsonl");
    const THERE: &str = "/sys/fs/cgroup/unified/fixture";
    let cgroup = Cgroup::create("former")?;
    let freezer = cgroup.path().join("cgroup.freeze");
    fs::write(&freezer, "1")?;
    let injector = Injector::new()?;
    let here = cgroup.path().to_str().context("an odd path")?;
    let journal: Vec<String> = JOURNAL
        .lines()
        .map(|line| {
            // The checksum is over all that stands before it.
            let (body, _) = line.rsplit_once(r#","crc""#).unwrap_or((line, ""));
            let body = body.replace(THERE, here);
            let sum = crc32fast::hash(body.as_bytes());
            format!("{body},\"crc\":\"{sum:08x}\"}}")
        })
        .collect();
    fs::create_dir_all(injector.runs())?;
    fs::write(
        injector.runs().join("r6b0be05ec7a2.jsonl"),
        journal.join("\n"),
    )?;
    let swept = injector.once(&["sweep"])?;
    ensure!(
        swept.code == Some(0) && swept.stdout.contains("r6b0be05ec7a2"),
        "{swept:?}"
    );
    let now = fs::read_to_string(&freezer)?;
    ensure!(now.trim() == "0", "the cgroup is frozen still: {swept:?}");
    Ok(())
}

/// A living run, a living daemon's socket: neither is a leftover. A dead one's socket is.
pub(super) fn sweep_files() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let daemon = injector.start_daemon()?;
    let armed = lab.arm(&injector, &DELAY)?;
    let none = injector.once(&["sweep"])?;
    ensure!(none.stdout.contains("nothing is left"), "{none:?}");
    armed.report()?;
    let worker = daemon.worker()?;
    daemon.signal(Signal::KILL)?;
    daemon.wait_within(Duration::from_secs(5))?;
    eventually("the worker to be gone", Duration::from_secs(5), || {
        Ok((!fs::exists(format!("/proc/{worker}"))?).then_some(()))
    })?;
    let socket = injector.state().join("injector.sock");
    let found = injector.once(&["sweep", "--dry-run"])?;
    ensure!(found.stdout.contains("injector.sock"), "{found:?}");
    ensure!(socket.exists(), "a dry run removed it");
    let swept = injector.once(&["sweep"])?;
    ensure!(swept.code == Some(0) && !socket.exists(), "{swept:?}");
    Ok(())
}
