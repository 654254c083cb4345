//! `llm.slow`: the model answers slowly.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnModels, OnRequests,
    model_requests::{ModelRequests, RequestFlags},
    request_fault::RequestFault,
};
use crate::{
    experiment::{
        CheckError, Fault, Parameter, Settings,
        decided::{Decided, Place},
    },
    grammar::Request,
    quantity::duration,
};

/// The model answers slowly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
    /// How much later the answer begins.
    #[serde(with = "duration")]
    pub latency: Duration,
    /// How long each piece of a stream waits behind the one before.
    #[serde(with = "duration")]
    pub token_gap: Duration,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// How much later the answer begins
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    latency: Duration,
    /// How long each piece of an answer that streams waits behind the one before
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    token_gap: Duration,
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self {
            latency,
            token_gap,
            requests,
        } = self;
        requests.fault(|requests| Slow {
            requests,
            latency,
            token_gap,
        })
    }
}

impl RequestFault for Slow {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::Slow(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        if self.latency.is_zero() && self.token_gap.is_zero() {
            let why = "`latency` and `token-gap` are zero; set one of them";
            return Err(CheckError::Pointless("llm.slow", why));
        }
        Ok(())
    }

    fn describe(&self, parameters: &mut Settings) {
        for (name, time) in [("latency", self.latency), ("token-gap", self.token_gap)] {
            parameters.some(name, (!time.is_zero()).then(|| duration::format(time)));
        }
    }

    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for Slow {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            requests,
            latency,
            token_gap,
        } = self;
        let mut decided = requests.numbers();
        decided.extend([
            Decided::Ramps(Parameter::Latency, Place::Time(latency)),
            Decided::Ramps(Parameter::TokenGap, Place::Time(token_gap)),
        ]);
        decided
    }
}
