//! `llm.timeout`: no answer comes.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnModels, OnRequests,
    model_requests::{ModelRequests, RequestFlags},
    request_fault::RequestFault,
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided, settings::name},
    grammar::Request,
};

/// No answer comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
    /// What becomes of the request.
    pub request: Fulfilment,
}

/// What becomes of a request whose answer never comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Fulfilment {
    /// It reaches the provider and takes effect; a retry has the effect twice.
    #[default]
    Delivered,
    /// It never reaches the provider.
    Lost,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// What becomes of the request: `delivered` takes effect, and its answer is lost
    #[arg(long, value_enum, value_name = "FATE", default_value_t)]
    request: Fulfilment,
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self { request, requests } = self;
        requests.fault(|requests| Timeout { requests, request })
    }
}

impl RequestFault for Timeout {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::Timeout(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("request", name(self.request));
    }

    fn details(&self) -> Vec<String> {
        vec!["the connection stays open and silent until the client gives up, or the fault ends; then what came of the request goes on to the client".into()]
    }
}

impl Numbers for Timeout {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            requests,
            request: _,
        } = self;
        requests.numbers()
    }
}
