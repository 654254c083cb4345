//! `plugin.hang`: plug-ins stand still.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnPlugins, OnProcesses,
    plugins::{PluginFlags, Plugins},
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::Decided,
        timing::{Span, Timing},
    },
    grammar::Request,
};

/// Plug-ins stand still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginHang {
    /// Which.
    #[serde(default, skip_serializing_if = "Plugins::is_every")]
    pub plugins: Plugins,
}

#[derive(Args, Debug)]
pub struct Flags {
    #[command(flatten)]
    plugins: PluginFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let (plugins, chance) = self.plugins.split();
        let fault = PluginHang { plugins };
        Fault::without_traffic(fault, chance)
    }
}

impl Definition for PluginHang {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Processes(OnProcesses::Plugins(OnPlugins::Hang(self)))
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

    fn describe(&self, _: &mut Settings, filters: &mut Settings) {
        self.plugins.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        self.plugins.details(
            "each is stopped as long as the fault goes on, those that are started meanwhile too"
                .to_owned(),
        )
    }
}

impl Numbers for PluginHang {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { plugins: _ } = self;
        Vec::new()
    }
}
