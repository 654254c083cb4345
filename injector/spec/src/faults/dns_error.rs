//! `dns.error`: names do not resolve.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Fate, Numbers, OnLookUps, look_ups::QueryFlags};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        settings::name,
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request},
};

/// Names do not resolve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsError {
    /// What the resolver seems to answer.
    pub answer: DnsAnswer,
    /// Globs of the names that are affected; empty is every name.
    pub hostnames: Vec<String>,
}

/// What the resolver seems to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DnsAnswer {
    /// There is no such name.
    #[value(name = "nxdomain")]
    NxDomain,
    /// The resolver failed.
    #[value(name = "servfail")]
    ServFail,
    /// Nothing.
    Timeout,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// What the resolver seems to answer
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    answer: DnsAnswer,
    #[command(flatten)]
    queries: QueryFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let answer = self.answer;
        let kind = |hostnames| DnsError { answer, hostnames };
        self.queries.fault(kind, self.chance.chance())
    }
}

impl Definition for DnsError {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::LookUps(OnLookUps {
            names: &self.hostnames,
            fate: match self.answer {
                DnsAnswer::NxDomain | DnsAnswer::ServFail => Fate::GoesOn,
                DnsAnswer::Timeout => Fate::Lost,
            },
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

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("type", name(self.answer));
        filters.list("hostname", &self.hostnames);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for DnsError {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            answer: _,
            hostnames: _,
        } = self;
        Vec::new()
    }
}
