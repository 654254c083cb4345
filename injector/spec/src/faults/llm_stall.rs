//! `llm.stall`: an answer stops half-way, and its connection stays open.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnModels, OnRequests,
    model_requests::{ModelRequests, RequestFlags, place_in_stream},
    request_fault::RequestFault,
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided},
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

impl RequestFault for Stall {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::Stall(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("after-tokens", self.after_tokens);
    }

    fn details(&self) -> Vec<String> {
        vec!["it stands still until the client gives up, or the fault ends; then the rest goes on to the client".into()]
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
