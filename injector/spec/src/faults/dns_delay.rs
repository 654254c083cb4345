//! `dns.delay`: names resolve later.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Fate, Numbers, OnLookUps, look_ups::QueryFlags};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Parameter, Settings, Target,
        decided::{Decided, Place},
        timing::{Span, Timing, held},
    },
    grammar::{ChanceFlags, Request},
    quantity::duration,
};

/// Names resolve later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsDelay {
    /// How long a query is held on its way to the resolver.
    #[serde(with = "duration")]
    pub latency: Duration,
    /// Globs of the names that are affected; empty is every name.
    pub hostnames: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// How long a query is held; one that a resolver's client sends again is another query
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    #[command(flatten)]
    queries: QueryFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let latency = self.latency;
        let kind = |hostnames| DnsDelay { latency, hostnames };
        self.queries.fault(kind, self.chance.chance())
    }
}

impl Definition for DnsDelay {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::LookUps(OnLookUps {
            names: &self.hostnames,
            fate: Fate::Held(self.latency),
        })
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

    fn timing(&self, span: Span) -> Timing {
        Timing::remarks(held(self.latency, self.latency, span.left))
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("latency", duration::format(self.latency));
        filters.list("hostname", &self.hostnames);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for DnsDelay {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            latency,
            hostnames: _,
        } = self;
        vec![Decided::Ramps(Parameter::Latency, Place::Time(latency))]
    }
}
