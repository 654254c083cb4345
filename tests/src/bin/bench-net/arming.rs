//! How long a one-shot command takes from its start to its armed line.

use std::time::Instant;

use anyhow::Result;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;

use crate::table::Table;

const REPEATS: usize = 5;

pub(crate) fn measure(injector: &Injector, table: &mut Table) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let mut times = Vec::new();
    for _repeat in 0..REPEATS {
        let since = Instant::now();
        let armed = lab.arm(injector, &["net", "delay", "--latency", "1ms"])?;
        times.push(since.elapsed().as_secs_f64() * 1000.0);
        armed.report()?;
    }
    table.bounded(
        "armed after",
        median(&times),
        f64::NEG_INFINITY,
        1000.0,
        "ms",
    );
    Ok(())
}
