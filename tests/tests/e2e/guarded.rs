//! The injector guards itself: it keeps few privileges, stays in memory, tells systemd how it is, and is
//! not slowed by clients that play with its socket.

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::abuse;
use injector_tests::boot_clock::now_ns;
use injector_tests::bpf;
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::process_status::{self, kib};
use serde_json::Value;

use crate::needs::{INJECTOR, systemd_analyze};
use crate::probe::Probe;
use crate::suite::Case;

/// `CAP_IPC_LOCK` and others, from include/uapi/linux/capability.h.
mod capability {
    pub(super) const CHOWN: u64 = 0;
    pub(super) const DAC_OVERRIDE: u64 = 1;
    pub(super) const KILL: u64 = 5;
    pub(super) const NET_ADMIN: u64 = 12;
    pub(super) const NET_RAW: u64 = 13;
    pub(super) const IPC_LOCK: u64 = 14;
    pub(super) const SYS_PTRACE: u64 = 19;
    pub(super) const SYS_ADMIN: u64 = 21;
    pub(super) const SYS_RESOURCE: u64 = 24;
    pub(super) const PERFMON: u64 = 38;
    pub(super) const BPF: u64 = 39;
}

const SUPERVISOR: [u64; 5] = [
    capability::NET_ADMIN,
    capability::SYS_ADMIN,
    capability::SYS_PTRACE,
    capability::DAC_OVERRIDE,
    capability::KILL,
];
const WORKER_TOO: [u64; 5] = [
    capability::BPF,
    capability::PERFMON,
    capability::NET_RAW,
    capability::IPC_LOCK,
    capability::CHOWN,
];

/// Who make the flood, each with many connections; and how long it lasts: some leases.
const ABUSERS: u64 = 10;
const FLOOD: Duration = Duration::from_secs(6);
/// The lease is 2 s and renewed every 250 ms; a watchdog that is late by less than this is under control.
const LEAST_LEFT: Duration = Duration::from_secs(1);
/// 192 connections with a body of 256 KiB each would be 48 MiB; the rest is buffers.
const MOST_GROWTH_KIB: u64 = 80 * 1024;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("guard::{name}"), INJECTOR, run);
    vec![
        case("few_privileges_are_kept", few_privileges),
        case("a_missing_capability_is_named", missing_capability),
        case("a_flooded_socket_slows_no_lease", flooded_socket),
        case("systemd_is_told", systemd_is_told),
        Case::new("guard::the_unit_is_hardened", &[], the_unit_is_hardened)
            .also_needs(systemd_analyze),
    ]
}

/// A field of `/proc/PID/status`, or of that of a thread.
fn mask(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |mask, number| mask | 1 << number)
}

/// Every thread of a process has at most these capabilities and can get no more.
fn confined(pid: u32, allowed: u64) -> Result<()> {
    let ours = u64::from_str_radix(
        &process_status::field(Path::new("/proc/self"), "CapPrm")?,
        16,
    )?;
    let threads = fs::read_dir(format!("/proc/{pid}/task"))?;
    for thread in threads {
        let thread = thread?.path();
        for (field, expected) in [
            ("CapPrm", ours & allowed),
            ("CapEff", ours & allowed),
            ("CapInh", 0),
            ("CapBnd", 0),
            ("CapAmb", 0),
        ] {
            let set = u64::from_str_radix(&process_status::field(&thread, field)?, 16)?;
            let name = process_status::field(&thread, "Name")?;
            ensure!(
                set == expected,
                "{field} of {name} is {set:x}, not {expected:x}"
            );
        }
        ensure!(
            process_status::field(&thread, "NoNewPrivs")? == "1",
            "new privileges are possible"
        );
    }
    Ok(())
}

/// A process has what a worker has, and no more.
pub(crate) fn confined_as_a_worker(pid: u32) -> Result<()> {
    confined(pid, mask(&SUPERVISOR) | mask(&WORKER_TOO))
}

fn few_privileges() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &["net", "delay", "--latency", "50ms"])?;
    agent.look()?;
    let worker = armed.worker()?;
    confined(armed.pid(), mask(&SUPERVISOR))?;
    confined_as_a_worker(worker)?;
    // The program and its libraries are locked; the ring of held frames, 64 MiB, and the stacks are not.
    let locked = kib(worker, "VmLck")?;
    ensure!(
        (1024..64 * 1024).contains(&locked),
        "{locked} KiB are locked"
    );
    let score = |pid: u32| -> Result<i32> {
        let text = fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))?;
        Ok(text.trim().parse()?)
    };
    let scores = (score(armed.pid())?, score(worker)?);
    let finished = armed.interrupt()?;
    let ours = u64::from_str_radix(
        &process_status::field(Path::new("/proc/self"), "CapPrm")?,
        16,
    )?;
    if ours & mask(&[capability::SYS_RESOURCE]) == 0 {
        ensure!(
            finished.stderr.contains("CAP_SYS_RESOURCE"),
            "what this host withholds is not named: {finished:?}"
        );
    } else {
        ensure!(scores == (-1000, -900), "{scores:?}");
    }
    ensure!(finished.code == Some(0), "{finished:?}");
    Ok(())
}

/// A host that withholds something that a run can do without: it says so and goes on.
fn missing_capability() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let mut command = injector.command(&[
        "net",
        "blackhole",
        "--cgroup",
        &cgroup,
        "--duration",
        "300ms",
    ]);
    let withhold = || {
        // SAFETY: takes integers, and changes the process that is about to become the injector. Not even
        // root has at exec(2) what is not in the bounding set.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability::IPC_LOCK, 0, 0, 0) };
        if dropped == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    };
    // SAFETY: one system call, as between fork and exec.
    unsafe { command.pre_exec(withhold) };
    let finished = Running::spawn(command)?.wait()?;
    ensure!(finished.code == Some(0), "{finished:?}");
    ensure!(finished.stdout.contains("armed "), "{finished:?}");
    ensure!(
        finished.stderr.contains("withholds CAP_IPC_LOCK (to "),
        "{finished:?}"
    );
    Ok(())
}

/// What is left of the lease of the only run, in nanoseconds.
fn lease_left(map: u32) -> Result<u64> {
    Ok(bpf::first_u64(map)?.saturating_sub(now_ns()))
}

fn flooded_socket() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let daemon = injector.start_daemon()?;
    let armed = lab.arm(&injector, &["net", "blackhole"])?;
    let worker = daemon.worker()?;
    let lease = bpf::maps()?
        .into_iter()
        .find_map(|(id, name)| (name == "INJ_LEASE").then_some(id))
        .context("there is no lease")?;
    let descriptors =
        || Ok::<_, std::io::Error>(fs::read_dir(format!("/proc/{worker}/fd"))?.count());
    let (memory, open) = (kib(worker, "VmRSS")?, descriptors()?);
    let socket = injector.state().join("injector.sock");
    let over = AtomicBool::new(false);
    let (mut worst_left, mut most) = (u64::MAX, 0);
    thread::scope(|scope| -> Result<()> {
        for seed in 0..ABUSERS {
            let (socket, over) = (&socket, &over);
            scope.spawn(move || abuse::socket(socket, seed, over));
        }
        let end = Instant::now() + FLOOD;
        let watched = || -> Result<()> {
            while Instant::now() < end {
                worst_left = worst_left.min(lease_left(lease)?);
                most = most.max(kib(worker, "VmRSS")?);
                thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        }();
        over.store(true, Ordering::Relaxed);
        watched
    })?;
    println!(
        "under the flood at least {} ms of the lease were left, and the worker grew by {} KiB",
        worst_left / 1_000_000,
        most.saturating_sub(memory)
    );
    ensure!(
        u128::from(worst_left) > LEAST_LEFT.as_nanos(),
        "the lease came down to {worst_left} ns"
    );
    ensure!(
        most < memory + MOST_GROWTH_KIB,
        "the worker grew from {memory} to {most} KiB"
    );
    ensure!(agent.look()?.ok == 0, "the fault went with the flood");
    eventually(
        "all connections to be closed",
        Duration::from_secs(10),
        || Ok((descriptors()? <= open + 2).then_some(())),
    )?;
    let stopped = injector.once(&["stop", "--all"])?;
    ensure!(stopped.code == Some(0), "{stopped:?}");
    agent.expect_calm("the target, after the flood and stop,")?;
    armed.wait()?;
    daemon.interrupt()?;
    Ok(())
}

fn systemd_is_told() -> Result<()> {
    let injector = Injector::new()?;
    let path = injector.state().join("notify");
    let listener = UnixDatagram::bind(&path)?;
    listener.set_read_timeout(Some(Duration::from_secs(5)))?;
    let hear = || -> Result<String> {
        let mut word = [0; 64];
        let length = listener.recv(&mut word).context("systemd hears nothing")?;
        Ok(String::from_utf8_lossy(&word[..length]).into_owned())
    };
    let mut command = injector.command(&["daemon"]);
    command.env("NOTIFY_SOCKET", &path);
    let daemon = Running::spawn(command)?;
    let mut heard = vec![hear()?];
    while heard.iter().filter(|word| *word == "WATCHDOG=1").count() < 4 {
        heard.push(hear()?);
    }
    let ready = heard.iter().filter(|word| *word == "READY=1").count();
    ensure!(ready == 1, "{heard:?}");
    ensure!(
        UnixStream::connect(injector.state().join("injector.sock")).is_ok(),
        "ready without a socket"
    );
    daemon.interrupt()?;
    listener.set_nonblocking(true)?;
    let mut last = String::new();
    while let Ok(word) = hear() {
        last = if word == "WATCHDOG=1" { last } else { word };
    }
    ensure!(last == "STOPPING=1", "{last}");
    Ok(())
}

/// The unit is one that systemd understands, and rated no worse than a program that loads BPF programs must
/// be: root, and six capabilities that the rating dislikes most.
fn the_unit_is_hardened() -> Result<()> {
    const MOST_EXPOSED: f64 = 6.0;
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/injector.service");
    let text = fs::read_to_string(unit)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("injector.service");
    // `verify` wants the program to be there.
    fs::write(&path, text.replace("/usr/local/bin/injector", "/bin/true"))?;
    let analyze = |arguments: &[&str]| -> Result<std::process::Output> {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).arg(&path).env("SYSTEMD_PAGER", "");
        command
            .output()
            .context("systemd-analyze cannot be started")
    };
    let verified = analyze(&["verify"])?;
    let said = String::from_utf8_lossy(&verified.stderr);
    ensure!(
        verified.status.success() && said.trim().is_empty(),
        "{said}"
    );
    let rated = analyze(&["security", "--offline=true", "--json=short"])?;
    let rows: Vec<Value> = serde_json::from_slice(&rated.stdout)?;
    ensure!(rows.len() > 50, "{rows:?}");
    let overall = analyze(&["security", "--offline=true", "--no-pager"])?;
    let overall = String::from_utf8_lossy(&overall.stdout).into_owned();
    let level = overall
        .lines()
        .find(|line| line.contains("Overall exposure level"))
        .and_then(|line| {
            line.split(": ")
                .nth(1)?
                .split(' ')
                .next()?
                .parse::<f64>()
                .ok()
        })
        .with_context(|| overall.clone())?;
    ensure!(level <= MOST_EXPOSED, "the exposure level is {level}");
    Ok(())
}
