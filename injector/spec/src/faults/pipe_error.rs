//! `pipe.error`: pipes and unix sockets cannot be used.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    About, ActsOn, CallError, Definition, Drawn, Numbers, OnCalls, Realism, pipes::PipeFlags,
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        method::{Method, PipeMethod},
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request},
    quantity::Errno,
};

/// Pipes and unix sockets cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PipeError(pub CallError);

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    pipes: PipeFlags,
    /// What the calls return
    #[arg(long, value_name = "ERRNO", default_value = "EPIPE")]
    errno: Errno,
    /// The errno may be one that the call never returns by itself
    #[arg(long)]
    unusual: bool,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let error = CallError {
            calls: self.pipes.calls(),
            errno: self.errno,
            realism: Realism::of(self.unusual),
        };
        Fault::without_traffic(PipeError(error), self.chance.chance())
    }
}

impl Definition for PipeError {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Calls(OnCalls::Error(&self.0), About::Pipes)
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
        self.0.describe(parameters);
        PipeMethod::describe(&self.0.calls, filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for PipeError {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        self.0.numbers()
    }
}
