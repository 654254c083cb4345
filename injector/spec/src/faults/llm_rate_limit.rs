//! `llm.rate-limit`: the provider says that its limit is reached.

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
        CheckError, Fault, Settings,
        decided::{Decided, Why, stays},
        settings::name,
    },
    grammar::Request,
    quantity::duration,
};

/// The provider says that its limit is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// To which requests.
    #[serde(default)]
    pub requests: ModelRequests,
    /// Which limit.
    pub limit: Limit,
    /// How long the answer tells the client to wait; `None` leaves that out.
    #[serde(
        default,
        with = "duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<Duration>,
}

/// Which limit of a provider. A client can tell them apart by the code in the answer alone: the status is 429 for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Requests or tokens in a time: it passes when the client waits.
    #[default]
    Rate,
    /// Its requests grow too fast: it passes when the client slows down.
    SlowDown,
    /// The money is spent: it never passes, and the answer names no time to wait.
    Quota,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// Which limit is reached: `quota` is the one that no retry helps against
    #[arg(long, value_enum, value_name = "WHICH", default_value_t)]
    limit: Limit,
    /// How long the answer tells the client to wait; rounded up to whole seconds, as headers have them
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    retry_after: Option<Duration>,
    #[command(flatten)]
    requests: RequestFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self {
            limit,
            retry_after,
            requests,
        } = self;
        requests.fault(|requests| RateLimit {
            requests,
            limit,
            retry_after,
        })
    }
}

impl RequestFault for RateLimit {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Models(OnModels::RateLimit(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        if self.limit == Limit::Quota && self.retry_after.is_some() {
            let why = "a spent quota comes back at no time, so `retry-after` is never sent with it; leave it out";
            return Err(CheckError::Pointless("llm.rate-limit", why));
        }
        Ok(())
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.one("limit", name(self.limit));
        parameters.some("retry-after", self.retry_after.map(duration::format));
    }

    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for RateLimit {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            requests,
            limit: _,
            retry_after: _,
        } = self;
        let mut decided = requests.numbers();
        decided.extend(stays(&["retry-after"], Why::Told));
        decided
    }
}
