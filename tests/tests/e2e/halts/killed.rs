//! The process that is to become a probe's program is killed alone, before it is that program and after.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::held_exec::{self, HeldExec};
use injector_tests::injector::{Injector, Running, send};
use injector_tests::lab::{Family, Lab, Wire};
use rustix::process::Signal;

use super::{CUT, SOON, case, halted};
use crate::probe::{Observer, Probe};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("kill_9_of_a_helper_is_a_failure", failure).also_needs(held_exec::lacks),
        case("kill_9_of_a_probes_program_is_a_failure", program_killed),
        case(
            "kill_9_of_a_helper_once_of_twice_ends_nothing",
            once_of_twice,
        )
        .also_needs(held_exec::lacks),
        case("a_helper_that_hangs_is_a_failure", late).also_needs(held_exec::lacks),
    ]
}

/// A target that a fault cuts off, a neighbour, and a program of their own that a probe starts.
struct Stage {
    lab: Lab,
    agent: Observer,
    bystander: Observer,
    injector: Injector,
    program: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// The program is a copy of this one, which is called by its old name: busybox goes by it.
    fn with(program: &str) -> Result<Self> {
        let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
        let server = Probe::UdpPing.serve(&mut lab)?;
        let folder = tempfile::tempdir()?;
        let copy = folder
            .path()
            .join(Path::new(program).file_name().context("no name")?);
        fs::copy(program, &copy)?;
        Ok(Self {
            agent: Probe::UdpPing.observe(lab.agent(), server)?,
            bystander: Probe::UdpPing.observe(lab.bystander(), server)?,
            injector: Injector::configured("[daemon]\nenabled = true\nallow = [\"/\"]")?,
            program: copy,
            lab,
            _folder: folder,
        })
    }

    /// Cuts the agent off; the probe calls the program with these words.
    fn arm(&mut self, words: &[&str], how: &str, duration: &str) -> Result<Running> {
        let program = self.program.to_string_lossy();
        let line = serde_json::to_string(&[&[&*program], words].concat())?;
        let condition = format!("command {line} {how}");
        let cgroup = self.lab.cgroups.agent.path().to_string_lossy();
        let flags = [
            "--halt-if",
            &condition,
            "--cgroup",
            &cgroup,
            "--duration",
            duration,
            "--json",
        ];
        let armed = self.injector.arm(&[&CUT[..], &flags].concat())?;
        ensure!(self.agent.look()?.ok == 0, "the fault is not there");
        self.bystander.expect_calm("the bystander")?;
        Ok(armed)
    }

    /// All is as it was.
    fn expect_calm(&mut self, helper: u32) -> Result<()> {
        self.agent.expect_calm("the target, after the end,")?;
        self.bystander
            .expect_calm("the bystander, after the end,")?;
        eventually("the helper to be gone", SOON, || {
            Ok((!fs::exists(format!("/proc/{helper}"))?).then_some(()))
        })
    }

    /// The condition halts the run, for this reason.
    fn expect_halt(&mut self, armed: Running, helper: u32, why: &str) -> Result<()> {
        let report = halted(&armed.wait_within(SOON)?, "command [")?;
        let said = report["why"].as_str().unwrap_or_default();
        ensure!(said.contains(why), "{report}");
        self.expect_calm(helper)
    }
}

/// The next helper, which waits in execve(2).
fn helper(held: &HeldExec, armed: &Running) -> Result<u32> {
    let helper = held.next(SOON)?;
    let about = |name: &str| fs::read_to_string(format!("/proc/{helper}/{name}"));
    let words = about("cmdline")?;
    ensure!(words.split('\0').nth(1) == Some("exec-helper"), "{words:?}");
    let parent = format!("PPid:\t{}\n", armed.worker()?);
    ensure!(about("status")?.contains(&parent), "not the worker's");
    // It holds nothing of the run, and nothing that the caller of injector has left open.
    for descriptor in fs::read_dir(format!("/proc/{helper}/fd"))? {
        let descriptor = descriptor?;
        let number: u32 = descriptor.file_name().to_string_lossy().parse()?;
        let what = fs::read_link(descriptor.path())?;
        ensure!(
            number <= 2 && what == Path::new("/dev/null"),
            "{number} is {}",
            what.display()
        );
    }
    Ok(helper)
}

fn failure() -> Result<()> {
    let mut stage = Stage::with("/bin/true")?;
    let armed = stage.arm(&[], "fails 1 every 200ms within 5s", "60s")?;
    let held = HeldExec::of(&stage.program)?;
    let exec_helper = helper(&held, &armed)?;
    send(exec_helper, Signal::KILL)?;
    stage.expect_halt(armed, exec_helper, "signal 9 ended it")
}

fn program_killed() -> Result<()> {
    let mut stage = Stage::with("/bin/cat")?;
    let file = stage.program.with_file_name("file");
    fs::write(&file, "")?;
    let words = file.to_string_lossy().into_owned();
    let armed = stage.arm(&[&words], "fails 1 every 200ms within 10s", "60s")?;
    let pipe = stage.program.with_file_name("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
    ensure!(made.success(), "no pipe");
    fs::rename(pipe, &file)?;
    // It waits for a writer to the pipe.
    let program = eventually("the program to run", SOON, || {
        Ok(fs::read_dir("/proc")?.flatten().find_map(|entry| {
            let runs = fs::read_link(entry.path().join("exe")).ok()? == stage.program;
            let waits = fs::read_to_string(entry.path().join("syscall")).ok()?;
            // openat, by `syscall_64.tbl`.
            (runs && waits.starts_with("257 "))
                .then(|| entry.file_name().to_str()?.parse().ok())
                .flatten()
        }))
    })?;
    send(program, Signal::KILL)?;
    stage.expect_halt(armed, program, "signal 9 ended it")
}

/// The run goes on for as long as it was to, and no longer.
fn once_of_twice() -> Result<()> {
    const LASTS: Duration = Duration::from_secs(5);
    let mut stage = Stage::with("/bin/true")?;
    let began = Instant::now();
    let armed = stage.arm(&[], "fails 2 every 200ms within 5s", "5s")?;
    let held = HeldExec::of(&stage.program)?;
    let exec_helper = helper(&held, &armed)?;
    send(exec_helper, Signal::KILL)?;
    drop(held);
    // Longer than a lease.
    let until = began + LASTS.mul_f32(0.6);
    while Instant::now() < until {
        ensure!(stage.agent.look()?.ok == 0, "the fault has ended");
        stage
            .bystander
            .expect_calm("the bystander, after the death,")?;
    }
    let finished = armed.wait_within(SOON)?;
    let report = finished.report()?;
    ensure!(
        (finished.code, report.outcome.as_str()) == (Some(0), "completed"),
        "{finished:?}"
    );
    stage.expect_calm(exec_helper)
}

fn late() -> Result<()> {
    let mut stage = Stage::with("/bin/true")?;
    let armed = stage.arm(&[], "fails 1 every 200ms within 3s", "60s")?;
    let held = HeldExec::of(&stage.program)?;
    let exec_helper = helper(&held, &armed)?;
    stage.expect_halt(armed, exec_helper, "it took longer than 3s")
}
