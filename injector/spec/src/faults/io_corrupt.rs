//! `io.corrupt`: what is read from files is damaged.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    About, ActsOn, CallDamage, Definition, Drawn, Numbers, OnCalls, call_damage::DamageFlags,
    files::FileFlags,
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request},
    syscall::READS,
};

/// What is read from files is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IoCorrupt(pub CallDamage);

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    damage: DamageFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let damage = self.damage.damage(self.files.calls(READS));
        Fault::without_traffic(IoCorrupt(damage), self.chance.chance())
    }
}

impl Definition for IoCorrupt {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Calls(OnCalls::Damage(&self.0), About::Files)
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(self.0.check()?)
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        self.0.describe(READS, parameters, filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for IoCorrupt {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        self.0.numbers()
    }
}
