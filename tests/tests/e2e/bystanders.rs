//! Packets that are not the target's, though they look like it where a device's programs stand: forwarded,
//! translated, met twice.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::netns::{self, NetNs};
use injector_tests::observation::Summary;
use injector_tests::place::Place;
use injector_tests::victim::Victim;

use crate::effects::first_fault;
use crate::needs::{INJECTOR_AND_NETNS, ipv6, nft};
use crate::probe::Probe;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("bystander::{name}"), INJECTOR_AND_NETNS, run)
    };
    vec![
        case("of_forwarded_packets_v4", || forwarded(Family::V4)),
        case("of_forwarded_packets_v6", || forwarded(Family::V6)).also_needs(ipv6),
        case("of_a_published_port", published_port).also_needs(nft),
        case("translated_packets_of_the_target_are_met", translated).also_needs(nft),
        case("macvlan_is_met_once", macvlan),
        case("a_bridge_that_changes_is_followed", bridge),
    ]
}

const PORT: u16 = 8443;
const MS: u64 = 1_000_000;

/// A client, a router where the target listens on the port of the server behind it, and the server.
struct Route {
    client: NetNs,
    router: NetNs,
    server: NetNs,
}

impl Route {
    fn create() -> Result<Self> {
        let this = Self {
            client: NetNs::create("a")?,
            router: NetNs::create("r")?,
            server: NetNs::create("b")?,
        };
        for (side, network, device, mac) in [
            (&this.client, 81, "eth0", "02:00:00:00:81"),
            (&this.server, 82, "eth1", "02:00:00:00:82"),
        ] {
            // Neighbours are told, as in `VethPair`.
            side.batch(&format!(
                "link add eth0 address {mac}:02 type veth peer name {device} address {mac}:01 netns {}\n\
                 addr add 10.{network}.0.2/24 dev eth0\n\
                 addr add fd{network}::2/64 dev eth0 nodad\n\
                 link set eth0 up\n\
                 neigh add 10.{network}.0.1 lladdr {mac}:01 dev eth0 nud permanent\n\
                 neigh add fd{network}::1 lladdr {mac}:01 dev eth0 nud permanent\n\
                 route add default via 10.{network}.0.1\n\
                 route add default via fd{network}::1\n",
                this.router.name()
            ))?;
            this.router.batch(&format!(
                "addr add 10.{network}.0.1/24 dev {device}\n\
                 addr add fd{network}::1/64 dev {device} nodad\n\
                 link set {device} up\n\
                 neigh add 10.{network}.0.2 lladdr {mac}:02 dev {device} nud permanent\n\
                 neigh add fd{network}::2 lladdr {mac}:02 dev {device} nud permanent\n"
            ))?;
        }
        netns::inside(this.router.name(), || {
            fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
            let v6 = "/proc/sys/net/ipv6/conf/all/forwarding";
            fs::write(v6, "1").or_else(|error| {
                // A kernel without IPv6.
                if fs::exists(v6)? { Err(error) } else { Ok(()) }
            })
        })??;
        Ok(this)
    }

    /// The router as the client reaches it.
    fn near(family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::from([10, 81, 0, 1]),
            Family::V6 => IpAddr::from([0xfd81, 0, 0, 0, 0, 0, 0, 1]),
        }
    }

    /// The server behind it.
    fn far(family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::from([10, 82, 0, 2]),
            Family::V6 => IpAddr::from([0xfd82, 0, 0, 0, 0, 0, 0, 2]),
        }
    }
}

fn place(netns: &NetNs) -> Place<'_> {
    Place {
        cgroup: None,
        netns: Some(netns),
    }
}

/// One server of TCP and one of UDP, on any address.
fn serve(netns: &NetNs, family: Family, port: u16) -> Result<[Victim; 2]> {
    let any = match family {
        Family::V4 => format!("0.0.0.0:{port}"),
        Family::V6 => format!("[::]:{port}"),
    };
    let start = |role| {
        Ok::<_, anyhow::Error>(Victim::start_server(place(netns), &[role, "--listen", &any])?.0)
    };
    Ok([start("tcp-echo")?, start("udp-echo")?])
}

fn arm(injector: &Injector, fault: &[&str], targets: &[Victim; 2]) -> Result<Running> {
    let pids = targets.each_ref().map(|target| target.pid().to_string());
    let target = [
        "--pid",
        &pids[0],
        "--pid",
        &pids[1],
        "--duration",
        "60s",
        "--json",
    ];
    injector.arm(&[fault, &target].concat())
}

fn whole(what: &str, seen: &Summary) -> Result<()> {
    ensure!(
        seen.ok == seen.sent && seen.damaged == 0,
        "{what} met the fault: {seen:?}"
    );
    Ok(())
}

/// The target listens on any address of a router. What the router forwards to the same port of another host is
/// not the target's, before and after the target has got packets of its own.
fn forwarded(family: Family) -> Result<()> {
    const DAMAGE: [&str; 8] = [
        "net",
        "corrupt",
        "--mode",
        "payload",
        "--percent",
        "100%",
        "--direction",
        "ingress",
    ];
    let route = Route::create()?;
    let targets = serve(&route.router, family, PORT)?;
    let _servers = serve(&route.server, family, PORT)?;
    let observe =
        |probe: Probe, address| probe.observe(place(&route.client), SocketAddr::new(address, PORT));
    let (near, far) = (Route::near(family), Route::far(family));
    let mut own = [
        observe(Probe::TcpPing, near)?,
        observe(Probe::UdpFlow, near)?,
    ];
    let mut others = [observe(Probe::TcpTalk, far)?, observe(Probe::UdpFlow, far)?];
    let injector = Injector::new()?;
    let armed = arm(&injector, &DAMAGE, &targets)?;
    for other in &mut others {
        whole("a forwarded packet", &other.look()?)?;
    }
    for target in &mut own {
        let seen = target.look()?;
        // The first datagram at a port tells that packets there are the target's.
        ensure!(
            seen.damaged + 1 >= seen.sent,
            "the target is not met: {seen:?}"
        );
    }
    for other in &mut others {
        whole("a forwarded packet, later,", &other.look()?)?;
    }
    // A connection that begins under the fault.
    whole("a new connection", &observe(Probe::TcpTalk, far)?.look()?)?;
    let report = armed.report()?;
    ensure!(
        report
            .remarks
            .iter()
            .any(|remark| remark.contains("first at an address and port")),
        "the first datagram is not told of: {:?}",
        report.remarks
    );
    Ok(())
}

/// A port of the router's that is another host's in truth, though the target listens there.
fn published_port() -> Result<()> {
    const DELAY: [&str; 6] = [
        "net",
        "delay",
        "--latency",
        "100ms",
        "--direction",
        "ingress",
    ];
    let route = Route::create()?;
    translate(
        &route.router,
        "type nat hook prerouting priority -100",
        &[
            "tcp dport 8080 dnat to 10.82.0.2:8443",
            "udp dport 8080 dnat to 10.82.0.2:8443",
        ],
    )?;
    let targets = serve(&route.router, Family::V4, 8080)?;
    let _servers = serve(&route.server, Family::V4, PORT)?;
    let address = SocketAddr::new(Route::near(Family::V4), 8080);
    let injector = Injector::new()?;
    let armed = arm(&injector, &DELAY, &targets)?;
    for probe in [Probe::Connect, Probe::TcpPing, Probe::UdpPing] {
        probe
            .observe(place(&route.client), address)?
            .expect_calm("who talks to a published port")?;
    }
    let report = armed.report()?;
    let fault = first_fault(&report)?;
    ensure!(
        fault.seen == 0,
        "packets for another host were judged: {fault:?}"
    );
    Ok(())
}

/// The target connects to an address that is another's in truth, and leaves from another port: filters go by what
/// it asked for, and answers are met too.
fn translated() -> Result<()> {
    let mut lab = Lab::new(Wire::Veth, Family::V4)?;
    let client = lab.agent().netns.context("no namespace")?;
    client.batch("route add default via 10.77.0.2\n")?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let client = lab.agent().netns.context("no namespace")?;
    translate(
        client,
        "type nat hook output priority -100",
        &[&format!("ip daddr 10.96.0.1 tcp dport 80 dnat to {server}")],
    )?;
    translate(
        client,
        "type nat hook postrouting priority 100",
        &["ip protocol tcp snat to 10.77.0.1:50000-50100"],
    )?;
    let service: SocketAddr = "10.96.0.1:80".parse()?;
    let mut target = Probe::TcpPing.observe(lab.agent(), service)?;
    let injector = Injector::new()?;
    let fault = ["net", "delay", "--latency", "100ms", "--direction", "both"];
    let filter = ["--dest-ip", "10.96.0.1", "--dest-port", "80"];
    let armed = lab.arm(&injector, &[&fault[..], &filter].concat())?;
    let seen = target.look()?;
    let report = armed.report()?;
    ensure!(
        seen.ok == seen.sent && seen.p50_ns >= 199 * MS,
        "not late both ways: {seen:?}, {report:?}"
    );
    Ok(())
}

/// Adds a chain of translations to a namespace, each with a name of its own.
fn translate(netns: &NetNs, chain: &str, rules: &[&str]) -> Result<()> {
    let name: String = chain.chars().filter(char::is_ascii_alphabetic).collect();
    let mut text = format!("table ip nat {{\nchain {name} {{\n{chain};\n");
    for rule in rules {
        text.push_str(rule);
        text.push('\n');
    }
    text.push_str("}\n}\n");
    let said = Command::new("ip")
        .args(["netns", "exec", netns.name(), "nft", &text])
        .output()?;
    ensure!(
        said.status.success(),
        "nft refused {text}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}

/// What leaves over a macvlan device passes the device below it too.
fn macvlan() -> Result<()> {
    let mut lab = Lab::new(Wire::Veth, Family::V4)?;
    let client = lab.agent().netns.context("no namespace")?;
    client.batch(
        "link add link eth0 name mv0 type macvlan mode bridge\n\
         addr add 10.79.0.1/24 dev mv0\n\
         link set mv0 up\n",
    )?;
    lab.far_side()
        .netns
        .context("no namespace")?
        .batch("addr add 10.79.0.2/24 dev eth0\n")?;
    let server = lab.serve_at("udp-echo", "10.79.0.2:0".parse()?)?;
    let mut target = Probe::UdpFlow.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let fault = [
        "net",
        "corrupt",
        "--mode",
        "payload",
        "--percent",
        "100%",
        "--direction",
        "both",
    ];
    let armed = lab.arm(&injector, &fault)?;
    let seen = target.look()?;
    let report = armed.report()?;
    let hit = first_fault(&report)?.hit;
    ensure!(
        (seen.sent..=2 * seen.sent).contains(&hit),
        "{} datagrams there and back were hit {hit} times: {seen:?}",
        seen.sent
    );
    Ok(())
}

/// A device that is a port of a bridge and then none, and a bridge whose address changes.
fn bridge() -> Result<()> {
    let mut lab = Lab::new(Wire::Veth, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let late = |lab: &Lab| {
        // While the way changes, a client may get no connection and end.
        let seen = Probe::TcpPing.observe(lab.agent(), server);
        let seen = seen.and_then(|mut client| client.look());
        let is_late = seen.is_ok_and(|seen| seen.ok == seen.sent && seen.p50_ns >= 119 * MS);
        Ok::<_, anyhow::Error>(is_late.then_some(()))
    };
    let client = lab.agent().netns.context("no namespace")?;
    client.batch(
        "link add br0 type bridge\n\
         link set eth0 master br0\n\
         addr del 10.77.0.1/24 dev eth0\n\
         addr add 10.77.0.1/24 dev br0\n\
         link set br0 up\n\
         neigh add 10.77.0.2 lladdr 02:00:00:00:77:02 dev br0 nud permanent\n",
    )?;
    let injector = Injector::new()?;
    let fault = ["net", "delay", "--latency", "60ms", "--direction", "both"];
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let armed = lab.arm(&injector, &fault)?;
    let patience = Duration::from_secs(8);
    eventually("packets over the bridge to be late", patience, || {
        late(&lab)
    })?;
    client.batch("link set br0 address 02:00:00:00:77:99\n")?;
    lab.far_side()
        .netns
        .context("no namespace")?
        .batch("neigh replace 10.77.0.1 lladdr 02:00:00:00:77:99 dev eth0 nud permanent\n")?;
    eventually("the bridge's new address to be seen", patience, || {
        late(&lab)
    })?;
    client.batch(
        "link set eth0 nomaster\n\
         link set br0 down\n\
         addr del 10.77.0.1/24 dev br0\n\
         addr add 10.77.0.1/24 dev eth0\n\
         neigh replace 10.77.0.2 lladdr 02:00:00:00:77:02 dev eth0 nud permanent\n",
    )?;
    lab.far_side()
        .netns
        .context("no namespace")?
        .batch("neigh replace 10.77.0.1 lladdr 02:00:00:00:77:01 dev eth0 nud permanent\n")?;
    eventually("packets over the former port to be late", patience, || {
        late(&lab)
    })?;
    armed.report()?;
    Ok(())
}
