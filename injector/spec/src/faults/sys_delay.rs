//! `sys.delay`: system calls take longer.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{About, ActsOn, CallDelay, Definition, Drawn, Numbers, OnCalls, SleepAt, Sleeps};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Parameter, Settings, Target,
        decided::Decided,
        timing::{Span, Timing},
    },
    grammar::{CallFlags, ChanceFlags, Request},
    quantity::duration,
};

/// System calls take longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SysDelay(pub CallDelay);

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    calls: CallFlags,
    /// How long a thread sleeps before the call does its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "delay_exit", required_unless_present = "delay_exit")]
    delay_enter: Option<Duration>,
    /// How long a thread sleeps after the call has done its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    delay_exit: Option<Duration>,
    /// How far a sleep may stray from that, to both sides
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    jitter: Duration,
    /// Longer than 10 s in all: asleep again until the time is over, up to 1 min
    #[arg(long)]
    chain: bool,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        // clap lets exactly one of them through.
        let (at, length) = match (self.delay_enter, self.delay_exit) {
            (Some(length), _) => (SleepAt::Enter, length),
            (None, length) => (SleepAt::Exit, length.unwrap_or_default()),
        };
        let delay = CallDelay {
            calls: self.calls.calls(),
            at,
            length,
            jitter: self.jitter,
            sleeps: if self.chain {
                Sleeps::Chained
            } else {
                Sleeps::Single
            },
        };
        Fault::without_traffic(SysDelay(delay), self.chance.chance())
    }
}

impl Definition for SysDelay {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Calls(OnCalls::Delay(&self.0), About::Anything)
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
        let Self(delay) = self;
        let flag = match delay.at {
            SleepAt::Enter => "delay-enter",
            SleepAt::Exit => "delay-exit",
        };
        delay.describe(flag, parameters);
        parameters.flag("chain", delay.sleeps == Sleeps::Chained);
        filters.list("syscall", &delay.calls.syscalls);
        delay.calls.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for SysDelay {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let length = match self.0.at {
            SleepAt::Enter => Parameter::DelayEnter,
            SleepAt::Exit => Parameter::DelayExit,
        };
        self.0.numbers(length)
    }
}
