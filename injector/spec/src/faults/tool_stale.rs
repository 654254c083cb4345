//! `tool.stale`: a tool gives the answer again that it gave last.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnRequests, OnTools,
    request_fault::RequestFault,
    tool_calls::{Answers, CallFlags, ToolCalls},
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided},
    grammar::Request,
};

/// A tool gives the answer again that it gave last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolStale {
    /// Of which calls.
    #[serde(default)]
    pub calls: ToolCalls,
}

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    calls: CallFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        self.calls.fault(|calls| ToolStale { calls })
    }
}

impl RequestFault for ToolStale {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::Stale(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        self.calls.check("tool.stale", Answers::Any)
    }

    fn describe(&self, _: &mut Settings) {}

    fn details(&self) -> Vec<String> {
        vec!["the call does not reach the tool; the first call of each tool goes on, for there is nothing to give again".into()]
    }
}

impl Numbers for ToolStale {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls } = self;
        calls.numbers()
    }
}
