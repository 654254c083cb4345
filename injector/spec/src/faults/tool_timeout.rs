//! `tool.timeout`: no answer comes.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnRequests, OnTools,
    request_fault::RequestFault,
    tool_calls::{Answers, CallFlags, ToolCalls},
};
use crate::{
    experiment::{CheckError, Fault, Fulfilment, Settings, decided::Decided, settings::name},
    grammar::Request,
};

/// No answer comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolTimeout {
    /// Of which calls.
    #[serde(default)]
    pub calls: ToolCalls,
    /// What becomes of the call.
    pub request: Fulfilment,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// What becomes of the call: `delivered` takes effect, and its answer is lost
    #[arg(long, value_enum, value_name = "FATE", default_value_t)]
    request: Fulfilment,
    #[command(flatten)]
    calls: CallFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { request, calls } = self;
        calls.fault(|calls| ToolTimeout { calls, request })
    }
}

impl RequestFault for ToolTimeout {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::Timeout(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        self.calls.check("tool.timeout", Answers::Any)
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("request", name(self.request));
    }

    fn details(&self) -> Vec<String> {
        vec!["the connection stays open and silent until the client gives up, or the fault ends; then what came of the call goes on to the client".into()]
    }
}

impl Numbers for ToolTimeout {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls, request: _ } = self;
        calls.numbers()
    }
}
