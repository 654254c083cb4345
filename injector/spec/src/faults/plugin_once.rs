//! What the faults share that fall on each plug-in once: `plugin.kill`, `plugin.pipe-held-death`, `plugin.torn-line`.

use std::{fmt::Debug, marker::PhantomData, time::Duration};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    ActsOn, Definition, Drawn, Numbers, OnPlugins, OnProcesses,
    plugins::{PluginFlags, Plugins, in_time},
};
use crate::{
    experiment::{
        CheckError, Direction, Fault, FaultKind, Settings, Target,
        decided::{Decided, Why, stays},
        timing::{Span, Timing},
    },
    grammar::Request,
    quantity::duration,
};

/// What is done to each.
pub trait Act: Sized + 'static {
    /// The fault's name.
    const FAULT: &'static str;

    /// What a plan says of it, at this moment: `at once`, or `after 2s`.
    fn done(moment: &str) -> String;

    /// As one of all that happens to plug-ins.
    fn on(fault: &Once<Self>) -> OnPlugins<'_>;
}

/// Something is done to plug-ins, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub struct Once<A> {
    /// Which.
    #[serde(default, skip_serializing_if = "Plugins::is_every")]
    pub plugins: Plugins,
    /// How long after the fault has begun.
    #[serde(with = "duration")]
    pub after: Duration,
    #[serde(skip)]
    act: PhantomData<A>,
}

#[derive(Args, Debug)]
pub struct Flags<A: Send + Sync + 'static> {
    /// How long after the fault has begun
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    after: Duration,
    #[command(flatten)]
    plugins: PluginFlags,
    #[arg(skip)]
    act: PhantomData<A>,
}

impl<A: Act + Send + Sync> Request for Flags<A>
where
    FaultKind: From<Once<A>>,
{
    fn fault(self) -> Fault {
        let (plugins, chance) = self.plugins.split();
        let fault = Once {
            plugins,
            after: self.after,
            act: self.act,
        };
        Fault::without_traffic(fault, chance)
    }
}

impl<A: Act> Definition for Once<A> {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Processes(OnProcesses::Plugins(A::on(self)))
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
            refused: in_time(A::FAULT, self.after, span.on),
            ..Timing::default()
        }
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("after", duration::format(self.after));
        self.plugins.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        let moment = if self.after.is_zero() {
            "at once".to_owned()
        } else {
            format!("after {}", duration::format(self.after))
        };
        self.plugins.details(A::done(&moment))
    }
}

impl<A> Numbers for Once<A> {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            plugins: _,
            after: _,
            act: _,
        } = self;
        stays(&["after"], Why::Schedule)
    }
}
