//! `llm.cut`: an answer ends half-way.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnModels, OnRequests,
    model_requests::{ModelRequests, RequestFlags, place_in_stream},
    request_fault::RequestFault,
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided, settings::name},
    grammar::{Request, values},
};

/// An answer ends half-way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
    /// How it ends.
    pub ending: Ending,
    /// After how many pieces of a stream; an answer that does not stream ends in the middle of its body.
    pub after_tokens: u32,
}

/// How an answer ends that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// As a complete one does: the transfer is well formed, and only what was to come is missing. Few clients notice.
    Clean,
    /// By the end of the connection, in the middle of the transfer.
    Dirty,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// How it ends: `clean` as a complete answer does, `dirty` by the end of the connection
    #[arg(long, value_enum, value_name = "ENDING")]
    ending: Ending,
    /// After how many pieces of an answer that streams; one that does not ends in the middle of its body
    #[arg(long, value_name = "COUNT", value_parser = values::count::<0, u32>, default_value_t = 1)]
    after_tokens: u32,
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self {
            ending,
            after_tokens,
            requests,
        } = self;
        requests.fault(|requests| Cut {
            requests,
            ending,
            after_tokens,
        })
    }
}

impl RequestFault for Cut {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::Cut(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("ending", name(self.ending));
        parameters.one("after-tokens", self.after_tokens);
    }

    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for Cut {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            requests,
            ending: _,
            after_tokens: _,
        } = self;
        let mut decided = requests.numbers();
        decided.extend(place_in_stream());
        decided
    }
}
