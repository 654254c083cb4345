//! What the injector itself takes of a CPU while a target has very many sockets, when everything is armed.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use injector_tests::bench_table::Table;
use injector_tests::injector::{Companion, Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;

/// Processes of the target, and connections of each with itself: 20 000 sockets.
const HOLDERS: usize = 4;
const CONNECTIONS: &str = "2500";
/// What comes once, when the fault is new, is over by then.
const SETTLED: Duration = Duration::from_secs(10);
/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(20);
/// `USER_HZ`: what `/proc/PID/stat` counts in (proc(5)).
const TICKS: f64 = 100.0;

pub(crate) fn measure(injector: &Injector, table: &mut Table) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let mut holders = Vec::new();
    for _holder in 0..HOLDERS {
        let holding = ["hold-tcp", "--count", CONNECTIONS];
        holders.push(Victim::start(lab.agent(), &holding)?);
    }
    for (what, fault) in [
        ("net delay", &["net", "delay", "--latency", "10ms"][..]),
        // One that looks at each connection and lets nearly all be.
        ("net reset", &["net", "reset", "--dest-port", "9"]),
    ] {
        let armed = lab.arm(injector, fault)?;
        std::thread::sleep(SETTLED);
        let (before, began) = (used(&armed)?, Instant::now());
        std::thread::sleep(WATCHED);
        let share = (used(&armed)? - before) / TICKS / began.elapsed().as_secs_f64();
        armed.report()?;
        let row = format!("{what}, 20 000 sockets: of one CPU");
        table.bounded(&row, 100.0 * share, f64::NEG_INFINITY, 5.0, "%");
    }
    drop(holders);
    Ok(())
}

/// CPU time of all of the injector's processes so far, in ticks.
fn used(armed: &Running) -> Result<f64> {
    let mut all = vec![armed.pid()];
    for companion in [Companion::Worker, Companion::Guardian, Companion::Recorder] {
        all.push(armed.companion(companion)?);
    }
    let mut ticks = 0.0;
    for pid in all {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything; after it the state, which is field 3.
        let (_name, rest) = stat.rsplit_once(')').context("no stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        for field in [14, 15] {
            ticks += fields[field - 3].parse::<f64>()?;
        }
    }
    Ok(ticks)
}
