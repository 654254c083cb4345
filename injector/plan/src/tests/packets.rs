//! What filters mean, in plain words, against what the planner makes of them and the programs decide: from the
//! words of an experiment file, which are those of the command line, to the decision about a packet, a connect(2) or
//! a connection.

use std::{fmt::Write as _, net::IpAddr};

use injector_common::filter::{Packet, bits, covers, matches};
use ipnet::IpNet;
use proptest::{prelude::*, sample::select};

use crate::{Names, Plan};
use injector_spec::experiment::{GUARDED_PORTS, file};

/// Filters as a person writes them, and the addresses that a name stands for.
#[derive(Clone, Debug)]
struct Asked {
    dest: Vec<IpNet>,
    host: Vec<IpAddr>,
    exclude: Vec<IpNet>,
    dest_ports: Vec<(u16, u16)>,
    source_ports: Vec<(u16, u16)>,
    exclude_ports: Vec<(u16, u16)>,
    protocol: &'static str,
    connection: &'static str,
    fault: &'static Acting,
}

/// A fault with filters on traffic.
#[derive(Debug)]
struct Acting {
    name: &'static str,
    /// What it cannot do without.
    parameters: &'static str,
    /// How it calls networks and names of its far end.
    far_end: [&'static str; 2],
    on: On,
}

/// What a fault is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Packets,
    /// connect(2): the target's own port is not known yet, and what comes of it is new.
    Connects,
    /// Connections, which TCP alone has.
    Connections,
}

impl Acting {
    const fn on_packets(name: &'static str, parameters: &'static str) -> Self {
        Self {
            name,
            parameters,
            far_end: ["dest-ip", "hostname"],
            on: On::Packets,
        }
    }
}

/// Each acts on what its filters mean, and on nothing else.
const FAULTS: [Acting; 10] = [
    Acting::on_packets("net.loss", "percent: 100%"),
    Acting::on_packets("net.delay", "latency: 1ms"),
    Acting::on_packets("net.duplicate", "percent: 100%"),
    Acting::on_packets("net.reorder", "latency: 1ms, percent: 50%"),
    Acting::on_packets("net.corrupt", "mode: payload, percent: 100%"),
    Acting::on_packets("net.bandwidth", "rate: 1mbit"),
    Acting::on_packets("net.blackhole", "percent: 100%"),
    Acting {
        far_end: ["peer", "peer"],
        ..Acting::on_packets("net.partition", "percent: 100%")
    },
    Acting {
        on: On::Connects,
        ..Acting::on_packets("net.connect", "errno: ECONNREFUSED")
    },
    Acting {
        on: On::Connections,
        ..Acting::on_packets("net.reset", "percent: 100%")
    },
];

/// A packet as a person would describe it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) remote: IpAddr,
    pub(super) remote_port: u16,
    pub(super) local_port: u16,
    pub(super) protocol: &'static str,
    pub(super) is_new: bool,
}

impl Sent {
    /// The packet as the hooks of such a fault would tell of it.
    fn seen(self, on: On) -> Self {
        match on {
            On::Packets => self,
            On::Connects => Self {
                local_port: 0,
                is_new: true,
                ..self
            },
            On::Connections => Self {
                protocol: "tcp",
                ..self
            },
        }
    }
}

/// Whether the filters mean the packet.
fn means(asked: &Asked, sent: &Sent) -> bool {
    let within = |ranges: &[(u16, u16)], port| {
        ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&port))
    };
    let named = |port| {
        [&asked.dest_ports, &asked.source_ports, &asked.exclude_ports]
            .into_iter()
            .any(|all| all.contains(&(port, port)))
    };
    let guarded = |port| GUARDED_PORTS.contains(&port) && !named(port);
    let has_ports = matches!(sent.protocol, "tcp" | "udp");
    let excluded = |port| has_ports && (within(&asked.exclude_ports, port) || guarded(port));
    let restricts =
        |ranges: &[(u16, u16)], port| ranges.is_empty() || has_ports && within(ranges, port);
    let in_any = |nets: &[IpNet]| nets.iter().any(|net| holds(net, sent.remote));
    let anywhere = asked.dest.is_empty() && asked.host.is_empty();
    (asked.protocol == "any" || asked.protocol == sent.protocol)
        && match asked.connection {
            "new" => sent.is_new,
            "established" => !sent.is_new,
            _any => true,
        }
        && !excluded(sent.remote_port)
        && !excluded(sent.local_port)
        && restricts(&asked.dest_ports, sent.remote_port)
        && restricts(&asked.source_ports, sent.local_port)
        && !in_any(&asked.exclude)
        && (anywhere || in_any(&asked.dest) || asked.host.contains(&sent.remote))
}

/// Whether a network holds an address. `::ffff:10.0.0.0/104` is another way to write `10.0.0.0/8`; any other
/// network of IPv6 holds addresses of IPv6 alone.
pub(super) fn holds(net: &IpNet, address: IpAddr) -> bool {
    match (net, address) {
        (IpNet::V6(v6), IpAddr::V4(v4)) => {
            v6.prefix_len() >= 96 && v6.contains(&v4.to_ipv6_mapped())
        }
        (net, address) => net.contains(&address),
    }
}

pub(super) fn texts(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

pub(super) fn ports(ranges: &[(u16, u16)]) -> Vec<String> {
    let text = |(first, last): &(u16, u16)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    ranges.iter().map(text).collect()
}

/// What the planner makes of the filters; `None` where they contradict themselves, which is refused before.
fn planned(asked: &Asked) -> Option<Plan> {
    let Acting {
        name: fault,
        parameters,
        far_end: [network, host],
        ..
    } = asked.fault;
    let mut words = String::from(*parameters);
    for (name, value) in [
        ("protocol", asked.protocol),
        ("connection", asked.connection),
    ] {
        // Not each fault knows all of them, so what says nothing is left out.
        if value != "any" {
            let _ = write!(words, ", {name}: {value}");
        }
    }
    let hosts = [String::from("a.example")];
    let hosts = &hosts[..asked.host.len().min(1)];
    let far_ends = if network == host {
        vec![(network, [&texts(&asked.dest)[..], hosts].concat())]
    } else {
        vec![(network, texts(&asked.dest)), (host, hosts.to_vec())]
    };
    for (name, values) in far_ends.into_iter().chain([
        (&"exclude-ip", texts(&asked.exclude)),
        (&"dest-port", ports(&asked.dest_ports)),
        (&"source-port", ports(&asked.source_ports)),
        (&"exclude-port", ports(&asked.exclude_ports)),
    ]) {
        if !values.is_empty() {
            let _ = write!(words, ", {name}: {values:?}");
        }
    }
    let text = format!(
        "name: x\ntargets:\n  t: {{ pid: 1 }}\nsteps:\n  - name: s\n    duration: 1s\n    faults:\n      - {fault}: {{ target: t, {words} }}\n"
    );
    let experiment = file::parse(&text, "x", None).ok()?;
    let names = Names::of(&[("a.example", &asked.host)]);
    Plan::make(&experiment, &names, 1, &|_| true).ok()
}

/// Whether the compiled rule lets the packet through its filters.
pub(super) fn decides(plan: &Plan, sent: &Sent) -> bool {
    let compiled = &plan.rules[0].compiled;
    let packet = Packet {
        remote: match sent.remote {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        },
        remote_port: sent.remote_port,
        local_port: sent.local_port,
        transport: match sent.protocol {
            "tcp" => bits::TCP,
            "udp" => bits::UDP,
            "icmp" => bits::ICMP,
            _other => bits::OTHER,
        },
        is_new: u32::from(sent.is_new),
    };
    let rule = injector_common::rule_id(0, 0);
    matches(compiled.rule.filters, rule, &packet, |key| {
        compiled
            .filters
            .iter()
            .any(|(prefix, bits)| covers(prefix, *bits, key))
    })
}

/// Few, so that filters and packets meet, and at the edges of each other's networks.
const ADDRESSES: [&str; 14] = [
    "10.1.2.3",
    "10.1.2.4",
    "10.200.0.1",
    "11.0.0.1",
    "127.0.0.1",
    "192.168.1.255",
    "255.255.255.255",
    "0.0.0.0",
    "::",
    "::1",
    "fd00::1",
    "fd00:0:0:1::1",
    "2001:db8::1",
    "::fffe:a01:203",
];

pub(super) fn address() -> impl Strategy<Value = IpAddr> {
    let known = select(&ADDRESSES[..]).prop_map(|text| text.parse().unwrap());
    prop_oneof![8 => known, 1 => any::<[u8; 4]>().prop_map(IpAddr::from), 1 => any::<[u8; 16]>().prop_map(IpAddr::from)]
        // As sockets show them: an IPv4 address is never written in the other way.
        .prop_map(|address: IpAddr| address.to_canonical())
}

pub(super) fn network() -> impl Strategy<Value = IpNet> {
    (address(), 0u8..=128, any::<bool>()).prop_map(|(address, length, is_mapped)| {
        let net = match address {
            IpAddr::V4(v4) if is_mapped => IpNet::new(v4.to_ipv6_mapped().into(), length),
            IpAddr::V4(_) => IpNet::new(address, length % 33),
            IpAddr::V6(_) => IpNet::new(address, length),
        };
        net.unwrap().trunc()
    })
}

pub(super) fn port() -> impl Strategy<Value = u16> {
    prop_oneof![6 => select(vec![1, 21, 22, 23, 53, 80, 443, 8080, 65_534, 65_535]), 1 => 1u16..]
}

pub(super) fn ranges() -> impl Strategy<Value = Vec<(u16, u16)>> {
    let range = (port(), port(), any::<bool>())
        .prop_map(|(a, b, is_one)| if is_one { (a, a) } else { (a.min(b), a.max(b)) });
    prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(range, 1..4)]
}

pub(super) fn few<T: std::fmt::Debug + Clone>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(of, 0..4)
}

impl Asked {
    /// The same without what the fault would be refused for, which says nothing about it.
    fn of(self, fault: &'static Acting) -> Self {
        match fault.on {
            On::Packets => Self { fault, ..self },
            On::Connects => Self {
                source_ports: Vec::new(),
                connection: "any",
                fault,
                ..self
            },
            On::Connections => Self {
                protocol: "tcp",
                fault,
                ..self
            },
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let protocol = select(vec!["any", "any", "tcp", "udp", "icmp"]);
    let connection = select(vec!["any", "any", "new", "established"]);
    (
        few(network()),
        few(address()),
        few(network()),
        ranges(),
        ranges(),
        ranges(),
        protocol,
        connection,
        (0..FAULTS.len()).prop_map(|index| &FAULTS[index]),
    )
        .prop_map(
            |(
                dest,
                host,
                exclude,
                dest_ports,
                source_ports,
                exclude_ports,
                protocol,
                connection,
                fault,
            )| Asked {
                dest,
                host,
                exclude,
                dest_ports,
                source_ports,
                exclude_ports,
                protocol,
                connection,
                fault,
            },
        )
}

pub(super) fn sent() -> impl Strategy<Value = Sent> {
    let protocol = select(vec!["tcp", "udp", "icmp", "other"]);
    (address(), port(), port(), protocol, any::<bool>()).prop_map(
        |(remote, remote_port, local_port, protocol, is_new)| {
            let has_ports = matches!(protocol, "tcp" | "udp");
            Sent {
                remote,
                remote_port: if has_ports { remote_port } else { 0 },
                local_port: if has_ports { local_port } else { 0 },
                protocol,
                is_new,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_filter_acts_on_what_it_says(asked in asked(), packets in prop::collection::vec(sent(), 20)) {
        if let Some(plan) = planned(&asked) {
            for packet in packets {
                let packet = packet.seen(asked.fault.on);
                prop_assert_eq!(decides(&plan, &packet), means(&asked, &packet), "{:?}", packet);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same for the faults that are no faults on packets, or name their far end otherwise, each by itself.
    #[test]
    fn every_filter_of_its_own_kind_acts_on_what_it_says(
        asked in asked(), packets in prop::collection::vec(sent(), 20),
    ) {
        let others = FAULTS.iter().filter(|fault| fault.on != On::Packets || fault.far_end[0] == "peer");
        for fault in others {
            let asked = asked.clone().of(fault);
            let Some(plan) = planned(&asked) else { continue };
            for packet in &packets {
                let packet = packet.seen(fault.on);
                prop_assert_eq!(decides(&plan, &packet), means(&asked, &packet), "{:?}", packet);
            }
        }
    }
}

#[test]
fn the_model_meets_filters_that_are_planned() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut draw = || {
        let asked = asked().new_tree(&mut runner).unwrap().current();
        let packets = prop::collection::vec(sent(), 20).new_tree(&mut runner);
        let plan = planned(&asked)?;
        let decided = packets.unwrap().current().into_iter().map(move |packet| {
            let packet = packet.seen(asked.fault.on);
            (asked.fault.name, decides(&plan, &packet))
        });
        Some(decided)
    };
    let decided: Vec<_> = (0..800).filter_map(|_| draw()).flatten().collect();
    for fault in &FAULTS {
        let of_it = decided.iter().filter(|(name, _)| *name == fault.name);
        let (through, spared): (Vec<_>, Vec<_>) = of_it.copied().partition(|(_, through)| *through);
        assert!(
            through.len() > 3 && spared.len() > 3,
            "{fault:?}: {} let through, {} spared",
            through.len(),
            spared.len()
        );
    }
}
