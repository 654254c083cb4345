//! `injector net …`: faults on the packets and connections of a target.

use std::time::Duration;

use clap::{Args, Subcommand};
use injector_common::threshold::Threshold;

use super::{
    fault::{Request, With},
    traffic::{AskedChanceFlags, ChanceFlags, LimitFlags, PacketFlags, TrafficFlags},
    values,
};
use crate::{
    experiment::{
        Activity, Chance, CorruptMode, Delay, Direction, Distribution, Fault, FaultKind, Loss,
        Peer, Traffic,
    },
    quantity::{Errno, GeModel, Percent, Rate, duration},
};

/// The network faults; `C` is what surrounds a fault, on the command line or in a file.
#[derive(Subcommand, Debug)]
pub enum NetFault<C: Args> {
    /// Packets arrive later
    Delay(With<DelayFlags, C>),
    /// Packets are lost on the wire: senders see no error, TCP retransmits
    Loss(With<LossFlags, C>),
    /// Packets are damaged
    Corrupt(With<CorruptFlags, C>),
    /// Packets arrive twice
    Duplicate(With<DuplicateFlags, C>),
    /// Packets overtake others
    Reorder(With<ReorderFlags, C>),
    /// The link is slow
    Bandwidth(With<BandwidthFlags, C>),
    /// Nothing gets through
    Blackhole(With<BlackholeFlags, C>),
    /// Nothing gets through to some peers
    Partition(With<PartitionFlags, C>),
    /// Established connections break: the target sees ECONNRESET, its peers a reset
    Reset(With<ResetFlags, C>),
    /// connect(2) fails at once
    Connect(With<ConnectFlags, C>),
}

impl<C: Args> NetFault<C> {
    /// Takes the request apart.
    pub fn split(self) -> (Fault, C) {
        match self {
            Self::Delay(with) => with.split(),
            Self::Loss(with) => with.split(),
            Self::Corrupt(with) => with.split(),
            Self::Duplicate(with) => with.split(),
            Self::Reorder(with) => with.split(),
            Self::Bandwidth(with) => with.split(),
            Self::Blackhole(with) => with.split(),
            Self::Partition(with) => with.split(),
            Self::Reset(with) => with.split(),
            Self::Connect(with) => with.split(),
        }
    }
}

#[derive(Args, Debug)]
pub struct DelayFlags {
    /// How much later, one way in each direction that the fault is on
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    /// How far a packet's delay may stray from the latency; packets of a connection keep their order
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    jitter: Duration,
    /// How much a packet's jitter resembles the one before
    #[arg(
        long,
        value_name = "PERCENT",
        requires = "jitter",
        default_value = "0%"
    )]
    correlation: Percent,
    /// How the jitter is spread
    #[arg(long, value_enum, requires = "jitter", default_value_t)]
    distribution: Distribution,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct LossFlags {
    /// The share of the packets that is lost
    #[arg(long, value_name = "PERCENT", required_unless_present = "gemodel")]
    percent: Option<Percent>,
    /// How much a packet's luck resembles the one before
    #[arg(long, value_name = "PERCENT", default_value = "0%")]
    correlation: Percent,
    /// Loss in bursts (Gilbert-Elliott), as percentages: good to bad, bad to good, loss in bad, in good
    #[arg(long, value_name = "p,r,1-h,1-k", conflicts_with_all = ["percent", "correlation"])]
    gemodel: Option<GeModel>,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    limits: LimitFlags,
}

#[derive(Args, Debug)]
pub struct CorruptFlags {
    /// Who notices: the application (payload), or only the network stack (wire)
    #[arg(long, value_enum, default_value_t)]
    mode: CorruptMode,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: AskedChanceFlags,
}

#[derive(Args, Debug)]
pub struct DuplicateFlags {
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: AskedChanceFlags,
}

#[derive(Args, Debug)]
pub struct ReorderFlags {
    /// Only one candidate after every so many packets
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = values::count::<1, u32>)]
    gap: u32,
    /// How long the packets that are overtaken are held back
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10ms")]
    latency: Duration,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: AskedChanceFlags,
}

#[derive(Args, Debug)]
pub struct BandwidthFlags {
    /// How fast, in bits per second: a number and one of bit, kbit, mbit, gbit
    #[arg(long, value_name = "RATE")]
    rate: Rate,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct BlackholeFlags {
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct PartitionFlags {
    /// An address, a network or a host that cannot be reached; repeatable
    #[arg(long, value_name = "PEER", required = true, value_parser = values::peer, value_delimiter = ',')]
    peer: Vec<Peer>,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct ResetFlags {
    #[command(flatten)]
    traffic: TrafficFlags,
    /// Only connections in use (data unread, unacknowledged, or passed within 200 ms), or only those at rest
    #[arg(long, value_enum, default_value_t, help_heading = "Traffic")]
    connection: Activity,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct ConnectFlags {
    /// The error that connect(2) returns, as in ECONNREFUSED
    #[arg(long, value_name = "ERRNO")]
    errno: Errno,
    #[command(flatten)]
    traffic: TrafficFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

fn on_packets(kind: FaultKind, packets: PacketFlags, chance: Chance) -> Fault {
    let (traffic, direction) = packets.traffic();
    Fault {
        target: 0,
        kind,
        direction,
        traffic,
        chance,
        ramps: Vec::new(),
    }
}

fn on_connections(kind: FaultKind, traffic: Traffic, chance: Chance) -> Fault {
    Fault {
        target: 0,
        kind,
        direction: Direction::Egress,
        traffic,
        chance,
        ramps: Vec::new(),
    }
}

impl Request for DelayFlags {
    fn fault(self) -> Fault {
        let Self {
            latency,
            jitter,
            correlation: Percent(correlation),
            distribution,
            ..
        } = self;
        let delay = Delay {
            latency,
            jitter,
            correlation,
            distribution,
        };
        on_packets(FaultKind::Delay(delay), self.packets, self.chance.chance())
    }
}

impl Request for LossFlags {
    fn fault(self) -> Fault {
        let Percent(correlation) = self.correlation;
        let loss = match self.gemodel {
            Some(GeModel(model)) => Loss::GilbertElliott(model),
            None => Loss::Independent { correlation },
        };
        // In bursts the model alone decides, and every match asks it.
        let percent = self.percent.unwrap_or(Percent(Threshold::ALWAYS));
        on_packets(
            FaultKind::Loss(loss),
            self.packets,
            self.limits.chance(percent),
        )
    }
}

impl Request for CorruptFlags {
    fn fault(self) -> Fault {
        on_packets(
            FaultKind::Corrupt(self.mode),
            self.packets,
            self.chance.chance(),
        )
    }
}

impl Request for DuplicateFlags {
    fn fault(self) -> Fault {
        on_packets(FaultKind::Duplicate, self.packets, self.chance.chance())
    }
}

impl Request for ReorderFlags {
    fn fault(self) -> Fault {
        let kind = FaultKind::Reorder {
            gap: self.gap,
            latency: self.latency,
        };
        on_packets(kind, self.packets, self.chance.chance())
    }
}

impl Request for BandwidthFlags {
    fn fault(self) -> Fault {
        on_packets(
            FaultKind::Bandwidth(self.rate),
            self.packets,
            self.chance.chance(),
        )
    }
}

impl Request for BlackholeFlags {
    fn fault(self) -> Fault {
        on_packets(FaultKind::Blackhole, self.packets, self.chance.chance())
    }
}

impl Request for PartitionFlags {
    fn fault(self) -> Fault {
        let kind = FaultKind::Partition { peers: self.peer };
        on_packets(kind, self.packets, self.chance.chance())
    }
}

impl Request for ResetFlags {
    fn fault(self) -> Fault {
        on_connections(
            FaultKind::Reset,
            Traffic {
                activity: self.connection,
                ..self.traffic.traffic()
            },
            self.chance.chance(),
        )
    }
}

impl Request for ConnectFlags {
    fn fault(self) -> Fault {
        let kind = FaultKind::Connect(self.errno);
        on_connections(kind, self.traffic.traffic(), self.chance.chance())
    }
}
