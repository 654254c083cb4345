//! `injector dns …`: names that do not resolve.

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::{
    fault::{Request, With},
    traffic::ChanceFlags,
    values::{self, HostPatterns},
};
use crate::{
    experiment::{Direction, DnsAnswer, Fault, FaultKind, Protocol, Traffic},
    quantity::PortRange,
};

/// The DNS faults.
#[derive(Subcommand, Debug)]
pub enum DnsFault<C: Args> {
    /// Queries over UDP port 53 fail
    Error(With<DnsErrorFlags, C>),
}

impl<C: Args> DnsFault<C> {
    /// Takes the request apart.
    pub fn split(self) -> (Fault, C) {
        let Self::Error(with) = self;
        with.split()
    }
}

#[derive(Args, Debug)]
pub struct DnsErrorFlags {
    /// What the resolver seems to answer
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    answer: DnsAnswer,
    /// Only names that match, as in `*.example.com`; repeatable
    #[arg(long, value_name = "GLOB", value_parser = values::host_patterns)]
    hostname: Vec<HostPatterns>,
    /// Only queries to this resolver; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = values::net, value_delimiter = ',', help_heading = "Traffic")]
    dest_ip: Vec<IpNet>,
    /// Never queries to this resolver; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = values::net, value_delimiter = ',', help_heading = "Traffic")]
    exclude_ip: Vec<IpNet>,
    #[command(flatten)]
    chance: ChanceFlags,
}

/// The port of DNS.
const DOMAIN: u16 = 53;

impl Request for DnsErrorFlags {
    fn fault(self) -> Fault {
        let traffic = Traffic {
            dest: self.dest_ip,
            exclude: self.exclude_ip,
            dest_ports: PortRange::one(DOMAIN).into_iter().collect(),
            protocol: Protocol::Udp,
            ..Traffic::default()
        };
        Fault {
            target: 0,
            kind: FaultKind::Dns {
                answer: self.answer,
                hostnames: self.hostname.into_iter().flat_map(|all| all.0).collect(),
            },
            direction: Direction::Egress,
            traffic: traffic.guarded(),
            chance: self.chance.chance(),
        }
    }
}
