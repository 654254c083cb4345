//! `injector demo`: what it shows, and what keeps it from showing anything.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use injector_tests::injector::{Finished, Injector};
use injector_tests::lack::Lack;
use rustix::process::Signal;

use crate::needs::INJECTOR;
use crate::suite::Case;

const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("demo::every_check_holds", INJECTOR, every_check_holds),
        Case::new(
            "demo::a_naive_agent_has_flaws_and_a_careful_one_none",
            INJECTOR,
            agents,
        ),
        Case::new(
            "demo::agents_of_a_demo_that_is_killed_end_with_their_runs",
            INJECTOR,
            killed,
        ),
        Case::new(
            "demo::a_fault_without_effect_fails",
            INJECTOR,
            a_fault_without_effect,
        ),
        Case::new(
            "demo::the_kill_switch_holds",
            INJECTOR,
            the_kill_switch_holds,
        ),
    ]
}

/// A page of output, one row for each phase, every check good, and each run on record.
fn every_check_holds() -> Result<()> {
    let injector = Injector::new()?;
    let said = injector.once(&["demo"])?;
    if let Some(lack) = Lack::find(said.code, &said.stderr) {
        return Err(lack.into());
    }
    ensure!(said.code == Some(0) && said.stderr.is_empty(), "{said:?}");
    ensure!(said.stdout.lines().count() <= 40, "{}", said.stdout);
    for wanted in [
        "  before ",
        "  after ",
        "  ok   the target met net ",
        "  ok   the bystander felt nothing",
        "  ok   the target is as before",
        "  ok   nothing is left behind",
    ] {
        ensure!(said.stdout.contains(wanted), "no {wanted:?} in {said:?}");
    }
    let shown = said.stdout.matches("$ injector ").count();
    let on_record = injector.once(&["list", "--all", "--json"])?;
    let runs: Vec<serde_json::Value> = serde_json::from_str(&on_record.stdout)?;
    ensure!(runs.len() == shown, "{shown} faults shown: {on_record:?}");
    Ok(())
}

/// What the table says of both agents, fault by fault; rows of 80 columns at most.
fn agents() -> Result<()> {
    let injector = Injector::new()?;
    let said = injector.once(&["demo", "agent"])?;
    if let Some(lack) = Lack::find(said.code, &said.stderr) {
        return Err(lack.into());
    }
    ensure!(said.code == Some(0) && said.stderr.is_empty(), "{said:?}");
    let widest = said.stdout.lines().map(|line| line.chars().count()).max();
    ensure!(widest <= Some(80), "{widest:?}: {}", said.stdout);
    for (fault, naive, careful) in [
        ("none that bites", "nothing to say", "nothing to say"),
        ("llm rate-limit", "ignored-retry-after", "made-good"),
        ("llm error 500", "retry-storm", "stopped after 3 tries"),
        ("llm overload, mid-stream", "gave-up", "made-good"),
        ("llm cut, clean", "accepted-truncation", "made-good"),
        ("llm cut, dirty", "gave-up", "made-good"),
        ("tool corrupt, half JSON", "duplicate-effect", "made-good"),
        ("tool is-error", "retry-storm", "no flaw"),
        ("tool empty", "no-progress", "no flaw"),
        ("llm timeout", "hung", "made-good"),
        ("tool timeout", "hung", "made-good"),
    ] {
        let mut rows = said.stdout.lines();
        let row = rows.find(|row| row.trim_start().starts_with(fault));
        let words = |row: &str| {
            let rest = row.trim_start().strip_prefix(fault)?.trim();
            let (left, right) = rest.split_once("  ")?;
            Some((left.trim() == naive, right.trim() == careful))
        };
        ensure!(
            row.and_then(words) == Some((true, true)),
            "{fault}: {row:?} in {}",
            said.stdout
        );
    }
    ensure!(
        said.stdout.matches("  ok  ").count() == 6,
        "{}",
        said.stdout
    );
    Ok(())
}

/// A demo is killed once its runs are armed, two of which would stand still for longer than is waited for here.
fn killed() -> Result<()> {
    const RUNS: usize = 4;
    const ARMS: Duration = Duration::from_secs(30);
    const SOON: Duration = Duration::from_secs(6);
    let injector = Injector::new()?;
    let mut demo = injector.start_here(&["demo", "agent"])?;
    let runs = || -> Result<usize> {
        let listed = injector.once(&["list", "--json"])?.stdout;
        let runs: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
        Ok(runs.iter().filter(|run| run["state"] == "running").count())
    };
    let until = Instant::now() + ARMS;
    while runs()? < RUNS {
        if !demo.is_running()? {
            let ended = demo.wait()?;
            if let Some(lack) = Lack::find(ended.code, &ended.stderr) {
                return Err(lack.into());
            }
            anyhow::bail!("it has ended: {ended:?}");
        }
        ensure!(Instant::now() < until, "it arms nothing");
        thread::sleep(LOOK_EVERY);
    }
    demo.signal(Signal::KILL)?;
    let until = Instant::now() + SOON;
    while runs()? > 0 {
        ensure!(Instant::now() < until, "runs are left");
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// A host that allows one hit: the demo shows it, and does not call it a success.
fn a_fault_without_effect() -> Result<()> {
    let injector = Injector::new()?;
    let file = injector.state().join("one-hit.toml");
    std::fs::write(&file, "[limits]\nmax_hits = 1\n")?;
    let said = injector.once(&["demo", "--config", &file.to_string_lossy()])?;
    if let Some(lack) = Lack::find(said.code, &said.stderr) {
        return Err(lack.into());
    }
    let fails = said.stdout.contains("  FAIL the target met net ");
    let nothing_left = said.stdout.contains("  ok   nothing is left behind");
    ensure!(said.code == Some(1) && fails && nothing_left, "{said:?}");
    Ok(())
}

/// Runs of the demo are runs like others.
fn the_kill_switch_holds() -> Result<()> {
    let injector = Injector::new()?;
    injector.once(&["halt", "--reason", "a test"])?;
    let said: Finished = injector.once(&["demo"])?;
    let is_refused = said.code == Some(2) && said.stderr.contains("injector resume");
    ensure!(is_refused && said.stdout.is_empty(), "{said:?}");
    Ok(())
}
