//! `pipe.stall`: pipes and unix sockets stand still.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    About, ActsOn, CallDelay, Definition, Drawn, LONGEST_SLEEP, Numbers, OnCalls, SleepAt, Sleeps,
    pipes::NarrowFlags,
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Parameter, Settings, Target,
        decided::Decided,
        method::{Method, PipeMethod},
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request},
    quantity::duration,
};

/// Pipes and unix sockets stand still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PipeStall(pub CallDelay);

#[derive(Args, Debug)]
pub struct Flags {
    /// What is done with them; repeatable
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        value_delimiter = ',',
        default_value = "read"
    )]
    methods: Vec<PipeMethod>,
    #[command(flatten)]
    narrow: NarrowFlags,
    /// How long one call stands still at most, up to 1 min (longer than 10 s in a chain of sleeps); then it does
    /// its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "1m")]
    at_most: Duration,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let sleeps = if self.at_most > LONGEST_SLEEP {
            Sleeps::Chained
        } else {
            Sleeps::Single
        };
        let delay = CallDelay {
            calls: self.narrow.calls(&self.methods),
            at: SleepAt::Enter,
            length: self.at_most,
            jitter: Duration::ZERO,
            sleeps,
        };
        Fault::without_traffic(PipeStall(delay), self.chance.chance())
    }
}

impl Definition for PipeStall {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Calls(OnCalls::Delay(&self.0), About::Pipes)
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
        // `at-most` is a bound, and a stall ends with its fault by what it is.
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        self.0.describe("at-most", parameters);
        PipeMethod::describe(&self.0.calls, filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for PipeStall {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        self.0.numbers(Parameter::AtMost)
    }
}
