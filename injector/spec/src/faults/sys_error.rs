//! `sys.error`: system calls fail.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{About, ActsOn, CallError, Definition, Drawn, Numbers, OnCalls, Realism};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        timing::{Span, Timing},
    },
    grammar::{CallFlags, ChanceFlags, Request},
    quantity::Errno,
};

/// System calls fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SysError(pub CallError);

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    calls: CallFlags,
    /// What they return, as in `ENOSPC`
    #[arg(long, value_name = "ERRNO")]
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
            calls: self.calls.calls(),
            errno: self.errno,
            realism: Realism::of(self.unusual),
        };
        Fault::without_traffic(SysError(error), self.chance.chance())
    }
}

impl Definition for SysError {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Calls(OnCalls::Error(&self.0), About::Anything)
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
        filters.list("syscall", &self.0.calls.syscalls);
        self.0.calls.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for SysError {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        self.0.numbers()
    }
}
