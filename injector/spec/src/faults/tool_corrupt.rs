//! `tool.corrupt`: the answer of a tool is damaged.

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

/// The answer of a tool is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCorrupt {
    /// Of which calls.
    #[serde(default)]
    pub calls: ToolCalls,
    /// What is damaged.
    pub damage: Damage,
}

/// What of an answer is damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Damage {
    /// Letters and digits of its text become others; its JSON stays valid.
    #[default]
    Text,
    /// Its JSON breaks off in the middle.
    Json,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// What is damaged: `text` is read and wrong, `json` cannot be read
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    damage: Damage,
    #[command(flatten)]
    calls: CallFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { damage, calls } = self;
        calls.fault(|calls| ToolCorrupt { calls, damage })
    }
}

impl RequestFault for ToolCorrupt {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::Corrupt(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        self.calls.check("tool.corrupt", Answers::Any)
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("damage", name(self.damage));
    }

    fn details(&self) -> Vec<String> {
        vec!["the call reaches the tool and takes effect".into()]
    }
}

impl Numbers for ToolCorrupt {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { calls, damage: _ } = self;
        calls.numbers()
    }
}
