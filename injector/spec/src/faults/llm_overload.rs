//! `llm.overload`: the provider has too much to do.

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

/// The provider has too much to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overload {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
    /// `None` answers at once; else an answer that was begun ends in an error after so many pieces, under status 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_tokens: Option<u32>,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// Break off an answer that streams after so many pieces, by an error under status 200; at once where not given
    #[arg(long, value_name = "COUNT", value_parser = values::count::<0, u32>)]
    after_tokens: Option<u32>,
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self {
            after_tokens,
            requests,
        } = self;
        requests.fault(|requests| Overload {
            requests,
            after_tokens,
        })
    }
}

impl RequestFault for Overload {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::Overload(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.some("after-tokens", self.after_tokens);
    }

    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for Overload {
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
