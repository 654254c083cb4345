//! `net.reset`: connections break, and the target sees ECONNRESET.

use clap::Args;

use super::{ActsOn, Definition, Drawn};
use crate::{
    experiment::{
        Activity, CheckError, Direction, Fault, Settings, Target, Traffic,
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request, TrafficFlags},
};

/// Connections break.
pub(crate) struct Reset;

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    traffic: TrafficFlags,
    /// Only connections in use (data unread, unacknowledged, or passed within 200 ms), or only those at rest
    #[arg(long, value_enum, default_value_t, help_heading = "Traffic")]
    connection: Activity,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let fault = self.traffic.fault(Reset, self.chance.chance());
        Fault {
            traffic: Traffic {
                activity: self.connection,
                ..fault.traffic
            },
            ..fault
        }
    }
}

impl Definition for Reset {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Connections
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
