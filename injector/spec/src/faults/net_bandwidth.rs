//! `net.bandwidth`: the link is slow.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Fate, Numbers};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Parameter, Settings, Target,
        decided::{Decided, Place},
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, PacketFlags, Request},
    quantity::{Rate, duration},
};

/// The link is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bandwidth {
    /// How fast it is, in each direction that the fault is on.
    pub rate: Rate,
}

/// A packet as most links take it, in bits (1500 bytes and an Ethernet header).
const PACKET_BITS: u64 = 1514 * 8;

#[derive(Args, Debug)]
pub struct Flags {
    /// How fast, in bits per second: a number and one of bit, kbit, mbit, gbit
    #[arg(long, value_name = "RATE")]
    rate: Rate,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let bandwidth = Bandwidth { rate: self.rate };
        self.packets.fault(bandwidth, self.chance.chance())
    }
}

impl Definition for Bandwidth {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::packets(Fate::GoesOn)
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, span: Span) -> Timing {
        let bits = self.rate.bits_per_second().get();
        let ns = u128::from(PACKET_BITS) * 1_000_000_000 / u128::from(bits);
        let takes = Duration::from_nanos_u128(ns.min(u128::from(u64::MAX)));
        let is_over = takes > span.left;
        Timing::remarks(is_over.then(|| {
            format!(
                "a packet of 1500 bytes takes {} at this rate, and the run is over after {}; what waits \
                 then is let go at once",
                duration::measured(takes),
                duration::format(span.left)
            )
        }))
    }

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        parameters.one("rate", self.rate);
    }

    fn details(&self, direction: Direction) -> Vec<String> {
        match direction {
            Direction::Both => {
                vec!["each direction is a link of its own, with a queue of its own".into()]
            }
            Direction::Egress | Direction::Ingress => Vec::new(),
        }
    }
}

impl Numbers for Bandwidth {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { rate } = self;
        vec![Decided::Ramps(Parameter::Rate, Place::Rate(rate))]
    }
}
