//! The figures of network faults, as ratios from one run on one machine: `cargo xtask bench net`.
//!
//! Absolute numbers say more about the machine than about the injector. So each bound is on a ratio,
//! or on an addition, of two measurements made one right after the other; a few of them, the
//! median counts.

mod arming;
mod arrival_cost;
mod attached;
mod line;
mod many_sockets;
mod packet_cost;
mod round_trip;

use std::process::ExitCode;

use anyhow::Result;
use injector_tests::bench_table::{Table, bench};
use injector_tests::injector::Injector;
use injector_tests::snapshot::Snapshot;

type Part = fn(&Injector, &mut Table) -> Result<()>;

/// What is promised, and what measures it.
const PARTS: [(&str, Part); 8] = [
    ("A one-shot command is armed within 1 s", arming::measure),
    (
        "100 ms asked are 100 ms got, and the bystander is as fast as before",
        round_trip::measure,
    ),
    (
        "The delay line keeps 35 % of the throughput of TCP",
        line::throughput,
    ),
    (
        "The delay line keeps 50 % of the rate of small datagrams",
        line::datagrams,
    ),
    (
        "Who is not the target loses at most 3 % of request/response",
        attached::measure,
    ),
    (
        "A packet of who is not the target costs at most 100 ns, whatever the number of rules",
        packet_cost::measure,
    ),
    (
        "A packet that arrives for who is not the target costs at most 1 µs, where a fault is on what arrives",
        arrival_cost::measure,
    ),
    (
        "A target with 20 000 sockets costs at most 5 % of a CPU",
        many_sockets::measure,
    ),
];

fn main() -> ExitCode {
    bench(run)
}

fn run() -> Result<bool> {
    let before = Snapshot::take()?;
    // The bench measures what is possible, and that may be more than a host allows a run.
    let injector = Injector::configured(
        "[limits]\nmax_hits = 1000000000000\nmax_hit_rate = 1000000000\nmax_bytes = \"1024tib\"\n",
    )?;
    // All, or only those with this word in what they promise.
    let only = std::env::args().nth(1).unwrap_or_default();
    let mut table = Table::default();
    for (promise, part) in PARTS {
        if !promise.contains(&only) {
            continue;
        }
        table.promise(promise);
        // One part that cannot be measured is a failed row, not the end of the others.
        if let Err(error) = part(&injector, &mut table) {
            table.broken(&format!("{error:#}"));
        }
    }
    before.assert_same()?;
    print!("{}", table.markdown());
    Ok(table.all_hold())
}
