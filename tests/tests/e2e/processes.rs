//! Faults on processes as wholes: those that are meant feel them, those beside them do not, and whatever
//! stands still or starves is released, however the injector ends.

mod at_call;
mod kill;
mod pause;
mod starve;

use std::time::Duration;

use anyhow::{Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::counter::Counter;
use injector_tests::injector::{Injector, Report, Running, send};
use injector_tests::place::Place;
use rustix::process::Signal;

use crate::suite::Case;

/// How long a process may take to feel what was done to it, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn cases() -> Vec<Case> {
    [
        kill::cases(),
        at_call::cases(),
        pause::cases(),
        starve::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A process that counts in the agent's cgroup, and one in its sibling.
struct Stage {
    agent: Counter,
    bystander: Counter,
    // Last: cgroups go when no process is in them.
    cgroups: CgroupPair,
}

impl Stage {
    fn new() -> Result<Self> {
        let cgroups = CgroupPair::create()?;
        Ok(Self {
            agent: Counter::start(agent(&cgroups))?,
            bystander: Counter::start(Place {
                cgroup: Some(&cgroups.bystander),
                netns: None,
            })?,
            cgroups,
        })
    }

    /// Another process in the agent's cgroup.
    fn another(&self) -> Result<Counter> {
        Counter::start(agent(&self.cgroups))
    }

    /// The words that choose the agent's cgroup.
    fn by_cgroup(&self) -> [String; 2] {
        let path = self.cgroups.agent.path().to_string_lossy().into_owned();
        ["--cgroup".into(), path]
    }

    /// The words that choose the agent by process.
    fn by_pid(&self) -> [String; 2] {
        ["--pid".into(), self.agent.pid().to_string()]
    }
}

fn agent(cgroups: &CgroupPair) -> Place<'_> {
    Place {
        cgroup: Some(&cgroups.agent),
        netns: None,
    }
}

/// Arms `proc WORDS` on a target.
fn arm(injector: &Injector, words: &str, target: &[String; 2]) -> Result<Running> {
    let words = format!("proc {words} --json");
    let mut arguments: Vec<&str> = words.split_whitespace().collect();
    arguments.extend(target.iter().map(String::as_str));
    injector.arm(&arguments)
}

/// Waits for the end by duration, and gives the report.
fn report(running: Running) -> Result<Report> {
    let finished = running.wait()?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let report = finished.report()?;
    ensure!(report.undo_errors.is_empty(), "{report:?}");
    Ok(report)
}

/// Kills supervisor and worker at once: the guardian is left.
fn kill_both(running: Running) -> Result<()> {
    let worker = running.worker()?;
    running.signal(Signal::KILL)?;
    // Fails where it went with its parent already.
    let _gone_already = send(worker, Signal::KILL);
    running.wait_within(SOON)?;
    Ok(())
}

/// Kills all of injector's processes at once: none is left.
fn kill_all(running: Running) -> Result<()> {
    running.kill_all()?;
    running.wait_within(SOON)?;
    Ok(())
}

/// The next start of any command that arms: it hits no process, and sweeps up.
fn next_start(injector: &Injector, target: &[String; 2]) -> Result<()> {
    let running = arm(injector, "kill --percent 0% --duration 100ms", target)?;
    let report = report(running)?;
    ensure!(report.faults[0].hit == 0, "{report:?}");
    Ok(())
}
