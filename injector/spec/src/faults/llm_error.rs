//! `llm.error`: the provider answers with an error.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnModels, OnRequests,
    model_requests::{ModelRequests, RequestFlags},
    request_fault::RequestFault,
};
use crate::{
    experiment::{
        CheckError, Fault, Settings,
        decided::{Decided, Why, stays},
    },
    grammar::Request,
    quantity::HttpStatus,
};

/// The provider answers with an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelError {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
    /// Its status.
    pub status: HttpStatus,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// The answer's status, from 400 to 599; its body is what the provider sends with it
    #[arg(long, value_name = "STATUS", default_value_t)]
    status: HttpStatus,
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { status, requests } = self;
        requests.fault(|requests| ModelError { requests, status })
    }
}

impl RequestFault for ModelError {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::ModelError(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("status", self.status);
    }

    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for ModelError {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            requests,
            status: _,
        } = self;
        let mut decided = requests.numbers();
        decided.extend(stays(&["status"], Why::Told));
        decided
    }
}
