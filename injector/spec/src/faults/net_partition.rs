//! `net.partition`: nothing gets through to some peers.

use clap::Args;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Fate, Numbers, OnPackets};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, PacketFlags, Request, values},
};

/// Nothing gets through to some peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// The peers that cannot be reached, at least one.
    pub peers: Vec<Peer>,
}

/// The far end of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// Addresses.
    Net(IpNet),
    /// A name, resolved when the run is planned.
    Host(String),
}

#[derive(Args, Debug)]
pub struct Flags {
    /// An address, a network or a host that cannot be reached; repeatable
    #[arg(long, value_name = "PEER", required = true, value_parser = values::peer, value_delimiter = ',')]
    peer: Vec<Peer>,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let partition = Partition { peers: self.peer };
        self.packets.fault(partition, self.chance.chance())
    }
}

impl Definition for Partition {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Packets(OnPackets {
            fate: Fate::Lost,
            peers: Some(&self.peers),
        })
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        if self.peers.is_empty() {
            let why = "it has no peer; name at least one";
            return Err(CheckError::Pointless("net.partition", why));
        }
        Ok(())
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        let far_end = |peer: &Peer| match peer {
            Peer::Net(net) => net.to_string(),
            Peer::Host(host) => host.clone(),
        };
        parameters.list("peer", self.peers.iter().map(far_end));
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for Partition {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        // That `peer` says which packets are meant stands with the filters on traffic.
        let Self { peers: _ } = self;
        Vec::new()
    }
}
