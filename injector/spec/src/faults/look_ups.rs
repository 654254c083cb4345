//! What faults on look-ups of names share: `dns.error`, `dns.delay`.

use clap::Args;
use ipnet::IpNet;

use super::FaultKind;
use crate::{
    experiment::{Chance, Direction, Fault, Protocol, Traffic},
    grammar::values::{self, HostPatterns},
    quantity::PortRange,
};

/// Which queries.
#[derive(Args, Debug)]
pub(super) struct QueryFlags {
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
    pub(super) fn fault<K: Into<FaultKind>>(
        self,
        kind: impl FnOnce(Vec<String>) -> K,
        chance: Chance,
    ) -> Fault {
        let hostnames = self.hostname.into_iter().flat_map(|all| all.0).collect();
        let traffic = Traffic {
            dest: self.dest_ip,
            exclude: self.exclude_ip,
            dest_ports: PortRange::one(DOMAIN).into_iter().collect(),
            protocol: Protocol::Udp,
            ..Traffic::default()
        };
        Fault {
            target: 0,
            kind: kind(hostnames).into(),
            direction: Direction::Egress,
            traffic: traffic.guarded(),
            chance,
            ramps: Vec::new(),
            stays_on: 0,
        }
    }
}
