//! `llm.wrong-model`: another model answers than the one that was asked.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnModels, OnRequests,
    model_requests::{ModelRequests, RequestFlags},
    request_fault::RequestFault,
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided},
    grammar::{Request, values},
};

/// Another model answers than the one that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongModel {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
    /// The model that the answer names.
    pub answers: String,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// The model that the answer names in place of the one that was asked
    #[arg(long, value_name = "MODEL", value_parser = values::model_name)]
    answers: String,
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { answers, requests } = self;
        requests.fault(|requests| WrongModel { requests, answers })
    }
}

impl RequestFault for WrongModel {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::WrongModel(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("answers", &self.answers);
    }

    fn details(&self) -> Vec<String> {
        vec!["the text of the answer stays as it is".into()]
    }
}

impl Numbers for WrongModel {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            requests,
            answers: _,
        } = self;
        requests.numbers()
    }
}
