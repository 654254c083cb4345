//! The figures of many stored runs: `cargo xtask bench store`. A hundred thousand journals of judged runs, each of some
//! 2 KiB, of five hundred experiments; and what `injector list`, `injector lessons` and the start of a run take then.
//!
//! Each command is a process of its own, as a person starts it. Its processor time counts, which other work on this host
//! does not lengthen, and the median of its times by the clock stands beside. The journals are written without a sync for each record, which is all that they have in common with no real run.

mod journals;

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use injector_tests::bench_table::{Table, bench};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;
use injector_tests::victim::Victim;

/// Stored runs.
const RUNS: u32 = 100_000;
/// Commands of each kind.
const TURNS: usize = 9;
/// What `injector list` may take, in milliseconds.
const MOST_LIST: f64 = 100.0;
/// What `injector lessons` may take.
const MOST_LESSONS: f64 = 1_000.0;
/// What the start of a run may take longer than without stored runs, beside its half.
const MOST_START: f64 = 500.0;
/// The length of a run, which is no part of what its start takes.
const LENGTH_MS: f64 = 500.0;

fn main() -> ExitCode {
    bench(run)
}

fn run() -> Result<bool> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let resident = Victim::start(lab.agent(), &["sleep"])?;
    let pid = resident.pid().to_string();
    let start = [
        "net",
        "delay",
        "--latency",
        "1ms",
        "--pid",
        &pid,
        "--duration",
        "500ms",
    ];
    let keep_all = "[journal]\nkeep = 1000000\n";
    let empty = Injector::configured(keep_all)?;
    let without = took(&empty, &start, 0)? - LENGTH_MS;
    let injector = Injector::configured(keep_all)?;
    let journals = journals::store(&injector.runs(), RUNS)?;
    let mut table = Table::default();
    table.promise("a hundred thousand stored runs are listed and learnt from without waiting");
    table.told("stored runs", RUNS.to_string());
    table.told("bytes of a journal", journals.bytes_each.to_string());
    let begun = Instant::now();
    // Longer than the harness waits for a command.
    let swept = injector.command(&["sweep"]).output()?;
    ensure!(swept.status.success(), "{swept:?}");
    let first = begun.elapsed().as_secs_f64();
    table.told(
        "the first `sweep`, which reads all of them",
        format!("{first:.0} s"),
    );
    let (_, shown) = once(&injector, &["list"], 0)?;
    let older = format!("{} older runs", RUNS - 20);
    ensure!(shown.contains(&older), "no {older} in {shown}");
    bounded(&mut table, &injector, "`list`", (&["list"], 0), MOST_LIST)?;
    let (_, told) = once(&injector, &["lessons"], 0)?;
    let lessons = format!("{} lessons, {} open", journals.lessons, journals.open);
    ensure!(
        told.contains(&lessons),
        "no {lessons} in {}",
        told.lines().next().unwrap_or_default()
    );
    for (what, arguments, code) in [
        ("`lessons`", &["lessons"][..], 0),
        ("`lessons --open`", &["lessons", "--open"], 1),
    ] {
        bounded(&mut table, &injector, what, (arguments, code), MOST_LESSONS)?;
    }
    let last = took(&injector, &["report", "last"], 0)?;
    table.told("`report last`", format!("{last:.1} ms"));
    let (all, _) = once(&injector, &["list", "--all"], 0)?;
    table.told("`list --all`", format!("{all:.0} ms"));
    table.told(
        "start and end of a run, none stored",
        format!("{without:.0} ms"),
    );
    let with = took(&injector, &start, 0)? - LENGTH_MS;
    table.told("the same with all of them", format!("{with:.0} ms"));
    table.bounded(
        "what they cost a run",
        with - without,
        f64::NEG_INFINITY,
        MOST_START,
        "ms",
    );
    print!("{}", table.markdown());
    Ok(table.all_hold())
}

/// What a command takes of a processor, which has a bound in milliseconds, and by the clock.
fn bounded(
    table: &mut Table,
    injector: &Injector,
    what: &str,
    (arguments, code): (&[&str], i32),
    most: f64,
) -> Result<()> {
    let before = of_children()?;
    let clock = took(injector, arguments, code)?;
    let turns = u32::try_from(TURNS)?;
    let spent = (of_children()? - before) / f64::from(turns);
    table.bounded(what, spent, f64::NEG_INFINITY, most, "ms");
    table.told("... by the clock", format!("{clock:.0} ms"));
    Ok(())
}

/// The processor time of all processes that this one has waited for, in milliseconds (proc(5), `cutime` and `cstime`).
fn of_children() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat
        .rsplit_once(')')
        .context("no name in /proc/self/stat")?;
    let ticks = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(str::parse::<u32>);
    let ticks = ticks.sum::<Result<u32, _>>()?;
    // USER_HZ is 100 on each architecture that is built for.
    Ok(f64::from(ticks) * 10.0)
}

/// The median time of a command, in milliseconds.
fn took(injector: &Injector, arguments: &[&str], code: i32) -> Result<f64> {
    let mut times = Vec::new();
    for _turn in 0..TURNS {
        times.push(once(injector, arguments, code)?.0);
    }
    Ok(median(&times))
}

/// What one took, and what it said.
fn once(injector: &Injector, arguments: &[&str], code: i32) -> Result<(f64, String)> {
    let begun = Instant::now();
    let said = injector.once(arguments)?;
    let millis = begun.elapsed().as_secs_f64() * 1_000.0;
    ensure!(said.code == Some(code), "{arguments:?}: {said:?}");
    Ok((millis, said.stdout))
}
