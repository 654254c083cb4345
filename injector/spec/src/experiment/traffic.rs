//! Which packets and calls of a target, and how many of them.

use injector_common::{rule::When, threshold::Threshold};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::quantity::{PortRange, threshold, when};

/// Ports that no fault touches unless it names each by itself: a session over SSH that stops answering is how a
/// person loses the host, and names that do not resolve break more than was asked for. A range names no port:
/// who writes `1-65535` has not thought of 22.
pub const GUARDED_PORTS: [u16; 2] = [22, 53];

/// Packets that go which way, as the target sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the target.
    #[default]
    Egress,
    /// To the target.
    Ingress,
    /// Both.
    Both,
}

/// Which packets. An empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traffic {
    /// The far end is one of these.
    pub dest: Vec<IpNet>,
    /// The far end is one of the addresses that these names have when the run is planned.
    pub hostnames: Vec<String>,
    /// The far end is none of these.
    pub exclude: Vec<IpNet>,
    /// The far end's port is one of these.
    pub dest_ports: Vec<PortRange>,
    /// The target's own port is one of these.
    pub source_ports: Vec<PortRange>,
    /// Neither port is one of these.
    pub exclude_ports: Vec<PortRange>,
    /// The transport.
    pub protocol: Protocol,
    /// The age of the connection.
    pub connections: Connections,
    /// Whether it is in use; asked by `net reset` alone.
    pub activity: Activity,
}

/// Which transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// All of them.
    #[default]
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and `ICMPv6`.
    Icmp,
}

/// Which connections, by their age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// All of them.
    #[default]
    Any,
    /// Those that begin after arming.
    New,
    /// Those that were there at arming.
    Established,
}

/// Which connections, by whether they are in use.
///
/// One is busy while data is unread or unacknowledged, or has passed within the last 200 ms; see
/// [`injector_record::report::ConnectionState`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// All of them.
    #[default]
    Any,
    /// Those in use.
    Busy,
    /// Those at rest.
    Idle,
}

/// How many of the packets or calls that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// The share that is hit. [`Percent`](crate::quantity::Percent) shows it as the person wrote it.
    #[serde(with = "threshold")]
    pub percent: Threshold,
    /// Which matches may be hit at all, by their number.
    #[serde(with = "when", default)]
    pub when: When,
    /// The most hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_hits: Option<u64>,
    /// Makes the run repeatable; drawn afresh where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Chance {
    /// Every match is hit.
    pub const ALWAYS: Self = Self {
        percent: Threshold::ALWAYS,
        when: When::ALWAYS,
        max_hits: None,
        seed: None,
    };
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Any => "any",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        })
    }
}

impl Traffic {
    /// Excludes the guarded ports that the filters do not name.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        for port in GUARDED_PORTS {
            let is_excluded = self.exclude_ports.iter().any(|range| range.contains(port));
            if !is_excluded && !self.names_port(port) {
                self.exclude_ports.extend(PortRange::one(port));
            }
        }
        self
    }

    /// Whether a filter names this port by itself.
    pub fn names_port(&self, port: u16) -> bool {
        let mut named = self.dest_ports.iter().chain(&self.source_ports);
        named.any(|range| range.is(port))
    }

    /// Whether a filter has this port among others, in a range.
    pub fn ranges_over(&self, port: u16) -> bool {
        let mut ranges = self.dest_ports.iter().chain(&self.source_ports);
        ranges.any(|range| range.contains(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Vec<PortRange> {
        text.split_whitespace()
            .map(|range| range.parse().unwrap())
            .collect()
    }

    #[test]
    fn guarded_ports_are_excluded_unless_named() {
        let guarded = |dest: &str, source: &str, exclude: &str| {
            let traffic = Traffic {
                dest_ports: ports(dest),
                source_ports: ports(source),
                exclude_ports: ports(exclude),
                ..Traffic::default()
            };
            traffic.guarded().exclude_ports
        };
        assert_eq!(guarded("", "", ""), ports("22 53"));
        assert_eq!(guarded("8080", "", "9"), ports("9 22 53"));
        assert_eq!(guarded("53", "22", ""), ports(""));
        assert_eq!(guarded("", "22", "53"), ports("53"));
        assert_eq!(guarded("", "", "20-30"), ports("20-30 53"));
    }

    #[test]
    fn a_range_lifts_no_guard() {
        let traffic = |dest: &str, source: &str| Traffic {
            dest_ports: ports(dest),
            source_ports: ports(source),
            ..Traffic::default()
        };
        for (dest, source) in [
            ("1-65535", ""),
            ("20-30", ""),
            ("", "1-65535"),
            ("53-54", "22-23"),
        ] {
            let guarded = traffic(dest, source).guarded();
            assert_eq!(guarded.exclude_ports, ports("22 53"), "{dest} {source}");
        }
        assert_eq!(traffic("20-30 22", "").guarded().exclude_ports, ports("53"));
        assert_eq!(traffic("22-22", "").guarded().exclude_ports, ports("53"));
    }
}
