//! The round trip at 100 ms, and the bystander's in the same run.

use anyhow::Result;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::millis;
use injector_tests::victim::Victim;

use crate::table::Table;

/// At 100 ms each: ten seconds, and a 99th percentile that is not the maximum.
const COUNT: &str = "110";
/// The bystander does its own rounds meanwhile.
const BYSTANDER_COUNT: &str = "2000";

pub(crate) fn measure(injector: &Injector, table: &mut Table) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let ping = |place, count| {
        let arguments = [
            "tcp-ping",
            "--connect",
            &server,
            "--count",
            count,
            "--interval",
            "1ms",
            "--wait",
        ];
        Victim::start(place, &arguments)
    };
    let mut agent = ping(lab.agent(), COUNT)?;
    let mut bystander = ping(lab.bystander(), BYSTANDER_COUNT)?;
    let quiet = bystander.round()?;
    let armed = lab.arm(injector, &["net", "delay", "--latency", "100ms"])?;
    agent.ask()?;
    let beside = bystander.round()?;
    let late = agent.summary()?;
    armed.report()?;
    table.bounded(
        "TCP round trip at 100 ms, p50",
        millis(late.p50_ns),
        100.0,
        101.5,
        "ms",
    );
    table.bounded(
        "TCP round trip at 100 ms, p99",
        millis(late.p99_ns),
        f64::NEG_INFINITY,
        105.0,
        "ms",
    );
    let change = (millis(beside.p50_ns) / millis(quiet.p50_ns) - 1.0) * 100.0;
    table.told(
        "bystander's p50 before and beside it",
        format!(
            "{:.3} and {:.3} ms",
            millis(quiet.p50_ns),
            millis(beside.p50_ns)
        ),
    );
    // Two medians of some 40 us on a shared machine: a quarter is noise, the fault would be 2000 times.
    table.bounded(
        "bystander's p50, change",
        change,
        f64::NEG_INFINITY,
        25.0,
        "%",
    );
    Ok(())
}
