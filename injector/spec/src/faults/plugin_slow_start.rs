//! `plugin.slow-start`: plug-ins start slowly.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnPlugins, OnProcesses,
    plugins::{PluginFlags, Plugins},
    processes::long_enough,
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::{Decided, Why, stays},
        timing::{Span, Timing},
    },
    grammar::Request,
    quantity::duration,
};

/// Plug-ins start slowly: each stands still behind its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSlowStart {
    /// Which.
    #[serde(default, skip_serializing_if = "Plugins::is_every")]
    pub plugins: Plugins,
    /// How long each stands still.
    #[serde(with = "duration")]
    pub latency: Duration,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// How long each stands still, from when it is seen
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    #[command(flatten)]
    plugins: PluginFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let (plugins, chance) = self.plugins.split();
        let fault = PluginSlowStart {
            plugins,
            latency: self.latency,
        };
        Fault::without_traffic(fault, chance)
    }
}

impl Definition for PluginSlowStart {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Processes(OnProcesses::Plugins(OnPlugins::SlowStart(self)))
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(long_enough("plugin.slow-start", self.latency)?)
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, span: Span) -> Timing {
        let is_cut = self.latency >= span.on;
        Timing::remarks(is_cut.then(|| {
            format!(
                "the step is over after {}, before {} are; what stands still then goes on",
                duration::format(span.on),
                duration::format(self.latency)
            )
        }))
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("latency", duration::format(self.latency));
        self.plugins.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        self.plugins.details(format!(
            "each that is started while the fault is on is stopped as soon as it is seen, for {}; those that run already go on",
            duration::format(self.latency)
        ))
    }
}

impl Numbers for PluginSlowStart {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            plugins: _,
            latency: _,
        } = self;
        stays(&["latency"], Why::Schedule)
    }
}
