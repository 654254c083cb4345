//! `plugin.crash-loop`: plug-ins die again and again.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnPlugins, OnProcesses,
    plugins::{PluginFlags, Plugins, in_time},
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

/// Plug-ins die again and again, shortly after each start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginCrashLoop {
    /// Which.
    #[serde(default, skip_serializing_if = "Plugins::is_every")]
    pub plugins: Plugins,
    /// How long each lives from its start.
    #[serde(with = "duration")]
    pub lives: Duration,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// How long each lives from its start
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "100ms")]
    lives: Duration,
    #[command(flatten)]
    plugins: PluginFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let (plugins, chance) = self.plugins.split();
        let fault = PluginCrashLoop {
            plugins,
            lives: self.lives,
        };
        Fault::without_traffic(fault, chance)
    }
}

impl Definition for PluginCrashLoop {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Processes(OnProcesses::Plugins(OnPlugins::CrashLoop(self)))
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(long_enough("plugin.crash-loop", self.lives)?)
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, span: Span) -> Timing {
        Timing {
            refused: in_time("plugin.crash-loop", self.lives, span.on),
            ..Timing::default()
        }
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("lives", duration::format(self.lives));
        self.plugins.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        self.plugins.details(format!(
            "each gets SIGKILL {} after its start, one that lives longer already at once",
            duration::format(self.lives)
        ))
    }
}

impl Numbers for PluginCrashLoop {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            plugins: _,
            lives: _,
        } = self;
        stays(&["lives"], Why::Schedule)
    }
}
