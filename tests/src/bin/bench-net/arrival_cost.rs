//! What a packet costs that arrives for a bystander, by the kernel's own BPF statistics.
//!
//! Programs where packets arrive have to look the socket up, so they are attached only for faults on what the
//! target receives. Measured on a veth device: on `lo` nothing has to be proven about who gets a packet.

use anyhow::{Context, Result};
use injector_tests::bench_table::Table;
use injector_tests::bpf::{self, Charge};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;
use injector_tests::victim::Victim;

/// Rounds of some 5 ms, in which a busy machine mostly lets us be.
const ROUNDS: usize = 60;
const ROUND_TRIPS: &str = "500";
const FAULT: [&str; 8] = [
    "net",
    "corrupt",
    "--mode",
    "payload",
    "--percent",
    "1%",
    "--direction",
    "ingress",
];

pub(crate) fn measure(injector: &Injector, table: &mut Table) -> Result<()> {
    let mut lab = Lab::new(Wire::Veth, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let ping = ["tcp-ping", "--connect", &server, "--wait"];
    let arguments = [&ping[..], &["--count", ROUND_TRIPS]].concat();
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let mut bystander = Victim::start(lab.bystander(), &arguments)?;
    let statistics = bpf::enable_statistics()?;
    let armed = lab.arm(injector, &FAULT)?;
    bystander.round()?;
    let mut costs = Vec::new();
    for _round in 0..ROUNDS {
        let before = charged()?;
        bystander.round()?;
        let cost = charged()?.mean_since(before);
        costs.push(cost.context("no packet passed the program")?);
    }
    drop(statistics);
    armed.report()?;
    table.bounded(
        "attached, not targeted: cost of a packet that arrives",
        median(&costs),
        f64::NEG_INFINITY,
        1_000.0,
        "ns",
    );
    Ok(())
}

fn charged() -> Result<Charge> {
    bpf::programs()?
        .into_iter()
        .find(|program| program.name == "inj_ingress")
        .map(|program| program.charge)
        .context("the injector has loaded no program for ingress")
}
