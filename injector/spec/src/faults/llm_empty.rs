//! `llm.empty`: the model answers nothing.

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

impl Definition for Empty {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Requests(OnRequests::Empty(self))
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

    fn describe(&self, _: &mut Settings, filters: &mut Settings) {
        self.requests.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        vec![
            "the answer is well formed, complete and has no text".into(),
            model_requests::way(),
        ]
    }
}

impl Numbers for Empty {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { requests } = self;
        requests.numbers()
    }
}
