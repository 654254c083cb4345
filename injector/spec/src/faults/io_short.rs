//! `io.short`: files are read and written in smaller pieces than asked.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{About, ActsOn, Definition, Drawn, Numbers, OnCalls, files::FileFlags};
use crate::{
    experiment::{
        CallFaultError, Calls, CheckError, Direction, Fault, FdKind, Settings, Target,
        decided::{Decided, Why, stays},
        method::{Method, VectorMethod},
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request, values},
};

/// Calls read or write less than they were asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallShort {
    /// Which; calls with a vector.
    pub calls: Calls,
    /// The most bytes of one call, from 1.
    pub at_most: u32,
}

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    files: FileFlags,
    /// What is done with them; repeatable. read and write have their length in a register, where nothing can
    /// change it
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        value_delimiter = ',',
        default_value = "readv,writev"
    )]
    methods: Vec<VectorMethod>,
    /// The most bytes of one call; a call that asks for no more is missed
    #[arg(long, value_name = "BYTES", default_value_t = 1, value_parser = values::count::<1, u32>)]
    at_most: u32,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let names = self.methods.iter().flat_map(|method| method.calls());
        let short = CallShort {
            calls: self.files.calls(names),
            at_most: self.at_most,
        };
        Fault::without_traffic(short, self.chance.chance())
    }
}

impl Definition for CallShort {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Calls(OnCalls::Short(self), About::Files)
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        self.calls.check()?;
        if self.at_most == 0 {
            return Err(CallFaultError::NoBytes.into());
        }
        if self.calls.kinds.iter().any(|kind| *kind != FdKind::File) {
            return Err(CallFaultError::OtherKind.into());
        }
        let other = self.calls.syscalls.iter().find(|call| !call.has_vector());
        other.map_or(Ok(()), |call| Err(CallFaultError::NoVector(*call).into()))
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("at-most", self.at_most);
        VectorMethod::describe(&self.calls, filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for CallShort {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls, at_most: _ } = self;
        let mut decided = calls.numbers();
        decided.extend(stays(&["at-most"], Why::Size));
        decided
    }
}
