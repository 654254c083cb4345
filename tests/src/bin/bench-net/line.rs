//! What the delay line lets through: TCP and small datagrams at 1 ms against no fault at all.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use injector_tests::bench_table::Table;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;
use injector_tests::victim::Victim;

const REPEATS: usize = 5;
const MILLISECOND: [&str; 4] = ["net", "delay", "--latency", "1ms"];
/// Blocks of 256 KiB: 2 GiB unfaulted, a second or so; fewer through the line.
const BLOCKS: &str = "6000";
const LINE_BLOCKS: &str = "3000";
const DATAGRAMS: &str = "60000";

/// Gbit/s of TCP on loopback.
pub(crate) fn throughput(injector: &Injector, table: &mut Table) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let sink = lab.serve("tcp-sink")?.to_string();
    let (mut free, mut faulted, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _repeat in 0..REPEATS {
        let without = bulk(&lab, &sink, BLOCKS)?;
        let armed = lab.arm(injector, &MILLISECOND)?;
        let with = bulk(&lab, &sink, LINE_BLOCKS)?;
        armed.report()?;
        ratios.push(100.0 * with / without);
        free.push(without);
        faulted.push(with);
    }
    table.told(
        "TCP on loopback, free and at 1 ms",
        format!("{:.1} and {:.1} Gbit/s", median(&free), median(&faulted)),
    );
    let ratio = median(&ratios);
    table.bounded(
        "TCP at 1 ms against free, median of 5",
        ratio,
        35.0,
        f64::INFINITY,
        "%",
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for a rate")]
fn bulk(lab: &Lab, sink: &str, blocks: &str) -> Result<f64> {
    let arguments = [
        "tcp-bulk",
        "--connect",
        sink,
        "--count",
        blocks,
        "--size",
        "262144",
        "--timeout",
        "30s",
    ];
    let sent = Victim::start(lab.agent(), &arguments)?.summary()?;
    ensure!(sent.failures() == 0, "the stream broke: {:?}", sent.errors);
    Ok(sent.bytes as f64 * 8.0 / sent.elapsed_ns as f64)
}

/// 64-byte datagrams that arrive in a second.
pub(crate) fn datagrams(injector: &Injector, table: &mut Table) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (mut sink, address) = lab.server("udp-sink", SocketAddr::new(lab.address(), 0))?;
    let to = address.to_string();
    let (mut free, mut faulted, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _repeat in 0..REPEATS {
        let without = rate(&lab, &to, &mut sink)?;
        let armed = lab.arm(injector, &MILLISECOND)?;
        let with = rate(&lab, &to, &mut sink)?;
        armed.report()?;
        ratios.push(100.0 * with / without);
        free.push(without);
        faulted.push(with);
    }
    table.told(
        "64-byte datagrams, free and at 1 ms",
        format!("{:.0} and {:.0} /s", median(&free), median(&faulted)),
    );
    let ratio = median(&ratios);
    table.bounded(
        "datagrams at 1 ms against free, median of 5",
        ratio,
        50.0,
        f64::INFINITY,
        "%",
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for a rate")]
fn rate(lab: &Lab, to: &str, sink: &mut Victim) -> Result<f64> {
    let arguments = ["udp-blast", "--connect", to, "--count", DATAGRAMS];
    Victim::start(lab.agent(), &arguments)?.summary()?;
    let got = sink.round()?;
    ensure!(got.elapsed_ns > 0, "no datagram arrived");
    Ok(got.ok as f64 * 1e9 / got.elapsed_ns as f64)
}
