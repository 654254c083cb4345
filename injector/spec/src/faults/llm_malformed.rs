//! `llm.malformed`: an answer cannot be read.

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

/// An answer cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Malformed {
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
        self.requests.fault(|requests| Malformed { requests })
    }
}

impl Definition for Malformed {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Requests(OnRequests::Malformed(self))
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
            "the JSON of the answer, or of one piece of a stream, breaks off; transfer and status are well formed".into(),
            model_requests::way(),
        ]
    }
}

impl Numbers for Malformed {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { requests } = self;
        requests.numbers()
    }
}
