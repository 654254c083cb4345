//! `tool.inject`: a text is added to the answer of a tool.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnRequests, OnTools,
    request_fault::RequestFault,
    tool_calls::{Answers, CallFlags, ToolCalls},
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided},
    grammar::{Request, values},
};

/// A text is added to the answer of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolInject {
    /// Of which calls.
    #[serde(default)]
    pub calls: ToolCalls,
    /// The text.
    pub text: String,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// The text that is added, as in a page that a tool has read
    #[arg(long, value_name = "TEXT", value_parser = values::answer_text)]
    text: String,
    #[command(flatten)]
    calls: CallFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { text, calls } = self;
        calls.fault(|calls| ToolInject { calls, text })
    }
}

impl RequestFault for ToolInject {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::Inject(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        self.calls.check("tool.inject", Answers::Results)
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("text", &self.text);
    }

    fn details(&self) -> Vec<String> {
        vec!["the call reaches the tool and takes effect".into()]
    }
}

impl Numbers for ToolInject {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls, text: _ } = self;
        calls.numbers()
    }
}
