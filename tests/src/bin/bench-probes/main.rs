//! What probes cost the host: `cargo xtask bench probes`. Of each kind but commands, whose cost is that of the command, five
//! are asked every 100 ms, and the processor time of all of the injector's processes is counted for ten seconds, beside that
//! of a run which asks nothing. What is asked answers at once, so that no question waits.

mod web;

use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use injector_tests::bench_table::{Table, bench};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;

/// Probes of a kind.
const PROBES: u32 = 5;
/// How often each is asked.
const EVERY: &str = "100ms";
/// How long processor time is counted.
const COUNTED: Duration = Duration::from_secs(10);
/// What one may take, in percent of a core.
const MOST: f64 = 1.0;

fn main() -> ExitCode {
    bench(run)
}

fn run() -> Result<bool> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let resident = Victim::start(lab.agent(), &["sleep"])?;
    let injector = Injector::new()?;
    let (pid, port) = (resident.pid(), web::serve()?);
    let log = injector.state().join("service.log");
    fs::write(&log, "started\n")?;
    let log = log.display();
    let mut table = Table::default();
    table.promise("a probe costs the host under a percent of a core");
    let alone = cost(&injector, pid, None)?;
    table.told("a run without probes", format!("{alone:.2} % of a core"));
    for (what, asks) in [
        ("tcp", format!("tcp: \"127.0.0.1:{port}\"")),
        ("http", format!("http: \"http://127.0.0.1:{port}/\"")),
        (
            "http with a JSON path",
            format!("http: \"http://127.0.0.1:{port}/\", json: \"$.waiting < 10\""),
        ),
        ("file", format!("file: \"{log}\", absent: ERROR")),
        (
            "process",
            format!("process: {{ pid: {pid} }}, descriptors: < 200, rss: < 1 GiB"),
        ),
        (
            "prometheus",
            format!("prometheus: \"http://127.0.0.1:{port}\", query: up, is: \">= 1\""),
        ),
    ] {
        let each = (cost(&injector, pid, Some(&asks))? - alone) / f64::from(PROBES);
        let what = format!("a `{what}` every {EVERY}, one of {PROBES}");
        table.bounded(&what, each, f64::NEG_INFINITY, MOST, "% of a core");
    }
    print!("{}", table.markdown());
    Ok(table.all_hold())
}

/// What a run that asks this takes, in percent of a core.
fn cost(injector: &Injector, pid: u32, asks: Option<&str>) -> Result<f64> {
    let mut text = format!("name: cost\ntargets: {{ resident: {{ pid: {pid} }} }}\n");
    if let Some(asks) = asks {
        text += "probes:\n";
        for number in 0..PROBES {
            text.extend([format!(
                "  p{number}: {{ {asks}, every: {EVERY}, within: {EVERY} }}\n"
            )]);
        }
        let names: Vec<String> = (0..PROBES).map(|number| format!("p{number}")).collect();
        text.extend([format!("steady-state: [{}]\n", names.join(", "))]);
        text += "objectives: { rto: 5s }\nbaseline: 30s\nrecovery: 6s\n";
    }
    text += "steps: [ { name: on, duration: 30s, faults: [ net.delay: { latency: 1ms } ] } ]\n";
    let file = injector.state().join("cost.yaml");
    fs::write(&file, text)?;
    let run = injector.arm(&["run", &file.to_string_lossy(), "--json"])?;
    // Behind what is done once.
    thread::sleep(Duration::from_secs(2));
    let (before, begun) = (spent(run.pid())?, Instant::now());
    thread::sleep(COUNTED);
    let (ticks, took) = (spent(run.pid())? - before, begun.elapsed());
    run.interrupt()?;
    // USER_HZ is 100 on each architecture that is built for, so that a tick a second is a percent.
    Ok(f64::from(ticks) / took.as_secs_f64())
}

/// The processor time of a process and of all that it has started, in ticks (proc(5), `utime` and `stime`).
fn spent(root: u32) -> Result<u32> {
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // One that has ended meanwhile has none.
        if let Some(pid) = pid
            && let Ok(stat) = fs::read_to_string(entry.path().join("stat"))
        {
            processes.insert(pid, parent_and_ticks(&stat).context("no fields in a stat")?);
        }
    }
    let is_ours = |pid: u32| {
        let mut next = Some(pid);
        while let Some(pid) = next
            && pid != root
        {
            next = processes.get(&pid).map(|(parent, _)| *parent);
        }
        next.is_some()
    };
    let ours = processes.iter().filter(|(pid, _)| is_ours(**pid));
    Ok(ours.map(|(_, (_, ticks))| ticks).sum())
}

fn parent_and_ticks(stat: &str) -> Option<(u32, u32)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u32>().ok();
    Some((number(1)?, number(11)? + number(12)?))
}
