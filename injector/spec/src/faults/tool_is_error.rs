//! `tool.is-error`: the tool says that it has failed, in a result that is well formed.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnRequests, OnTools,
    request_fault::RequestFault,
    tool_calls::{Answers, CallFlags, ToolCalls},
};
use crate::{
    experiment::{CheckError, Fault, Interface, Settings, ToolCallError, decided::Decided},
    grammar::{Request, values},
};

/// The tool says that it has failed, in a result that is well formed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolIsError {
    /// Of which calls.
    #[serde(default)]
    pub calls: ToolCalls,
    /// What the result says.
    pub text: String,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// What the result says
    #[arg(long, value_name = "TEXT", value_parser = values::answer_text, default_value = "the tool has failed")]
    text: String,
    #[command(flatten)]
    calls: CallFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { text, calls } = self;
        calls.fault(|calls| ToolIsError { calls, text })
    }
}

impl RequestFault for ToolIsError {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::IsError(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        if self.calls.interface == Interface::Json {
            return Err(ToolCallError::NoFlag.into());
        }
        self.calls.check("tool.is-error", Answers::Results)
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("text", &self.text);
    }

    fn details(&self) -> Vec<String> {
        vec!["the call does not reach the tool; its result has `isError: true`, which is no error of the protocol".into()]
    }
}

impl Numbers for ToolIsError {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls, text: _ } = self;
        calls.numbers()
    }
}
