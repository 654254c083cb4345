//! `llm.empty`: the model answers nothing.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnModels, OnRequests,
    model_requests::{ModelRequests, RequestFlags},
    request_fault::RequestFault,
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided},
    grammar::Request,
};

/// The model answers nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
}

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        self.requests.fault(|requests| Empty { requests })
    }
}

impl RequestFault for Empty {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::Empty(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn describe(&self, _: &mut Settings) {}

    fn details(&self) -> Vec<String> {
        vec!["the answer is well formed, complete and has no text".into()]
    }
}

impl Numbers for Empty {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { requests } = self;
        requests.numbers()
    }
}
