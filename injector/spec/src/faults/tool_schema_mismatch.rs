//! `tool.schema-mismatch`: the answer of a tool has another shape than its schema promises.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnRequests, OnTools,
    request_fault::RequestFault,
    tool_calls::{Answers, CallFlags, ToolCalls},
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided, settings::name},
    grammar::Request,
};

/// The answer of a tool has another shape than its schema promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSchemaMismatch {
    /// Of which calls.
    #[serde(default)]
    pub calls: ToolCalls,
    /// What of the shape is another.
    pub change: ShapeChange,
}

/// What of an answer's shape is another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ShapeChange {
    /// Texts become numbers, and all else becomes text.
    #[default]
    Types,
    /// The keys of the outermost object get an underscore more.
    Keys,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// What is another: the `types` of values, or the `keys` of objects
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    change: ShapeChange,
    #[command(flatten)]
    calls: CallFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { change, calls } = self;
        calls.fault(|calls| ToolSchemaMismatch { calls, change })
    }
}

impl RequestFault for ToolSchemaMismatch {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::SchemaMismatch(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        self.calls.check("tool.schema-mismatch", Answers::Results)
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("change", name(self.change));
    }

    fn details(&self) -> Vec<String> {
        vec!["the call reaches the tool and takes effect; what it answers as text that is no JSON has no shape, and goes on".into()]
    }
}

impl Numbers for ToolSchemaMismatch {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls, change: _ } = self;
        calls.numbers()
    }
}
