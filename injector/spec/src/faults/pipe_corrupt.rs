//! `pipe.corrupt`: what is read from pipes and unix sockets is damaged.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    About, ActsOn, CallDamage, Definition, Drawn, Numbers, OnCalls, call_damage::DamageFlags,
    pipes::NarrowFlags,
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        method::{Method, PipeMethod},
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request},
};

/// What is read from pipes and unix sockets is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PipeCorrupt(pub CallDamage);

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    narrow: NarrowFlags,
    #[command(flatten)]
    damage: DamageFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let damage = self.damage.damage(self.narrow.calls(&[PipeMethod::Read]));
        Fault::without_traffic(PipeCorrupt(damage), self.chance.chance())
    }
}

impl Definition for PipeCorrupt {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Calls(OnCalls::Damage(&self.0), About::Pipes)
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
        self.0
            .describe(PipeMethod::Read.calls(), parameters, filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for PipeCorrupt {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        self.0.numbers()
    }
}
