//! The stage of a test: an agent, a bystander and servers, on loopback or across a veth pair.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};

use crate::cgroup::CgroupPair;
use crate::injector::{Injector, Running};
use crate::netns::VethPair;
use crate::place::Place;
use crate::victim::Victim;

/// What lies between the clients and the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// The host's own `lo`.
    Loopback,
    /// Two network namespaces joined by a veth pair.
    Veth,
}

/// The family of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A stage. Its fields go in the order that lets everything be removed.
#[derive(Debug)]
pub struct Lab {
    servers: Vec<Victim>,
    /// Where agent and bystander live.
    pub cgroups: CgroupPair,
    veth: Option<VethPair>,
    family: Family,
}

impl Lab {
    /// An empty stage.
    pub fn new(wire: Wire, family: Family) -> Result<Self> {
        let veth = match wire {
            Wire::Loopback => None,
            Wire::Veth => Some(VethPair::create()?),
        };
        Ok(Self {
            servers: Vec::new(),
            cgroups: CgroupPair::create()?,
            veth,
            family,
        })
    }

    /// Where targets are born.
    pub fn agent(&self) -> Place<'_> {
        let netns = self.veth.as_ref().map(|veth| &veth.client);
        Place {
            cgroup: Some(&self.cgroups.agent),
            netns,
        }
    }

    /// Beside the target: its neighbour in all but the cgroup.
    pub fn bystander(&self) -> Place<'_> {
        Place {
            cgroup: Some(&self.cgroups.bystander),
            ..self.agent()
        }
    }

    /// Across the wire.
    pub fn far_side(&self) -> Place<'_> {
        Place {
            cgroup: None,
            netns: self.veth.as_ref().map(|veth| &veth.server),
        }
    }

    /// The address that servers use if they have no reason for another.
    pub fn address(&self) -> IpAddr {
        match (self.veth.is_some(), self.family) {
            (true, Family::V4) => VethPair::SERVER[0],
            (true, Family::V6) => VethPair::SERVER[1],
            // Not 127.0.0.1, so that a filter by address can tell it from others' traffic.
            (false, Family::V4) => IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77)),
            (false, Family::V6) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        }
    }

    /// Another address of the same far side; IPv6 loopback has none.
    pub fn second_address(&self) -> Option<IpAddr> {
        match (self.veth.is_some(), self.family) {
            (true, Family::V4) => Some(VethPair::SERVER[2]),
            (true, Family::V6) => Some(VethPair::SERVER[3]),
            (false, Family::V4) => Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 78))),
            (false, Family::V6) => None,
        }
    }

    /// Adds another pair of devices between the two sides: 10.78.0.1 and 10.78.0.2.
    pub fn second_wire(&self) -> Result<()> {
        self.veth
            .as_ref()
            .context("there are no two sides on loopback")?
            .second_wire()
    }

    /// Starts a server that lives as long as the stage, on any port of [`Lab::address`].
    pub fn serve(&mut self, role: &str) -> Result<SocketAddr> {
        self.serve_at(role, SocketAddr::new(self.address(), 0))
    }

    /// The same, at a given address.
    pub fn serve_at(&mut self, role: &str, listen: SocketAddr) -> Result<SocketAddr> {
        let (server, address) = self.server(role, listen)?;
        self.servers.push(server);
        Ok(address)
    }

    /// A server that the test holds itself.
    pub fn server(&self, role: &str, listen: SocketAddr) -> Result<(Victim, SocketAddr)> {
        let arguments = [role, "--listen", &listen.to_string()];
        let (server, address) = Victim::start_server(self.far_side(), &arguments)?;
        Ok((
            server,
            address.context("a server did not say where it listens")?,
        ))
    }

    /// Arms a fault on the agent's cgroup for long enough: `net delay --latency 100ms`.
    pub fn arm(&self, injector: &Injector, fault: &[&str]) -> Result<Running> {
        let cgroup = self.cgroups.agent.path().to_string_lossy().into_owned();
        let mut arguments = fault.to_vec();
        arguments.extend(["--cgroup", &cgroup, "--duration", "60s", "--json"]);
        injector.arm(&arguments)
    }
}
