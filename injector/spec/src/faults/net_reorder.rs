//! `net.reorder`: packets overtake others.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Fate, Numbers};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Parameter, Settings, Target,
        decided::{Decided, Place, Why},
        timing::{Span, Timing, held},
    },
    grammar::{AskedChanceFlags, PacketFlags, Request, values},
    quantity::duration,
};

/// Packets overtake others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// One candidate after every so many packets, at least 1.
    pub gap: u32,
    /// How long the packets that are overtaken are held back.
    #[serde(with = "duration")]
    pub latency: Duration,
}

#[derive(Args, Debug)]
pub struct Flags {
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

impl Request for Flags {
    fn fault(self) -> Fault {
        let reorder = Reorder {
            gap: self.gap,
            latency: self.latency,
        };
        self.packets.fault(reorder, self.chance.chance())
    }
}

impl Definition for Reorder {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::packets(Fate::Held(self.latency))
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        let pointless = |why| Err(CheckError::Pointless("net.reorder", why));
        if self.gap == 0 {
            return pointless("a gap is at least 1; correct it");
        }
        if self.latency.is_zero() {
            return pointless("the latency is zero; set it");
        }
        Ok(())
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, span: Span) -> Timing {
        Timing::remarks(held(self.latency, self.latency, span.left))
    }

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        parameters.one("gap", self.gap);
        parameters.one("latency", duration::format(self.latency));
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for Reorder {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { gap: _, latency } = self;
        vec![
            Decided::Ramps(Parameter::Latency, Place::Time(latency)),
            Decided::Stays("gap", Why::Count),
        ]
    }
}
