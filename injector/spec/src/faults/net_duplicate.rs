//! `net.duplicate`: packets arrive twice.

use clap::Args;

use super::{ActsOn, Definition, Drawn, Fate};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        timing::{Span, Timing},
    },
    grammar::{AskedChanceFlags, PacketFlags, Request},
};

/// Packets arrive twice.
pub(crate) struct Duplicate;

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: AskedChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        self.packets.fault(Duplicate, self.chance.chance())
    }
}

impl Definition for Duplicate {
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

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, _: &mut Settings, _: &mut Settings) {}

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}
