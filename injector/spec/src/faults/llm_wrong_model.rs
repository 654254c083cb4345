//! `llm.wrong-model`: another model answers than the one that was asked.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnRequests,
    model_requests::{self, ModelRequests, RequestFlags},
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        timing::{Span, Timing},
    },
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

impl Definition for WrongModel {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Requests(OnRequests::WrongModel(self))
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
        parameters.one("answers", &self.answers);
        self.requests.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        vec![
            "the text of the answer stays as it is".into(),
            model_requests::way(),
        ]
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
