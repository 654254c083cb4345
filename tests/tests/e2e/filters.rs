//! Filters: what they let through and what they keep away, each by a pair of probes.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};

use crate::needs::INJECTOR;
use crate::probe::Probe;
use crate::suite::Case;

/// A cut that no probe can overlook.
const CUT: [&str; 2] = ["net", "blackhole"];

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("filter::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("dest_ip", || {
            two_peers(&|cut, _spared| format!("--dest-ip {}", cut.ip()))
        }),
        case("dest_ip_net", || {
            two_peers(&|cut, _spared| format!("--dest-ip {}/32", cut.ip()))
        }),
        case("exclude_ip", || {
            two_peers(&|_cut, spared| format!("--exclude-ip {}", spared.ip()))
        }),
        case("dest_port", || {
            two_peers(&|cut, _spared| format!("--dest-port {}", cut.port()))
        }),
        case("dest_port_range", || {
            two_peers(&|cut, _spared| format!("--dest-port {0}-{0}", cut.port()))
        }),
        case("exclude_port", || {
            two_peers(&|_cut, spared| format!("--exclude-port {}", spared.port()))
        }),
        case("peer_of_a_partition", partition_spares_others),
        case("hostname", hostname),
        case("v4_mapped_addresses", v4_mapped),
        case("protocol", protocol),
        case("source_port", source_port),
        case("new_connections", || connection_age("new")),
        case("established_connections", || connection_age("established")),
        case("busy_connections", busy_connections),
        case("idle_connections", idle_connections),
        case("port_53_is_spared_unless_named", port_53_is_spared),
        case("connect_by_address", connect_by_address),
    ]
}

/// A pool of two connections, of which one is used: that is the one that a reset is worth spending on.
fn busy_connections() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut waits = Probe::Idle.observe(lab.agent(), server)?;
    let mut streams = Probe::TcpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let reset = ["net", "reset", "--connection", "busy", "--max-hits", "1"];
    // A connection that was just made counts as busy.
    waits.expect_calm("a pool before any fault")?;
    let armed = lab.arm(&injector, &reset)?;
    waits.expect_calm("a pool at rest")?;
    let mut seen = streams.look()?;
    // On an emulated machine a round may be over before the target's sockets were looked at.
    for _ in 0..20 {
        if seen.error("ECONNRESET") > 0 {
            break;
        }
        seen = streams.look()?;
    }
    ensure!(seen.error("ECONNRESET") == 1, "not reset: {seen:?}");
    waits.expect_calm("the connection at rest")?;
    let report = armed.report()?;
    let hit = &report.faults[0].connections;
    ensure!(report.faults[0].hit == 1 && hit.len() == 1, "{report:?}");
    ensure!(
        hit[0].state == "busy" && hit[0].remote == server,
        "it says that another was hit: {hit:?}"
    );
    Ok(())
}

fn idle_connections() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V6)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut waits = Probe::Idle.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &["net", "reset", "--connection", "idle"])?;
    let seen = waits.look()?;
    ensure!(seen.error("ECONNRESET") == 1, "not reset: {seen:?}");
    let report = armed.report()?;
    let hit = &report.faults[0].connections;
    ensure!(
        hit.len() == 1 && hit[0].state == "idle" && hit[0].remote == server,
        "it says that another was hit: {hit:?}"
    );
    Ok(())
}

/// Two peers with other addresses and ports: the filter cuts the first and spares the second.
fn two_peers(filter: &dyn Fn(SocketAddr, SocketAddr) -> String) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (cut, spared) = peers(&mut lab)?;
    let filter = filter(cut, spared);
    let ask: Vec<&str> = CUT.into_iter().chain(filter.split(' ')).collect();
    cuts_one(&lab, &ask, cut, spared)
}

fn partition_spares_others() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (cut, spared) = peers(&mut lab)?;
    let peer = format!("{}/32", cut.ip());
    cuts_one(
        &lab,
        &["net", "partition", "--peer", &peer, "--direction", "both"],
        cut,
        spared,
    )
}

/// `localhost` is 127.0.0.1 by every hosts file; other loopback addresses are not it.
fn hostname() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let cut = lab.serve_at("udp-echo", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let spared = Probe::UdpPing.serve(&mut lab)?;
    cuts_one(
        &lab,
        &["net", "blackhole", "--hostname", "localhost"],
        cut,
        spared,
    )
}

/// An IPv6 socket that talks IPv4 is found under its IPv4 address, by packet and connect faults.
fn v4_mapped() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let std::net::IpAddr::V4(address) = server.ip() else {
        anyhow::bail!("not IPv4: {server}")
    };
    let mapped = SocketAddr::new(address.to_ipv6_mapped().into(), server.port());
    let mut old = Probe::TcpPing.observe(lab.agent(), mapped)?;
    let injector = Injector::new()?;
    let net = format!("{address}/32");
    let ask = ["net", "delay", "--latency", "100ms", "--dest-ip", &net];
    let armed = lab.arm(&injector, &ask)?;
    let mut new = Probe::TcpPing.observe(lab.agent(), mapped)?;
    for observer in [&mut old, &mut new] {
        let seen = observer.look()?;
        ensure!(
            seen.ok == seen.sent && seen.p50_ns >= 100_000_000,
            "not late: {seen:?}"
        );
    }
    armed.report()?;
    let ask = [
        "net",
        "connect",
        "--errno",
        "EHOSTUNREACH",
        "--dest-ip",
        &net,
    ];
    let armed = lab.arm(&injector, &ask)?;
    let seen = Probe::Connect.observe(lab.agent(), mapped)?.look()?;
    ensure!(
        seen.error("EHOSTUNREACH") == seen.sent,
        "not refused: {seen:?}"
    );
    armed.report()?;
    Ok(())
}

fn peers(lab: &mut Lab) -> Result<(SocketAddr, SocketAddr)> {
    let first = Probe::UdpPing.serve(lab)?;
    let Some(second) = lab.second_address() else {
        anyhow::bail!("no second address")
    };
    Ok((first, lab.serve_at("udp-echo", SocketAddr::new(second, 0))?))
}

fn cuts_one(lab: &Lab, ask: &[&str], cut: SocketAddr, spared: SocketAddr) -> Result<()> {
    let mut to_cut = Probe::UdpPing.observe(lab.agent(), cut)?;
    let mut to_spared = Probe::UdpPing.observe(lab.agent(), spared)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, ask)?;
    to_spared.expect_calm("the way that the filter spares")?;
    let seen = to_cut.look()?;
    ensure!(
        seen.ok == 0,
        "the way that the filter names is open: {seen:?}"
    );
    armed.report()?;
    Ok(())
}

fn protocol() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (udp, tcp) = (
        Probe::UdpPing.serve(&mut lab)?,
        Probe::TcpPing.serve(&mut lab)?,
    );
    let mut datagrams = Probe::UdpPing.observe(lab.agent(), udp)?;
    let mut stream = Probe::TcpPing.observe(lab.agent(), tcp)?;
    let mut echo = Probe::Icmp.observe(lab.agent(), udp)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &["net", "blackhole", "--protocol", "udp"])?;
    stream.expect_calm("TCP")?;
    echo.expect_calm("ICMP")?;
    ensure!(datagrams.look()?.ok == 0, "UDP gets through");
    armed.report()?;
    let armed = lab.arm(&injector, &["net", "blackhole", "--protocol", "icmp"])?;
    stream.expect_calm("TCP")?;
    datagrams.expect_calm("UDP")?;
    ensure!(echo.look()?.ok == 0, "ICMP gets through");
    armed.report()?;
    Ok(())
}

/// A server is the target: the port of its own end is the one it listens on.
fn source_port() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let listen = SocketAddr::new(lab.address(), 0).to_string();
    let start = || {
        injector_tests::victim::Victim::start_server(
            lab.agent(),
            &["udp-echo", "--listen", &listen],
        )
    };
    let ((_first, cut), (_second, spared)) = (start()?, start()?);
    let (Some(cut), Some(spared)) = (cut, spared) else {
        anyhow::bail!("no address")
    };
    let injector = Injector::new()?;
    let port = cut.port().to_string();
    let armed = lab.arm(&injector, &["net", "blackhole", "--source-port", &port])?;
    let mut to_cut = Probe::UdpPing.observe(lab.bystander(), cut)?;
    let mut to_spared = Probe::UdpPing.observe(lab.bystander(), spared)?;
    to_spared.expect_calm("the other server")?;
    ensure!(
        to_cut.look()?.ok == 0,
        "the server that the filter names answers"
    );
    armed.report()?;
    Ok(())
}

fn connection_age(which: &str) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut old = Probe::TcpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let ask = ["net", "delay", "--latency", "100ms", "--connection", which];
    let armed = lab.arm(&injector, &ask)?;
    let mut new = Probe::TcpPing.observe(lab.agent(), server)?;
    let (felt, spared) = if which == "new" {
        (&mut new, &mut old)
    } else {
        (&mut old, &mut new)
    };
    spared.expect_calm("a connection of the other age")?;
    let seen = felt.look()?;
    ensure!(
        seen.p50_ns >= 100_000_000,
        "a {which} connection is not late: {seen:?}"
    );
    armed.report()?;
    Ok(())
}

fn port_53_is_spared() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::Dns.serve(&mut lab)?;
    let mut asker = Probe::Dns.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    asker.expect_calm("a name look-up that nobody named")?;
    armed.report()?;
    let armed = lab.arm(&injector, &["net", "blackhole", "--dest-port", "53"])?;
    ensure!(asker.look()?.ok == 0, "port 53 was named and is open");
    armed.report()?;
    Ok(())
}

fn connect_by_address() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::Connect.serve(&mut lab)?;
    let mut caller = Probe::Connect.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let ask = ["net", "connect", "--errno", "ECONNREFUSED", "--dest-ip"];
    let armed = lab.arm(&injector, &[&ask[..], &["203.0.113.0/24"]].concat())?;
    caller.expect_calm("a caller of another address")?;
    armed.report()?;
    let net = format!("{}/31", server.ip());
    let armed = lab.arm(&injector, &[&ask[..], &[net.as_str()]].concat())?;
    let seen = caller.look()?;
    ensure!(
        seen.error("ECONNREFUSED") == seen.sent,
        "not refused: {seen:?}"
    );
    armed.report()?;
    Ok(())
}
