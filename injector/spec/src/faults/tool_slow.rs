//! `tool.slow`: tools answer later.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnRequests, OnTools,
    request_fault::RequestFault,
    tool_calls::{Answers, CallFlags, ToolCalls},
};
use crate::{
    experiment::{
        CheckError, Fault, Parameter, Settings,
        decided::{Decided, Place},
    },
    grammar::Request,
    quantity::duration,
};

/// Tools answer later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSlow {
    /// Of which calls.
    #[serde(default)]
    pub calls: ToolCalls,
    /// How much later the answer begins.
    #[serde(with = "duration")]
    pub latency: Duration,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// How much later the answer begins
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    #[command(flatten)]
    calls: CallFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { latency, calls } = self;
        calls.fault(|calls| ToolSlow { calls, latency })
    }
}

impl RequestFault for ToolSlow {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::Slow(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        if self.latency.is_zero() {
            return Err(CheckError::Pointless(
                "tool.slow",
                "`latency` is zero; set it",
            ));
        }
        self.calls.check("tool.slow", Answers::Any)
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("latency", duration::format(self.latency));
    }

    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for ToolSlow {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls, latency } = self;
        let mut decided = calls.numbers();
        decided.push(Decided::Ramps(Parameter::Latency, Place::Time(latency)));
        decided
    }
}
