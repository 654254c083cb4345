//! `llm.error`: the provider answers with an error.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnRequests,
    model_requests::{self, ModelRequests, RequestFlags},
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::{Decided, Why, stays},
        timing::{Span, Timing},
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

impl Definition for ModelError {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Requests(OnRequests::ModelError(self))
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("status", self.status);
        self.requests.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        vec![model_requests::way()]
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
