//! `plugin.kill`: plug-ins die.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnPlugins, OnProcesses,
    plugins::{PluginFlags, Plugins, in_time, moment},
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

/// Plug-ins die, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginKill {
    /// Which.
    #[serde(default, skip_serializing_if = "Plugins::is_every")]
    pub plugins: Plugins,
    /// How long after the fault has begun.
    #[serde(with = "duration")]
    pub after: Duration,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// How long after the fault has begun
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    after: Duration,
    #[command(flatten)]
    plugins: PluginFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let (plugins, chance) = self.plugins.split();
        let fault = PluginKill {
            plugins,
            after: self.after,
        };
        Fault::without_traffic(fault, chance)
    }
}

impl Definition for PluginKill {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Processes(OnProcesses::Plugins(OnPlugins::Kill(self)))
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
        Timing {
            refused: in_time("plugin.kill", self.after, span.on),
            ..Timing::default()
        }
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("after", duration::format(self.after));
        self.plugins.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        self.plugins.details(format!(
            "each gets SIGKILL {}, once; one that is started afterwards lives",
            moment(self.after)
        ))
    }
}

impl Numbers for PluginKill {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            plugins: _,
            after: _,
        } = self;
        stays(&["after"], Why::Schedule)
    }
}
