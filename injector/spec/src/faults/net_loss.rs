//! `net.loss`: packets are lost on the wire.

use clap::Args;
use injector_common::threshold::Threshold;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Fate, Numbers};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Parameter, Settings, Target,
        decided::{Decided, Place, Why},
        timing::{Span, Timing},
    },
    grammar::{LimitFlags, PacketFlags, Request},
    quantity::{GeModel, Percent, threshold},
};

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Loss {
    /// Each on its own, with the fault's chance.
    Independent {
        /// How much a packet's luck resembles the one before.
        #[serde(with = "threshold")]
        correlation: Threshold,
    },
    /// In bursts: from good to bad, from bad to good, loss in bad, loss in good.
    GilbertElliott(#[serde(with = "four_thresholds")] [Threshold; 4]),
}

#[derive(Args, Debug)]
pub struct Flags {
    /// The share of the packets that is lost
    #[arg(long, value_name = "PERCENT", required_unless_present = "gemodel")]
    percent: Option<Percent>,
    /// How much a packet's luck resembles the one before
    #[arg(long, value_name = "PERCENT", default_value = "0%")]
    correlation: Percent,
    /// Loss in bursts (Gilbert-Elliott), as percentages: good to bad, bad to good, loss in bad, in good
    #[arg(long, value_name = "p,r,1-h,1-k", conflicts_with_all = ["percent", "correlation"])]
    gemodel: Option<GeModel>,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    limits: LimitFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Percent(correlation) = self.correlation;
        let loss = match self.gemodel {
            Some(GeModel(model)) => Loss::GilbertElliott(model),
            None => Loss::Independent { correlation },
        };
        // In bursts the model alone decides, and every match asks it.
        let percent = self.percent.unwrap_or(Percent(Threshold::ALWAYS));
        self.packets.fault(loss, self.limits.chance(percent))
    }
}

impl Definition for Loss {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::packets(Fate::Lost)
    }

    fn drawn(&self) -> Drawn {
        match self {
            Self::Independent { .. } => Drawn::ByChance,
            Self::GilbertElliott(_) => Drawn::ByModel,
        }
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

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        match self {
            Self::Independent { correlation } => {
                let is_set = *correlation != Threshold::NEVER;
                parameters.some("correlation", is_set.then_some(Percent(*correlation)));
            }
            Self::GilbertElliott(model) => parameters.one("gemodel", GeModel(*model)),
        }
    }

    fn details(&self, _: Direction) -> Vec<String> {
        Vec::new()
    }
}

impl Numbers for Loss {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        match self {
            Self::Independent { correlation } => {
                vec![Decided::Ramps(
                    Parameter::Correlation,
                    Place::Share(correlation),
                )]
            }
            Self::GilbertElliott(_) => vec![Decided::Stays("gemodel", Why::Several)],
        }
    }
}

/// Four percentages, in a list.
mod four_thresholds {
    use injector_common::threshold::Threshold;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::quantity::Percent;

    pub(super) fn serialize<S: Serializer>(
        value: &[Threshold; 4],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Percent).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[Threshold; 4], D::Error> {
        <[Percent; 4]>::deserialize(from).map(|percents| percents.map(|percent| percent.0))
    }
}
