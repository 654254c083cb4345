//! `tool.empty`: a tool answers with nothing in it.

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

/// A tool answers with nothing in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolEmpty {
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
        self.calls.fault(|calls| ToolEmpty { calls })
    }
}

impl RequestFault for ToolEmpty {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::Empty(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        self.calls.check("tool.empty", Answers::Results)
    }

    fn describe(&self, _: &mut Settings) {}

    fn details(&self) -> Vec<String> {
        vec!["the call reaches the tool and takes effect".into()]
    }
}

impl Numbers for ToolEmpty {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls } = self;
        calls.numbers()
    }
}
