//! `net.corrupt`: packets are damaged.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Fate, Numbers};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        settings::name,
        timing::{Span, Timing},
    },
    grammar::{AskedChanceFlags, PacketFlags, Request},
};

/// Packets are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Corrupt {
    /// Who notices.
    pub mode: CorruptMode,
}

/// Who notices the damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CorruptMode {
    /// The application: checksums are repaired, it reads the damage.
    #[default]
    Payload,
    /// The network stack: the checksum is wrong, the application never reads the damage.
    Wire,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// Who notices: the application (payload), or only the network stack (wire)
    #[arg(long, value_enum, default_value_t)]
    mode: CorruptMode,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: AskedChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let corrupt = Corrupt { mode: self.mode };
        self.packets.fault(corrupt, self.chance.chance())
    }
}

impl Definition for Corrupt {
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

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        parameters.one("mode", name(self.mode));
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for Corrupt {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { mode: _ } = self;
        Vec::new()
    }
}
