//! What the relay costs: `cargo xtask bench relay`. Requests one behind the other on a kept connection, directly, through the
//! relay, and through mitmproxy where that is on PATH, in turns; the processor time of each beside that of the server; and
//! thousands of streams at once.
//!
//! The fault that is armed means another model, so that the relay reads each request, asks its rule, and lets it by.

mod peer;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use injector_tests::bench_table::{Table, bench};
use injector_tests::injector::{Injector, relay};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::{median, millis};
use injector_tests::place::Place;
use injector_tests::process_status::{cpu_ticks, kib};
use injector_tests::victim::Victim;

use peer::Mitmproxy;

/// Requests of a round, and rounds of each way.
const REQUESTS: u64 = 1500;
const ROUNDS: usize = 5;
/// Streams at once.
const STREAMS: u64 = 2000;

/// What may be added to the median of a request, in milliseconds.
const ADDED_MS: f64 = 0.5;
/// What a request may cost the relay beside what it costs the server, and mitmproxy costs beside the relay.
const OF_SERVER: f64 = 1.0;
const OF_RELAY: f64 = 10.0;

fn main() -> ExitCode {
    bench(run)
}

fn run() -> Result<bool> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (server, address) = lab.server("completions", SocketAddr::new(lab.address(), 0))?;
    let mitmproxy = Mitmproxy::start(address)?;
    let mut direct = Way::new(lab.bystander(), address)?;
    let mut relayed = Way::new(lab.agent(), address)?;
    let mut proxied = mitmproxy
        .as_ref()
        .map(|it| Way::new(lab.bystander(), it.address))
        .transpose()?;
    let mut all = Streams::new(lab.agent(), address)?;
    let mut all_direct = Streams::new(lab.bystander(), address)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &["llm", "error", "--model", "another"])?;
    let relay = relay(armed.worker()?).context("there is no relay")?;
    for _ in 0..ROUNDS {
        direct.round(server.pid(), server.pid())?;
        relayed.round(relay, server.pid())?;
        if let (Some(proxied), Some(mitmproxy)) = (&mut proxied, &mitmproxy) {
            proxied.round(mitmproxy.pid(), server.pid())?;
        }
    }
    let mut table = Table::default();
    table.promise("the relay adds less than half a millisecond to a request");
    table.told("a request, median", format!("{:.3} ms", direct.p50()));
    table.told(
        "the same through the relay",
        format!("{:.3} ms", relayed.p50()),
    );
    let added = relayed.p50() - direct.p50();
    table.bounded("added by it", added, f64::NEG_INFINITY, ADDED_MS, "ms");
    table.promise(
        "a request costs the relay no more CPU than the server, and mitmproxy ten times that",
    );
    let (of_relay, of_server) = (relayed.cpu(), relayed.server_cpu());
    table.told("CPU of the server, a request", format!("{of_server:.1} us"));
    table.told("CPU of the relay, a request", format!("{of_relay:.1} us"));
    table.bounded(
        "CPU of the relay beside the server's",
        of_relay / of_server,
        f64::NEG_INFINITY,
        OF_SERVER,
        "times",
    );
    match &proxied {
        Some(proxied) => {
            table.told(
                "a request through mitmproxy, median",
                format!("{:.3} ms", proxied.p50()),
            );
            let times = proxied.cpu() / of_relay;
            let what = "CPU of mitmproxy beside the relay's";
            table.bounded(what, times, OF_RELAY, f64::INFINITY, "times");
        }
        None => table.told("mitmproxy", "mitmdump is not on PATH".to_owned()),
    }
    table.promise("two thousand streams at once go through it whole");
    let alone = all_direct.round()?;
    let together = all.round()?;
    table.told("all of them directly", format!("{:.0} ms", alone.1));
    table.told("through the relay", format!("{:.0} ms", together.1));
    #[expect(clippy::cast_precision_loss, reason = "a few thousands")]
    let whole = together.0 as f64;
    #[expect(clippy::cast_precision_loss, reason = "a few thousands")]
    let most = STREAMS as f64;
    table.bounded("streams that came whole", whole, most, most, "");
    table.told(
        "memory of the relay at most",
        format!("{} KiB", kib(relay, "VmHWM")?),
    );
    armed.interrupt()?;
    print!("{}", table.markdown());
    Ok(table.all_hold())
}

/// A client, and what its rounds came to.
struct Way {
    client: Victim,
    medians: Vec<f64>,
    /// Ticks of the proxy in between, or of the server where there is none, and of the server.
    ticks: (u64, u64),
}

impl Way {
    fn new(place: Place<'_>, server: SocketAddr) -> Result<Self> {
        let (server, count) = (server.to_string(), REQUESTS.to_string());
        let words = [
            "completions-client",
            "--connect",
            &server,
            "--wait",
            "--keep",
        ];
        let client = Victim::start(place, &[&words[..], &["--count", &count]].concat())?;
        Ok(Self {
            client,
            medians: Vec::new(),
            ticks: (0, 0),
        })
    }

    fn round(&mut self, between: u32, server: u32) -> Result<()> {
        let before = (cpu_ticks(between)?, cpu_ticks(server)?);
        let summary = self.client.round()?;
        ensure!(summary.ok == REQUESTS, "{summary:?}");
        self.medians.push(millis(summary.p50_ns));
        self.ticks.0 += cpu_ticks(between)? - before.0;
        self.ticks.1 += cpu_ticks(server)? - before.1;
        Ok(())
    }

    fn p50(&self) -> f64 {
        median(&self.medians)
    }

    /// Of who is in between, in microseconds a request.
    fn cpu(&self) -> f64 {
        a_request(self.ticks.0, self.medians.len())
    }

    fn server_cpu(&self) -> f64 {
        a_request(self.ticks.1, self.medians.len())
    }
}

/// In microseconds; a tick is 10 ms.
#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn a_request(ticks: u64, rounds: usize) -> f64 {
    ticks as f64 * 10_000.0 / (REQUESTS as f64 * rounds as f64)
}

/// A client that asks for all streams at once.
struct Streams(Victim);

impl Streams {
    fn new(place: Place<'_>, server: SocketAddr) -> Result<Self> {
        let (server, count) = (server.to_string(), STREAMS.to_string());
        let words = [
            "completions-client",
            "--connect",
            &server,
            "--wait",
            "--stream",
        ];
        let more = ["--at-once", "--count", &count, "--timeout", "60s"];
        Ok(Self(Victim::start(place, &[words, more].concat())?))
    }

    /// How many came whole, and the time of all of them in milliseconds.
    fn round(&mut self) -> Result<(u64, f64)> {
        let summary = self.0.round()?;
        Ok((summary.ok, millis(summary.elapsed_ns)))
    }
}
