use proptest::prelude::*;

use super::*;

/// A fault with these filters, as JSON.
fn fault(kind: &str, rest: &str) -> Fault {
    let text = format!(
        r#"{{"target":0,"kind":{kind},"chance":{{"percent":"100%"}},"direction":"egress",{rest}}}"#
    );
    // Of two keys the last holds.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(value).unwrap()
}

const RESET: &str = r#"{"fault":"net.reset"}"#;
const BLACKHOLE: &str = r#"{"fault":"net.blackhole"}"#;
const CONNECT: &str = r#"{"fault":"net.connect","with":"ECONNREFUSED"}"#;
const DELAY: &str = r#"{"fault":"net.delay","with":{"latency":"1h","jitter":"0s","correlation":"0%","distribution":"uniform"}}"#;
const PARTITION: &str = r#"{"fault":"net.partition","with":{"peers":[{"net":"10.0.0.0/8"}]}}"#;
const DNS: &str = r#"{"fault":"dns.error","with":{"answer":"timeout","hostnames":["a.example"]}}"#;
const PAUSE: &str = r#"{"fault":"proc.pause","with":{}}"#;

/// Kind, filters, and a part of the complaint.
const CONTRADICTIONS: &[(&str, &str, &str)] = &[
    (
        RESET,
        r#""traffic":{"protocol":"udp"}"#,
        "acts on TCP connections",
    ),
    (
        RESET,
        r#""traffic":{},"direction":"both""#,
        "works on what the target sends",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"activity":"busy"}"#,
        "is not asked whether a connection is busy",
    ),
    (
        CONNECT,
        r#""traffic":{"protocol":"icmp"}"#,
        "connect(2) of TCP and UDP",
    ),
    (
        CONNECT,
        r#""traffic":{"source_ports":["80"]}"#,
        "before a connection exists",
    ),
    (
        CONNECT,
        r#""traffic":{"connections":"new"}"#,
        "before a connection exists",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"protocol":"icmp","dest_ports":["80"]}"#,
        "ICMP has no ports",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"protocol":"icmp","source_ports":["80"]}"#,
        "`source-port` lets",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"dest_ports":["443","80-81"],"exclude_ports":["443","79-90"]}"#,
        "every port of `dest-port` (443, 80-81) is excluded",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"source_ports":["443"],"exclude_ports":["1-65535"]}"#,
        "every port of `source-port`",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"dest":["127.0.1.1/32"],"exclude":["127.0.0.0/8"]}"#,
        "every address that it is for (127.0.1.1/32)",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"dest":["10.0.0.0/8"],"exclude":["10.0.0.0/9","10.128.0.0/9"]}"#,
        "every address",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"dest":["::ffff:10.0.0.1/128"],"exclude":["10.0.0.0/8"]}"#,
        "every address",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"exclude":["0.0.0.0/0","::/0"]}"#,
        "(all there are)",
    ),
    (
        BLACKHOLE,
        r#""traffic":{"hostnames":["https://x.example"]}"#,
        "the host alone: `x.example`",
    ),
    (
        PARTITION,
        r#""traffic":{"exclude":["10.0.0.0/8"]}"#,
        "every address",
    ),
    (
        PARTITION,
        r#""traffic":{"dest":["10.1.0.0/16"]}"#,
        "names its far end with `peer`",
    ),
    (
        PARTITION,
        r#""traffic":{"hostnames":["a.example"]}"#,
        "names its far end with `peer`",
    ),
    (DNS, r#""traffic":{"protocol":"tcp"}"#, "UDP port 53"),
    (DNS, r#""traffic":{"dest_ports":["5353"]}"#, "UDP port 53"),
    (
        DELAY,
        r#""traffic":{}"#,
        "hold packets for 1h; 10m is the most",
    ),
    (
        PAUSE,
        r#""traffic":{"dest_ports":["80"]}"#,
        "is not about packets",
    ),
    (
        PAUSE,
        r#""traffic":{},"direction":"ingress""#,
        "leave `direction` out",
    ),
    (
        BLACKHOLE,
        r#""traffic":{},"chance":{"percent":"100%","max_hits":0}"#,
        "`max-hits` is 0",
    ),
    (
        r#"{"fault":"net.duplicate"}"#,
        r#""traffic":{"protocol":"icmp"},"direction":"both""#,
        "cannot act on ICMP that the target receives",
    ),
];

#[test]
fn filters_that_let_nothing_through_are_refused() {
    for (kind, rest, part) in CONTRADICTIONS {
        let error = fault(kind, rest).check_filters().unwrap_err().to_string();
        assert!(error.contains(part), "{rest}: {error}");
        assert!(
            !error.contains("--"),
            "a flag, which files and the API have not: {error}"
        );
    }
}

#[test]
fn filters_that_let_something_through_are_accepted() {
    for (kind, rest) in [
        (RESET, r#""traffic":{"protocol":"tcp"}"#),
        (
            CONNECT,
            r#""traffic":{"protocol":"udp","dest_ports":["80"]}"#,
        ),
        (
            BLACKHOLE,
            r#""traffic":{"protocol":"icmp"},"direction":"both""#,
        ),
        (
            BLACKHOLE,
            r#""traffic":{"dest_ports":["20-30"],"exclude_ports":["22"]}"#,
        ),
        (
            BLACKHOLE,
            r#""traffic":{"dest":["10.0.0.0/8"],"exclude":["10.0.0.0/9"]}"#,
        ),
        (BLACKHOLE, r#""traffic":{"exclude":["0.0.0.0/0"]}"#),
        (PARTITION, r#""traffic":{"exclude":["10.1.0.0/16"]}"#),
        (
            DNS,
            r#""traffic":{"protocol":"udp","dest_ports":["53"],"exclude_ports":["22"]}"#,
        ),
        (PAUSE, r#""traffic":{"exclude_ports":["22","53"]}"#),
    ] {
        assert_eq!(fault(kind, rest).check_filters(), Ok(()), "{rest}");
    }
}

#[test]
fn what_a_name_stands_for_may_be_excluded() {
    let named = fault(
        BLACKHOLE,
        r#""traffic":{"hostnames":["a.example"],"exclude":["10.0.0.0/8"]}"#,
    );
    assert_eq!(named.check_filters(), Ok(()));
    let inside: IpAddr = "10.9.9.9".parse().unwrap();
    let outside: IpAddr = "192.0.2.1".parse().unwrap();
    assert!(named.check_addresses(&[inside]).is_err());
    assert_eq!(named.check_addresses(&[inside, outside]), Ok(()));
}

#[test]
fn sockets_are_neither_opened_nor_at_a_path() {
    let calls = |names: &str, kinds: Vec<FdKind>, paths: &[&str]| Calls {
        syscalls: names.split(',').map(|name| name.parse().unwrap()).collect(),
        kinds,
        paths: paths.iter().map(|path| path.parse().unwrap()).collect(),
        ..Calls::default()
    };
    let opened = calls("openat", vec![FdKind::Inet], &[]).check_filters();
    assert_eq!(opened, Err(FilterError::OpenedSocket("openat")));
    let at_path = calls("read", vec![FdKind::Unix], &["/data"]).check_filters();
    assert_eq!(at_path, Err(FilterError::PathOfSocket));
    for (names, kinds, paths) in [
        ("openat,read", vec![FdKind::Inet], &[][..]),
        ("openat", vec![FdKind::File], &["/data"]),
        ("read", vec![FdKind::Inet, FdKind::File], &["/data"]),
    ] {
        assert_eq!(calls(names, kinds, paths).check_filters(), Ok(()));
    }
}

proptest! {
    /// Against a plain model: refused where no address of a small network is left.
    #[test]
    fn nothing_is_left_where_each_address_is_excluded(
        dest in proptest::collection::vec((0u32..64, 26u8..=32), 1..4),
        exclude in proptest::collection::vec((0u32..64, 26u8..=32), 0..5),
    ) {
        let net = |(low, length): &(u32, u8)| -> IpNet {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + low);
            IpNet::V4(Ipv4Net::new(address, *length).unwrap().trunc())
        };
        let mut asked = fault(BLACKHOLE, r#""traffic":{}"#);
        asked.traffic.dest = dest.iter().map(net).collect();
        asked.traffic.exclude = exclude.iter().map(net).collect();
        let passes = |low: u32| {
            let address = IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + low));
            let is_in = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
            is_in(&asked.traffic.dest) && !is_in(&asked.traffic.exclude)
        };
        prop_assert_eq!(asked.check_filters().is_ok(), (0..64).any(passes));
    }

    /// The same for ports.
    #[test]
    fn nothing_is_left_where_each_port_is_excluded(
        dest in proptest::collection::vec((1u16..40, 0u16..5), 1..4),
        exclude in proptest::collection::vec((1u16..40, 0u16..9), 0..5),
    ) {
        let range = |(first, more): &(u16, u16)| -> PortRange {
            format!("{first}-{}", first + more).parse().unwrap()
        };
        let mut asked = fault(BLACKHOLE, r#""traffic":{}"#);
        asked.traffic.dest_ports = dest.iter().map(range).collect();
        asked.traffic.exclude_ports = exclude.iter().map(range).collect();
        let passes = |port: u16| {
            let is_in = |ranges: &[PortRange]| ranges.iter().any(|range| range.contains(port));
            is_in(&asked.traffic.dest_ports) && !is_in(&asked.traffic.exclude_ports)
        };
        prop_assert_eq!(asked.check_filters().is_ok(), (1..100).any(passes));
    }
}
