//! Every network fault: how it is asked for, how it is seen, and how a filter keeps it away.

use anyhow::{Result, ensure};
use injector_tests::observation::Summary;

use crate::probe::Probe;

const MS: u64 = 1_000_000;

/// One way to ask for a fault.
pub(crate) struct Fault {
    /// For the test's name.
    pub(crate) name: &'static str,
    /// The command line; `PEER` stands for the server's address.
    pub(crate) ask: Vec<&'static str>,
    /// The same with a filter that does not match the probe.
    pub(crate) elsewhere: Vec<&'static str>,
    /// What to look with.
    pub(crate) probe: Probe,
    /// Whether the round was what the fault makes of it.
    pub(crate) felt: fn(&Summary) -> Result<()>,
}

impl Fault {
    /// The command, `net delay`; with its mode where modes have mechanisms of their own.
    pub(crate) fn kind(&self) -> String {
        let mode = self.ask.iter().position(|word| *word == "--mode");
        let words = self.ask.iter().take(2);
        let mode = mode.and_then(|place| self.ask.get(place..place + 2));
        let words = words.chain(mode.unwrap_or_default());
        words.copied().collect::<Vec<_>>().join(" ")
    }
}

/// A fault that a filter by port keeps away.
fn fault(
    name: &'static str,
    probe: Probe,
    ask: &[&'static str],
    felt: fn(&Summary) -> Result<()>,
) -> Fault {
    let elsewhere = match probe {
        Probe::Icmp => [ask, &["--protocol", "tcp"]].concat(),
        _ports => [ask, &["--dest-port", "9"]].concat(),
    };
    Fault {
        name,
        ask: ask.to_vec(),
        elsewhere,
        probe,
        felt,
    }
}

/// Look-ups that are late, which a filter by name keeps away.
fn dns_delay() -> Fault {
    let with = |glob| vec!["dns", "delay", "--latency", "100ms", "--hostname", glob];
    Fault {
        name: "dns_delay",
        ask: with("*.example.com"),
        elsewhere: with("*.example.org"),
        probe: Probe::Dns,
        felt: |s| later_by(s, 100),
    }
}

/// A DNS fault, which a filter by name keeps away.
fn dns_fault(name: &'static str, kind: &'static str, felt: fn(&Summary) -> Result<()>) -> Fault {
    let with = |glob| vec!["dns", "error", "--type", kind, "--hostname", glob];
    let (ask, elsewhere) = (with("*.example.com"), with("*.example.org"));
    Fault {
        name,
        ask,
        elsewhere,
        probe: Probe::Dns,
        felt,
    }
}

/// All of them.
pub(crate) fn faults() -> Vec<Fault> {
    [delays(), losses(), damages(), floods(), cuts(), lookups()]
        .into_iter()
        .flatten()
        .collect()
}

fn delays() -> Vec<Fault> {
    const ASK: [&str; 4] = ["net", "delay", "--latency", "100ms"];
    const INGRESS: [&str; 6] = [
        "net",
        "delay",
        "--latency",
        "100ms",
        "--direction",
        "ingress",
    ];
    const BOTH: [&str; 6] = ["net", "delay", "--latency", "100ms", "--direction", "both"];
    const JITTER: [&str; 8] = [
        "net",
        "delay",
        "--latency",
        "100ms",
        "--jitter",
        "80ms",
        "--distribution",
        "uniform",
    ];
    vec![
        fault("delay_tcp", Probe::TcpPing, &ASK, |s| later_by(s, 100)),
        fault("delay_udp", Probe::UdpPing, &ASK, |s| later_by(s, 100)),
        fault("delay_icmp", Probe::Icmp, &ASK, |s| later_by(s, 100)),
        fault("delay_connect", Probe::Connect, &ASK, |s| later_by(s, 100)),
        fault("delay_ingress_tcp", Probe::TcpPing, &INGRESS, |s| {
            later_by(s, 100)
        }),
        fault("delay_ingress_udp", Probe::UdpPing, &INGRESS, |s| {
            later_by(s, 100)
        }),
        fault("delay_both_tcp", Probe::TcpPing, &BOTH, |s| {
            later_by(s, 200)
        }),
        fault("delay_jitter", Probe::UdpPing, &JITTER, |s| {
            ensure!(s.ok == s.sent, "some got lost: {s:?}");
            ensure!(
                (19 * MS..400 * MS).contains(&s.p50_ns),
                "p50 {} ns",
                s.p50_ns
            );
            ensure!(s.max_ns > s.p50_ns + MS, "no jitter: {s:?}");
            Ok(())
        }),
    ]
}

fn losses() -> Vec<Fault> {
    const HALF: [&str; 4] = ["net", "loss", "--percent", "50%"];
    const INGRESS: [&str; 6] = ["net", "loss", "--percent", "50%", "--direction", "ingress"];
    const BURSTS: [&str; 4] = ["net", "loss", "--gemodel", "5%,20%,100%,0%"];
    vec![
        fault("loss_udp", Probe::UdpFlow, &HALF, |s| lost(s, 100, 300)),
        fault("loss_ingress_udp", Probe::UdpFlow, &INGRESS, |s| {
            lost(s, 100, 300)
        }),
        // A fifth of the time in the bad state; bursts make the spread wide.
        fault("loss_gemodel", Probe::UdpFlow, &BURSTS, |s| {
            lost(s, 10, 250)
        }),
        fault(
            "loss_tcp",
            Probe::TcpTalk,
            &["net", "loss", "--percent", "20%"],
            retransmitted,
        ),
        fault(
            "loss_icmp",
            Probe::Icmp,
            &["net", "loss", "--percent", "100%"],
            all_timed_out,
        ),
    ]
}

fn damages() -> Vec<Fault> {
    const PAYLOAD: [&str; 6] = ["net", "corrupt", "--mode", "payload", "--percent", "100%"];
    const WIRE: [&str; 6] = ["net", "corrupt", "--mode", "wire", "--percent", "100%"];
    const SOME_WIRE: [&str; 6] = ["net", "corrupt", "--mode", "wire", "--percent", "20%"];
    vec![
        fault("corrupt_payload_udp", Probe::UdpFlow, &PAYLOAD, |s| {
            ensure!(s.damaged >= 395 && s.ok <= 5, "not all damaged: {s:?}");
            Ok(())
        }),
        fault("corrupt_payload_tcp", Probe::TcpPing, &PAYLOAD, |s| {
            ensure!(s.damaged == s.sent, "not all damaged: {s:?}");
            Ok(())
        }),
        fault("corrupt_wire_udp", Probe::UdpFlow, &WIRE, |s| {
            ensure!(
                s.ok + s.damaged == 0,
                "the application read something: {s:?}"
            );
            ensure!(s.failures() == 0, "the sender saw {:?}", s.errors);
            Ok(())
        }),
        fault(
            "corrupt_wire_tcp",
            Probe::TcpTalk,
            &SOME_WIRE,
            retransmitted,
        ),
    ]
}

fn floods() -> Vec<Fault> {
    const TWICE: [&str; 4] = ["net", "duplicate", "--percent", "100%"];
    const REORDER: [&str; 8] = [
        "net",
        "reorder",
        "--percent",
        "50%",
        "--gap",
        "5",
        "--latency",
        "50ms",
    ];
    const SLOW: [&str; 4] = ["net", "bandwidth", "--rate", "1mbit"];
    vec![
        fault("duplicate_udp", Probe::UdpFlow, &TWICE, |s| {
            ensure!(
                s.ok == s.sent && s.duplicates >= 395,
                "not all came twice: {s:?}"
            );
            Ok(())
        }),
        fault("reorder_udp", Probe::UdpFlow, &REORDER, |s| {
            ensure!(s.ok == s.sent && s.duplicates == 0, "some got lost: {s:?}");
            ensure!(
                (10..350).contains(&s.reordered),
                "{} overtook others",
                s.reordered
            );
            Ok(())
        }),
        // 100 kB take 0.8 s at 1 Mbit/s, headers aside; half of that would be another rate.
        fault("bandwidth_tcp", Probe::TcpBulk, &SLOW, |s| {
            ensure!(s.ok == s.sent, "not all arrived: {s:?}");
            ensure!(
                (500 * MS..3000 * MS).contains(&s.elapsed_ns),
                "took {} ns",
                s.elapsed_ns
            );
            Ok(())
        }),
    ]
}

fn cuts() -> Vec<Fault> {
    let mut cuts = vec![
        fault(
            "blackhole_tcp",
            Probe::TcpPing,
            &["net", "blackhole"],
            all_timed_out,
        ),
        fault(
            "blackhole_udp",
            Probe::UdpFlow,
            &["net", "blackhole"],
            |s| lost(s, 400, 400),
        ),
        fault(
            "blackhole_both_icmp",
            Probe::Icmp,
            &["net", "blackhole", "--direction", "both"],
            all_timed_out,
        ),
        fault(
            "blackhole_ingress_udp",
            Probe::UdpPing,
            &["net", "blackhole", "--direction", "ingress"],
            all_timed_out,
        ),
        fault(
            "partition_tcp",
            Probe::TcpPing,
            &["net", "partition", "--peer", "PEER"],
            all_timed_out,
        ),
        fault("reset_idle", Probe::Idle, &["net", "reset"], |s| {
            all_failed_with(s, "ECONNRESET")
        }),
        fault("reset_tcp", Probe::TcpPing, &["net", "reset"], |s| {
            ensure!(s.error("ECONNRESET") >= 1, "no reset: {s:?}");
            Ok(())
        }),
    ];
    cuts.push(fault(
        "connect_refused",
        Probe::Connect,
        &CONNECT_REFUSED,
        |s| all_failed_with(s, "ECONNREFUSED"),
    ));
    cuts.push(fault(
        "connect_timed_out",
        Probe::Connect,
        &CONNECT_TIMED_OUT,
        |s| all_failed_with(s, "ETIMEDOUT"),
    ));
    cuts.push(fault(
        "connect_host_unreachable",
        Probe::Connect,
        &CONNECT_NO_HOST,
        |s| all_failed_with(s, "EHOSTUNREACH"),
    ));
    cuts.push(fault(
        "connect_net_unreachable",
        Probe::Connect,
        &CONNECT_NO_NET,
        |s| all_failed_with(s, "ENETUNREACH"),
    ));
    cuts
}

const CONNECT_REFUSED: [&str; 4] = ["net", "connect", "--errno", "ECONNREFUSED"];
const CONNECT_TIMED_OUT: [&str; 4] = ["net", "connect", "--errno", "ETIMEDOUT"];
const CONNECT_NO_HOST: [&str; 4] = ["net", "connect", "--errno", "EHOSTUNREACH"];
const CONNECT_NO_NET: [&str; 4] = ["net", "connect", "--errno", "ENETUNREACH"];

fn lookups() -> Vec<Fault> {
    vec![
        dns_fault("dns_nxdomain", "nxdomain", |s| {
            all_failed_with(s, "nxdomain")
        }),
        dns_fault("dns_servfail", "servfail", |s| {
            all_failed_with(s, "servfail")
        }),
        dns_fault("dns_timeout", "timeout", all_timed_out),
        dns_delay(),
    ]
}

/// `millis` later, and not twice that; nothing lost.
fn later_by(s: &Summary, millis: u64) -> Result<()> {
    ensure!(
        s.ok == s.sent,
        "{} of {} went well: {:?}",
        s.ok,
        s.sent,
        s.errors
    );
    let asked = millis * MS;
    ensure!(
        (asked..asked + 80 * MS).contains(&s.p50_ns),
        "p50 is {} ns where {asked} were asked for",
        s.p50_ns
    );
    Ok(())
}

/// Between `least` and `most` datagrams did not arrive, and their sender saw no error.
fn lost(s: &Summary, least: u64, most: u64) -> Result<()> {
    let lost = s.sent - s.ok;
    ensure!(
        (least..=most).contains(&lost),
        "{lost} of {} got lost",
        s.sent
    );
    ensure!(s.failures() == 0, "the sender saw {:?}", s.errors);
    ensure!(s.damaged + s.duplicates == 0, "not as sent: {s:?}");
    Ok(())
}

/// All arrived, some of it by retransmission.
fn retransmitted(s: &Summary) -> Result<()> {
    ensure!(
        s.ok == s.sent,
        "{} of {} went well: {:?}",
        s.ok,
        s.sent,
        s.errors
    );
    ensure!(s.retransmits > 0, "TCP sent nothing again");
    Ok(())
}

fn all_timed_out(s: &Summary) -> Result<()> {
    all_failed_with(s, "timeout")
}

fn all_failed_with(s: &Summary, error: &str) -> Result<()> {
    ensure!(
        s.error(error) == s.sent && s.ok == 0,
        "not all ended with {error}: {s:?}"
    );
    Ok(())
}
