//! `net.connect`: connect(2) fails at once.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Numbers};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request, TrafficFlags},
    quantity::Errno,
};

/// connect(2) fails at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Connect {
    /// What it returns.
    pub errno: Errno,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// The error that connect(2) returns, as in ECONNREFUSED
    #[arg(long, value_name = "ERRNO")]
    errno: Errno,
    #[command(flatten)]
    traffic: TrafficFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let connect = Connect { errno: self.errno };
        self.traffic.fault(connect, self.chance.chance())
    }
}

impl Definition for Connect {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Connects
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
        parameters.one("errno", self.errno);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for Connect {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { errno: _ } = self;
        Vec::new()
    }
}
