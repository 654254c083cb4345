//! `injector dns …`: names that do not resolve, or late.

use std::time::Duration;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::{
    fault::{Request, With},
    traffic::ChanceFlags,
    values::{self, HostPatterns},
};
use crate::{
    experiment::{Chance, Direction, DnsAnswer, Fault, FaultKind, Protocol, Traffic},
    quantity::{PortRange, duration},
};

/// The DNS faults.
#[derive(Subcommand, Debug)]
pub enum DnsFault<C: Args> {
    /// Queries over UDP port 53 fail
    Error(With<DnsErrorFlags, C>),
    /// Queries over UDP port 53 reach the resolver later
    Delay(With<DnsDelayFlags, C>),
}

impl<C: Args> DnsFault<C> {
    /// Takes the request apart.
    pub fn split(self) -> (Fault, C) {
        match self {
            Self::Error(with) => with.split(),
            Self::Delay(with) => with.split(),
        }
    }
}

#[derive(Args, Debug)]
pub struct DnsErrorFlags {
    /// What the resolver seems to answer
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    answer: DnsAnswer,
    #[command(flatten)]
    queries: QueryFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct DnsDelayFlags {
    /// How long a query is held; one that a resolver's client sends again is another query
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    #[command(flatten)]
    queries: QueryFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

/// Which queries.
#[derive(Args, Debug)]
struct QueryFlags {
    /// Only names that match, as in `*.example.com`; repeatable
    #[arg(long, value_name = "GLOB", value_parser = values::host_patterns)]
    hostname: Vec<HostPatterns>,
    /// Only queries to this resolver; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = values::net, value_delimiter = ',', help_heading = "Traffic")]
    dest_ip: Vec<IpNet>,
    /// Never queries to this resolver; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = values::net, value_delimiter = ',', help_heading = "Traffic")]
    exclude_ip: Vec<IpNet>,
}

/// The port of DNS.
const DOMAIN: u16 = 53;

impl QueryFlags {
    /// A fault on these queries, of a kind that is made of the names' globs.
    fn fault(self, kind: impl FnOnce(Vec<String>) -> FaultKind, chance: Chance) -> Fault {
        let traffic = Traffic {
            dest: self.dest_ip,
            exclude: self.exclude_ip,
            dest_ports: PortRange::one(DOMAIN).into_iter().collect(),
            protocol: Protocol::Udp,
            ..Traffic::default()
        };
        Fault {
            target: 0,
            kind: kind(self.hostname.into_iter().flat_map(|all| all.0).collect()),
            direction: Direction::Egress,
            traffic: traffic.guarded(),
            chance,
            ramps: Vec::new(),
        }
    }
}

impl Request for DnsErrorFlags {
    fn fault(self) -> Fault {
        let answer = self.answer;
        let kind = |hostnames| FaultKind::Dns { answer, hostnames };
        self.queries.fault(kind, self.chance.chance())
    }
}

impl Request for DnsDelayFlags {
    fn fault(self) -> Fault {
        let latency = self.latency;
        let kind = |hostnames| FaultKind::DnsDelay { latency, hostnames };
        self.queries.fault(kind, self.chance.chance())
    }
}
