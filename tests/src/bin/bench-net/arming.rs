//! How long a one-shot command takes from its start to its armed line.

use std::time::Instant;

use anyhow::{Context, Result};
use injector_tests::bench_table::Table;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;

const REPEATS: usize = 5;
/// One fault of each set of programs: what takes the time is the verifier.
const FAULTS: [&[&str]; 4] = [
    &["net", "delay", "--latency", "1ms", "--direction", "both"],
    &["net", "loss", "--percent", "1%", "--direction", "both"],
    &["net", "reset"],
    &["net", "connect", "--errno", "ECONNREFUSED"],
];

pub(crate) fn measure(injector: &Injector, table: &mut Table) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    for fault in FAULTS {
        let mut times = Vec::new();
        for _repeat in 0..REPEATS {
            let since = Instant::now();
            let armed = lab.arm(injector, fault)?;
            times.push(since.elapsed().as_secs_f64() * 1000.0);
            armed.report()?;
        }
        let name = fault.get(1).context("a fault has a name")?;
        table.bounded(
            &format!("net {name} armed after"),
            median(&times),
            f64::NEG_INFINITY,
            1000.0,
            "ms",
        );
    }
    Ok(())
}
