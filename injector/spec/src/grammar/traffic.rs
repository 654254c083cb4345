//! Flags that say which packets, and how many of them: the same on every fault that they make sense for.

use clap::Args;
use injector_common::rule::When;
use ipnet::IpNet;

use super::values;
use crate::{
    experiment::{Activity, Chance, Connections, Direction, Fault, FaultKind, Protocol, Traffic},
    quantity::{Percent, PortRange, parse_when},
};

/// The far end and the transport.
#[derive(Args, Debug)]
#[command(next_help_heading = "Traffic")]
pub(crate) struct TrafficFlags {
    /// Only to and from this address or network; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = values::net, value_delimiter = ',')]
    dest_ip: Vec<IpNet>,
    /// Only where the far end has this port or range; repeatable
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    dest_port: Vec<PortRange>,
    /// Only where the target's own end has this port or range; repeatable
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    source_port: Vec<PortRange>,
    /// Only to and from the addresses of this host, resolved once when the run starts; repeatable
    #[arg(long, value_name = "HOST", value_parser = values::host_name, value_delimiter = ',')]
    hostname: Vec<String>,
    /// Never to or from this address or network; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = values::net, value_delimiter = ',')]
    exclude_ip: Vec<IpNet>,
    /// Never where either end has this port or range; 22 and 53 are excluded unless each is named by
    /// itself, which a range does not; repeatable
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    exclude_port: Vec<PortRange>,
    /// Only this transport
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
}

/// Which way, and connections of which age: for faults on packets.
#[derive(Args, Debug)]
#[command(next_help_heading = "Traffic")]
pub(crate) struct PacketFlags {
    #[command(flatten)]
    traffic: TrafficFlags,
    /// Packets that go this way, as the target sees it; a delay adds up where it is on both ways
    #[arg(long, value_enum, default_value_t)]
    direction: Direction,
    /// Only connections of this age, counted from when the fault is armed
    #[arg(long, value_enum, default_value_t)]
    connection: Connections,
}

/// Which of the matches, whatever their share.
#[derive(Args, Debug)]
#[command(next_help_heading = "Chance")]
pub(crate) struct LimitFlags {
    /// Only these matches, counted from 1: first, first+, first+step, first..last or first..last+step
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    when: Option<When>,
    /// A number that makes the run repeatable; drawn where not given, and told
    #[arg(long, value_name = "NUMBER", value_parser = values::count::<0, u64>)]
    seed: Option<u64>,
    /// Stop hitting after so many hits
    #[arg(long, value_name = "COUNT", value_parser = values::count::<1, u64>)]
    max_hits: Option<u64>,
}

/// The chance of a fault that hits everything where nothing else is said.
#[derive(Args, Debug)]
#[command(next_help_heading = "Chance")]
pub(crate) struct ChanceFlags {
    /// The share of the matches that is hit
    #[arg(long, value_name = "PERCENT", default_value = "100%")]
    percent: Percent,
    #[command(flatten)]
    limits: LimitFlags,
}

/// The chance of a fault that no person wants at every match.
#[derive(Args, Debug)]
#[command(next_help_heading = "Chance")]
pub(crate) struct AskedChanceFlags {
    /// The share of the matches that is hit
    #[arg(long, value_name = "PERCENT")]
    percent: Percent,
    #[command(flatten)]
    limits: LimitFlags,
}

impl TrafficFlags {
    /// The filters, with the guarded ports excluded.
    pub(crate) fn traffic(self) -> Traffic {
        self.unguarded().guarded()
    }

    /// A fault of this kind on connections, or on what makes them, of target 0.
    pub(crate) fn fault(self, kind: impl Into<FaultKind>, chance: Chance) -> Fault {
        Fault {
            traffic: self.traffic(),
            ..Fault::without_traffic(kind, chance)
        }
    }

    fn unguarded(self) -> Traffic {
        Traffic {
            dest: self.dest_ip,
            hostnames: self.hostname,
            exclude: self.exclude_ip,
            dest_ports: self.dest_port,
            source_ports: self.source_port,
            exclude_ports: self.exclude_port,
            protocol: self.protocol,
            connections: Connections::Any,
            activity: Activity::Any,
        }
    }
}

impl PacketFlags {
    /// A fault of this kind on these packets, of target 0.
    pub(crate) fn fault(self, kind: impl Into<FaultKind>, chance: Chance) -> Fault {
        let (traffic, direction) = self.traffic();
        Fault {
            direction,
            traffic,
            ..Fault::without_traffic(kind, chance)
        }
    }

    /// The filters, with the guarded ports excluded, and the way.
    pub(crate) fn traffic(self) -> (Traffic, Direction) {
        let connections = self.connection;
        (
            Traffic {
                connections,
                ..self.traffic.traffic()
            },
            self.direction,
        )
    }
}

impl LimitFlags {
    /// The chance with this share.
    pub(crate) fn chance(self, percent: Percent) -> Chance {
        Chance {
            percent: percent.0,
            when: self.when.unwrap_or_default(),
            max_hits: self.max_hits,
            seed: self.seed,
        }
    }
}

impl ChanceFlags {
    pub(crate) fn chance(self) -> Chance {
        self.limits.chance(self.percent)
    }
}

impl AskedChanceFlags {
    pub(crate) fn chance(self) -> Chance {
        self.limits.chance(self.percent)
    }
}
