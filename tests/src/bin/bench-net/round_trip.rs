//! The round trip at 100 ms, and the bystander's in the same run.

use anyhow::Result;
use injector_tests::bench_table::Table;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::{median, millis};
use injector_tests::victim::Victim;

/// At 100 ms each: ten seconds, and a 99th percentile that is not the maximum.
const COUNT: &str = "110";
/// The bystander's own round trips meanwhile, a round of some half a second.
const BYSTANDER_COUNT: &str = "500";
/// Its rounds before and after the fault, each.
const QUIET_ROUNDS: usize = 4;
/// Its rounds beside the fault, which end before the target's do.
const BESIDE_ROUNDS: usize = 8;

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
    let mut quiet = medians(&mut bystander, QUIET_ROUNDS)?;
    let armed = lab.arm(injector, &["net", "delay", "--latency", "100ms"])?;
    agent.ask()?;
    let beside = medians(&mut bystander, BESIDE_ROUNDS)?;
    let late = agent.summary()?;
    armed.report()?;
    quiet.extend(medians(&mut bystander, QUIET_ROUNDS)?);
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
    let (before, during) = (median(&quiet), median(&beside));
    table.told(
        "bystander's p50 without and beside it",
        format!("{before:.4} and {during:.4} ms"),
    );
    let (least, most) = quiet
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(least, most), round| {
            (least.min(*round), most.max(*round))
        });
    table.told(
        "noise: its rounds without it, least and most",
        format!("{least:.4} and {most:.4} ms"),
    );
    // Two medians of some 10 us on a shared machine: a quarter is noise, the fault would be 10 000 times.
    table.bounded(
        "bystander's p50, change",
        (during / before - 1.0) * 100.0,
        f64::NEG_INFINITY,
        25.0,
        "%",
    );
    Ok(())
}

/// The median round trip of each of some rounds, in milliseconds.
fn medians(bystander: &mut Victim, rounds: usize) -> Result<Vec<f64>> {
    (0..rounds)
        .map(|_round| Ok(millis(bystander.round()?.p50_ns)))
        .collect()
}
