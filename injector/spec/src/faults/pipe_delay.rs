//! `pipe.delay`: pipes and unix sockets are slow.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    About, ActsOn, CallDelay, Definition, Drawn, Numbers, OnCalls, SleepAt, Sleeps,
    pipes::PipeFlags,
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

/// Pipes and unix sockets are slow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PipeDelay(pub CallDelay);

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    pipes: PipeFlags,
    /// How long a thread sleeps before the call does its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    /// How far a sleep may stray from that, to both sides
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    jitter: Duration,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let delay = CallDelay {
            calls: self.pipes.calls(),
            at: SleepAt::Enter,
            length: self.latency,
            jitter: self.jitter,
            sleeps: Sleeps::Single,
        };
        Fault::without_traffic(PipeDelay(delay), self.chance.chance())
    }
}

impl Definition for PipeDelay {
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

    fn timing(&self, span: Span) -> Timing {
        self.0.timing(span)
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        self.0.describe("latency", parameters);
        PipeMethod::describe(&self.0.calls, filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for PipeDelay {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        self.0.numbers(Parameter::Latency)
    }
}
