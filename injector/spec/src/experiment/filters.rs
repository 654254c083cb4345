//! Filters that can never let anything through, or that say nothing about what the fault acts on.
//!
//! A fault that is on and cannot meet its target looks like a target that is not impressed, so it is refused.
//! What depends on this host or on a name that is looked up is for the planner.

use std::{net::IpAddr, time::Duration};

use ipnet::{IpNet, Ipv4Net};

use super::{
    Activity, ActsOn, Calls, Connections, Direction, Fate, Fault, FdKind, Peer, Protocol, Traffic,
    host, host::HostError,
};
use crate::quantity::{PortRange, duration};

/// The longest time that a packet is held: what the delay line's wheel reaches (`delay_line::model::LONGEST`).
pub const LONGEST_HOLD: Duration = Duration::from_mins(10);

/// Why filters make no sense together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum FilterError {
    #[error(
        "`{0}`: `max-hits` is 0, so nothing would ever be hit; leave it out, or make it 1 or more"
    )]
    NoHits(&'static str),
    #[error("`{0}`: ICMP has no ports, so `{1}` lets none of it through; leave one of the two out")]
    PortsOfIcmp(&'static str, &'static str),
    #[error(
        "`{fault}` acts on {what}, so `protocol: {protocol}` lets nothing through; leave `protocol` out"
    )]
    Protocol {
        fault: &'static str,
        what: &'static str,
        protocol: Protocol,
    },
    #[error(
        "`{fault}`: every port of `{filter}` ({}) is excluded as well, so nothing gets through; leave one of \
         the two out",
        listed(ports)
    )]
    NoPortLeft {
        fault: &'static str,
        filter: &'static str,
        ports: Vec<PortRange>,
    },
    #[error(
        "`{fault}`: every address that it is for ({far_ends}) is excluded as well, so nothing gets through; \
         leave one of the two out"
    )]
    NoAddressLeft {
        fault: &'static str,
        far_ends: String,
    },
    #[error("`{0}` acts on look-ups over UDP port 53; leave other ports and protocols out")]
    NotDomain(&'static str),
    #[error(
        "`{0}` is not about packets, so filters on traffic say nothing about it; leave them out"
    )]
    NoTraffic(&'static str),
    #[error(
        "`{0}` is not asked whether a connection is busy or idle, as `net.reset` is; leave `activity` out"
    )]
    NoActivity(&'static str),
    #[error("`{0}` works on what the target sends, not on what it receives; leave `direction` out")]
    EgressOnly(&'static str),
    #[error(
        "`{0}` cannot act on ICMP that the target receives: the kernel has no look-up for the socket behind \
         it; use `direction: egress`, or `net.loss`"
    )]
    IngressIcmp(&'static str),
    #[error(
        "`{fault}` would hold packets for {}; {} is the most, use `net.blackhole` for longer",
        duration::format(*asked), duration::format(LONGEST_HOLD)
    )]
    HeldTooLong {
        fault: &'static str,
        asked: Duration,
    },
    #[error(
        "`{0}` acts before a connection exists, so `source-port` and `connection` say nothing about it; leave them \
         out"
    )]
    BeforeConnection(&'static str),
    #[error(
        "`net.partition` names its far end with `peer`; leave `dest-ip` and `hostname` out, or use \
         `net.blackhole` with them"
    )]
    TwoFarEnds,
    #[error("sockets have no path; leave `path` out, or name kinds of files under `fd-kind`")]
    PathOfSocket,
    #[error("no call opens a socket by {0}; leave `fd-kind` out, or name `connect` and its kin")]
    OpenedSocket(&'static str),
    #[error(transparent)]
    Host(#[from] HostError),
}

fn listed(ports: &[PortRange]) -> String {
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    ports.join(", ")
}

impl Fault {
    /// Checks that its filters can let something through, each on its own and all together.
    pub(super) fn check_filters(&self) -> Result<(), FilterError> {
        let fault = self.kind.name();
        if self.chance.max_hits == Some(0) {
            return Err(FilterError::NoHits(fault));
        }
        self.check_direction()?;
        self.check_hold()?;
        self.check_names()?;
        let traffic = &self.traffic;
        let acts_on = self.kind.acts_on();
        if traffic.activity != Activity::Any && !matches!(acts_on, ActsOn::Connections) {
            return Err(FilterError::NoActivity(fault));
        }
        match acts_on {
            ActsOn::Packets(_) => {}
            ActsOn::Connections => {
                traffic.check_protocol(fault, "TCP connections", &[Protocol::Tcp])?;
            }
            ActsOn::Requests(_) => {
                traffic.check_protocol(fault, "requests over TCP", &[Protocol::Tcp])?;
                if !traffic.source_ports.is_empty() || traffic.connections != Connections::Any {
                    return Err(FilterError::BeforeConnection(fault));
                }
            }
            ActsOn::Connects => {
                let known = [Protocol::Tcp, Protocol::Udp];
                traffic.check_protocol(fault, "connect(2) of TCP and UDP sockets", &known)?;
                if !traffic.source_ports.is_empty() || traffic.connections != Connections::Any {
                    return Err(FilterError::BeforeConnection(fault));
                }
            }
            ActsOn::LookUps(_) => traffic.check_domain(fault)?,
            ActsOn::Calls(..) | ActsOn::Processes(_) if traffic.says_something() => {
                return Err(FilterError::NoTraffic(fault));
            }
            ActsOn::Calls(..) | ActsOn::Processes(_) => return Ok(()),
        }
        if self.kind.peers().is_some()
            && (!traffic.dest.is_empty() || !traffic.hostnames.is_empty())
        {
            return Err(FilterError::TwoFarEnds);
        }
        traffic.check_ports(fault)?;
        if self.names().next().is_some() {
            // What a name stands for is not known here.
            return Ok(());
        }
        self.check_addresses(&[])
    }

    /// Checks that an address is left, where the names of the filters stand for these.
    pub fn check_addresses(&self, of_names: &[IpAddr]) -> Result<(), FilterError> {
        let peers = self.kind.peers().unwrap_or_default();
        let of_peers = peers.iter().filter_map(|peer| match peer {
            Peer::Net(net) => Some(*net),
            Peer::Host(_) => None,
        });
        let mut far_ends: Vec<IpNet> = self.traffic.dest.iter().copied().chain(of_peers).collect();
        far_ends.extend(of_names.iter().copied().map(IpNet::from));
        let is_any = far_ends.is_empty();
        if is_any {
            far_ends = vec![
                IpNet::V4(Ipv4Net::default()),
                IpNet::V6(ipnet::Ipv6Net::default()),
            ];
        }
        let excluded = IpNet::aggregate(&self.traffic.exclude.iter().map(plain).collect());
        let is_excluded = |net: &IpNet| excluded.iter().any(|other| other.contains(&plain(net)));
        if !far_ends.iter().all(is_excluded) {
            return Ok(());
        }
        let shown: Vec<_> = far_ends.iter().map(ToString::to_string).collect();
        Err(FilterError::NoAddressLeft {
            fault: self.kind.name(),
            far_ends: if is_any {
                "all there are".to_owned()
            } else {
                shown.join(", ")
            },
        })
    }

    /// The host names among its far ends.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let peers = self.kind.peers().unwrap_or_default();
        let of_peers = peers.iter().filter_map(|peer| match peer {
            Peer::Host(name) => Some(name.as_str()),
            Peer::Net(_) => None,
        });
        self.traffic
            .hostnames
            .iter()
            .map(String::as_str)
            .chain(of_peers)
    }

    fn check_names(&self) -> Result<(), FilterError> {
        self.names().try_for_each(host::check)?;
        match self.kind.acts_on() {
            ActsOn::LookUps(look_ups) => look_ups
                .names
                .iter()
                .try_for_each(|glob| host::check_pattern(glob).map_err(FilterError::from)),
            ActsOn::Packets(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Requests(_)
            | ActsOn::Calls(..)
            | ActsOn::Processes(_) => Ok(()),
        }
    }

    /// Refuses what cannot work in the direction asked.
    fn check_direction(&self) -> Result<(), FilterError> {
        let fault = self.kind.name();
        if self.direction == Direction::Egress {
            return Ok(());
        }
        match self.kind.acts_on() {
            ActsOn::Connections
            | ActsOn::Connects
            | ActsOn::LookUps(_)
            | ActsOn::Requests(_)
            | ActsOn::Calls(..)
            | ActsOn::Processes(_) => Err(FilterError::EgressOnly(fault)),
            // Loss of what arrives is done at the socket.
            ActsOn::Packets(packets) if packets.fate == Fate::Lost => Ok(()),
            ActsOn::Packets(_) if self.traffic.protocol == Protocol::Icmp => {
                Err(FilterError::IngressIcmp(fault))
            }
            ActsOn::Packets(_) => Ok(()),
        }
    }

    /// Refuses delays that the delay line would cut short.
    fn check_hold(&self) -> Result<(), FilterError> {
        let fate = match self.kind.acts_on() {
            ActsOn::Packets(packets) => packets.fate,
            ActsOn::LookUps(look_ups) => look_ups.fate,
            ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Requests(_)
            | ActsOn::Calls(..)
            | ActsOn::Processes(_) => return Ok(()),
        };
        let asked = match fate {
            Fate::Held(asked) => asked,
            Fate::GoesOn | Fate::Lost => return Ok(()),
        };
        if asked <= LONGEST_HOLD {
            return Ok(());
        }
        let fault = self.kind.name();
        Err(FilterError::HeldTooLong { fault, asked })
    }
}

impl Traffic {
    fn check_protocol(
        &self,
        fault: &'static str,
        what: &'static str,
        known: &[Protocol],
    ) -> Result<(), FilterError> {
        let protocol = self.protocol;
        if protocol == Protocol::Any || known.contains(&protocol) {
            return Ok(());
        }
        Err(FilterError::Protocol {
            fault,
            what,
            protocol,
        })
    }

    fn check_domain(&self, fault: &'static str) -> Result<(), FilterError> {
        let is_domain = |range: &PortRange| range.is(53);
        let is_udp = matches!(self.protocol, Protocol::Any | Protocol::Udp);
        if is_udp && self.dest_ports.iter().all(is_domain) {
            return Ok(());
        }
        Err(FilterError::NotDomain(fault))
    }

    fn check_ports(&self, fault: &'static str) -> Result<(), FilterError> {
        let sets = [
            ("dest-port", &self.dest_ports),
            ("source-port", &self.source_ports),
        ];
        for (filter, ports) in sets {
            if ports.is_empty() {
                continue;
            }
            if self.protocol == Protocol::Icmp {
                return Err(FilterError::PortsOfIcmp(fault, filter));
            }
            if ports
                .iter()
                .all(|range| is_covered(*range, &self.exclude_ports))
            {
                let ports = ports.clone();
                return Err(FilterError::NoPortLeft {
                    fault,
                    filter,
                    ports,
                });
            }
        }
        Ok(())
    }

    /// Whether any of its filters is set; the ports that stay excluded are none.
    fn says_something(&self) -> bool {
        let exclude_ports = self.exclude_ports.clone();
        *self
            != Self {
                exclude_ports,
                ..Self::default()
            }
    }
}

/// Whether all ports of a range are in some of the others.
fn is_covered(range: PortRange, others: &[PortRange]) -> bool {
    (range.first()..=range.last()).all(|port| others.iter().any(|other| other.contains(port)))
}

/// A v4-mapped network as IPv4, which is how the kernel's filters see both.
fn plain(net: &IpNet) -> IpNet {
    let v4 = match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped(),
        _ => None,
    };
    let mapped = v4.and_then(|address| Ipv4Net::new(address, net.prefix_len() - 96).ok());
    mapped.map_or(net.trunc(), |v4| IpNet::V4(v4.trunc()))
}

/// Calls that open files, none of which opens a socket.
const OPENS: [&str; 4] = ["open", "openat", "openat2", "creat"];

impl Calls {
    /// Checks that some file can be of a kind, at a path and in a call of those asked.
    pub(super) fn check_filters(&self) -> Result<(), FilterError> {
        let is_socket = |kind: &FdKind| matches!(kind, FdKind::Unix | FdKind::Inet);
        if self.kinds.is_empty() || !self.kinds.iter().all(is_socket) {
            return Ok(());
        }
        if !self.paths.is_empty() {
            return Err(FilterError::PathOfSocket);
        }
        let open = self.syscalls.iter().map(|call| call.name());
        let opens: Vec<_> = open.filter(|name| OPENS.contains(name)).collect();
        match opens.first() {
            Some(name) if opens.len() == self.syscalls.len() => {
                Err(FilterError::OpenedSocket(name))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
