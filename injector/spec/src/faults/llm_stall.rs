//! `llm.stall`: an answer stops half-way, and its connection stays open.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnRequests,
    model_requests::{self, ModelRequests, RequestFlags, place_in_stream},
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        timing::{Span, Timing},
    },
    grammar::{Request, values},
};

/// An answer stops half-way, and its connection stays open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
    /// After how many pieces of a stream; an answer that does not stream stops after its first byte.
    pub after_tokens: u32,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// After how many pieces of an answer that streams; one that does not stops after its first byte
    #[arg(long, value_name = "COUNT", value_parser = values::count::<0, u32>, default_value_t = 1)]
    after_tokens: u32,
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self {
            after_tokens,
            requests,
        } = self;
        requests.fault(|requests| Stall {
            requests,
            after_tokens,
        })
    }
}

impl Definition for Stall {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Requests(OnRequests::Stall(self))
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
        parameters.one("after-tokens", self.after_tokens);
        self.requests.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        vec![
            "it stands still until the client gives up, or the fault ends; then the rest goes on to the client".into(),
            model_requests::way(),
        ]
    }
}

impl Numbers for Stall {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            requests,
            after_tokens: _,
        } = self;
        let mut decided = requests.numbers();
        decided.extend(place_in_stream());
        decided
    }
}
