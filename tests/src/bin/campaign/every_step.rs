//! kill -9 after each line of the journal: there is no step of arming or disarming in which death is not
//! tried.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Injector, send};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::ending::Ending;
use crate::oracle::{self, Outcome};

/// With host settings, with nothing to put back, and with a cgroup that stands still.
const FAULTS: [&str; 3] = [
    "net delay --latency 10ms",
    "net connect --errno EIO",
    "proc pause",
];
/// How long a line may take to come.
const SOON: Duration = Duration::from_secs(20);

/// Tries every step of every fault with every death, `rounds` times.
pub(crate) fn campaign(seed: u64, rounds: u64) -> Result<Outcome> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    for fault in FAULTS {
        let mut words: Vec<&str> = fault.split_whitespace().collect();
        words.extend(["--cgroup", &cgroup, "--duration", "200ms"]);
        let steps = steps_of(&words)?;
        outcome
            .figures
            .push(format!("{fault}: {steps} lines of a whole run"));
        for round in 0..rounds {
            for step in 1..=steps {
                for ending in Ending::KILLS {
                    let injector = Injector::new()?;
                    die(&injector, &words, step, ending, &mut outcome)?;
                    let what =
                        format!("{fault}, {ending:?} at line {step}, round {round}, seed {seed}");
                    outcome.check(&what, oracle::journals(&injector, 0));
                    outcome.check(&what, before.assert_same());
                    outcome.check(&what, goes_on(&lab));
                }
            }
        }
    }
    Ok(outcome)
}

/// The lines that a run's journal has in the end.
fn steps_of(words: &[&str]) -> Result<usize> {
    let injector = Injector::new()?;
    let finished = injector.once(words)?;
    ensure!(finished.code == Some(0), "{finished:?}");
    lines(&injector).context("it left no journal")
}

/// Nothing of the target stands still.
fn goes_on(lab: &Lab) -> Result<()> {
    let file = lab.cgroups.agent.path().join("cgroup.freeze");
    let frozen = fs::read_to_string(&file).context("no cgroup.freeze")?;
    ensure!(frozen.trim() == "0", "the target is frozen still");
    Ok(())
}

fn die(
    injector: &Injector,
    words: &[&str],
    step: usize,
    ending: Ending,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut running = injector.start_here(words)?;
    let (supervisor, worker) = (running.pid(), running.worker()?);
    let deadline = Instant::now() + SOON;
    // Not asleep: the step is to be met, and it is short.
    while lines(injector).unwrap_or(0) < step && running.is_running()? {
        ensure!(Instant::now() < deadline, "line {step} never came");
        std::hint::spin_loop();
    }
    // A process that is gone by now has won the race.
    let hit = match ending {
        Ending::SupervisorKilled => send(supervisor, Signal::KILL).is_ok(),
        Ending::BothKilled => {
            let both = [send(supervisor, Signal::KILL), send(worker, Signal::KILL)];
            both.iter().any(Result::is_ok)
        }
        _ => send(worker, Signal::KILL).is_ok(),
    };
    running.wait_within(SOON)?;
    outcome.runs += 1;
    outcome.hits += u64::from(hit);
    Ok(())
}

/// How many lines the newest journal has.
fn lines(injector: &Injector) -> Option<usize> {
    let runs = fs::read_dir(injector.state().join("runs")).ok()?;
    let is_run = |path: &PathBuf| {
        let is_kill_switch = path.file_stem().is_some_and(|stem| stem == "lever");
        path.extension().is_some_and(|ending| ending == "jsonl") && !is_kill_switch
    };
    let journal = runs.flatten().map(|entry| entry.path()).find(is_run)?;
    let text = fs::read(journal).ok()?;
    Some(text.split(|byte| *byte == b'\n').count() - 1)
}
