//! `llm.malformed`: an answer cannot be read.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnModels, OnRequests,
    model_requests::{ModelRequests, RequestFlags},
    request_fault::RequestFault,
};
use crate::{
    experiment::{CheckError, Fault, Settings, decided::Decided},
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

impl RequestFault for Malformed {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::Malformed(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn describe(&self, _: &mut Settings) {}

    fn details(&self) -> Vec<String> {
        vec!["the JSON of the answer, or of one piece of a stream, breaks off; transfer and status are well formed".into()]
    }
}

impl Numbers for Malformed {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { requests } = self;
        requests.numbers()
    }
}
