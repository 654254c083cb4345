//! `net.delay`: packets arrive later.

use std::time::Duration;

use clap::Args;
use injector_common::threshold::Threshold;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Fate, Numbers};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Parameter, Settings, Target,
        decided::{Decided, Place},
        settings::name,
        timing::{Span, Timing, held},
    },
    grammar::{ChanceFlags, PacketFlags, Request},
    quantity::{Percent, duration, threshold},
};

/// How much later packets arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// One way, in each direction that the fault is on.
    #[serde(with = "duration")]
    pub latency: Duration,
    /// How far a packet's delay may stray from the latency.
    #[serde(with = "duration")]
    pub jitter: Duration,
    /// How much a packet's jitter resembles the one before.
    #[serde(with = "threshold")]
    pub correlation: Threshold,
    /// How the jitter is spread.
    pub distribution: Distribution,
}

/// How jitter is spread around the latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Evenly between latency - jitter and latency + jitter.
    #[default]
    Uniform,
    /// A bell curve with the jitter as its standard deviation.
    Normal,
    /// A long tail: most packets early, a few very late.
    Pareto,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// How much later, one way in each direction that the fault is on
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    /// How far a packet's delay may stray from the latency; packets of a connection keep their order
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    jitter: Duration,
    /// How much a packet's jitter resembles the one before
    #[arg(
        long,
        value_name = "PERCENT",
        requires = "jitter",
        default_value = "0%"
    )]
    correlation: Percent,
    /// How the jitter is spread
    #[arg(long, value_enum, requires = "jitter", default_value_t)]
    distribution: Distribution,
    #[command(flatten)]
    packets: PacketFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let delay = Delay {
            latency: self.latency,
            jitter: self.jitter,
            correlation: self.correlation.0,
            distribution: self.distribution,
        };
        self.packets.fault(delay, self.chance.chance())
    }
}

impl Definition for Delay {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::packets(Fate::Held(self.latency.saturating_add(self.jitter)))
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        if self.latency.is_zero() && self.jitter.is_zero() {
            let why = "latency and jitter are zero; set one of them";
            return Err(CheckError::Pointless("net.delay", why));
        }
        Ok(())
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, span: Span) -> Timing {
        let longest = self.latency.saturating_add(self.jitter);
        let held = held(longest, self.latency, span.left);
        Timing::remarks(held.into_iter().chain(self.cut()))
    }

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        parameters.one("latency", duration::format(self.latency));
        if !self.jitter.is_zero() {
            parameters.one("jitter", duration::format(self.jitter));
            parameters.one("distribution", name(self.distribution));
            parameters.one("correlation", Percent(self.correlation));
        }
    }

    fn details(&self, _: Direction) -> Vec<String> {
        if self.jitter.is_zero() {
            return Vec::new();
        }
        let mut lines = vec![String::from(
            "packets of a connection keep their order: one that would overtake another goes on with it (`net reorder` is the fault that reorders)",
        )];
        // How far below the latency the shape reaches, in units of the jitter (`delay_line::distribution`).
        let reach = match self.distribution {
            Distribution::Uniform => self.jitter,
            Distribution::Normal => self.jitter.saturating_mul(4),
            Distribution::Pareto => self.jitter.saturating_mul(2) / 3,
        };
        if reach > self.latency {
            lines.push(
                "the jitter reaches below zero: what is drawn there goes on at once, so the mean is above the latency".into(),
            );
        }
        lines
    }
}

impl Numbers for Delay {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            latency,
            jitter,
            correlation,
            distribution: _,
        } = self;
        vec![
            Decided::Ramps(Parameter::Latency, Place::Time(latency)),
            Decided::Ramps(Parameter::Jitter, Place::Time(jitter)),
            Decided::Ramps(Parameter::Correlation, Place::Share(correlation)),
        ]
    }
}

impl Delay {
    /// Jitter that would have packets arrive before they were sent.
    fn cut(&self) -> Option<String> {
        let Self {
            latency, jitter, ..
        } = *self;
        let (mean, deviation) = (latency.as_secs_f64(), jitter.as_secs_f64());
        let cut = "a delay below zero is none";
        // How far below the mean a delay may stray, in units of the jitter (`delay_line/distribution.rs`).
        let (reach, moved) = match self.distribution {
            Distribution::Uniform => (1.0, (mean + deviation).powi(2) / (4.0 * deviation)),
            Distribution::Normal => (4.0, f64::NAN),
            Distribution::Pareto => (2.0 / 3.0, f64::NAN),
        };
        // A bell's far tail moves nothing that a measurement shows.
        let felt = match self.distribution {
            Distribution::Normal => 2.0,
            Distribution::Uniform | Distribution::Pareto => reach,
        };
        if deviation * felt <= mean || jitter.is_zero() {
            return None;
        }
        let (jitter, latency) = (duration::format(jitter), duration::format(latency));
        Some(if moved.is_finite() {
            let moved = duration::measured(Duration::from_secs_f64(moved));
            format!("jitter {jitter} is more than latency {latency}: {cut}, so the mean is {moved}")
        } else {
            format!(
                "jitter {jitter} reaches below latency {latency}: {cut}, so the mean is above {latency}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(latency: u64, jitter: u64, distribution: Distribution) -> Vec<String> {
        let delay = Delay {
            latency: Duration::from_millis(latency),
            jitter: Duration::from_millis(jitter),
            correlation: Threshold::NEVER,
            distribution,
        };
        delay.details(Direction::Egress)
    }

    #[test]
    fn jitter_is_explained_where_there_is_some() {
        assert!(details(50, 0, Distribution::Normal).is_empty());
        let lines = details(50, 50, Distribution::Uniform);
        assert!(lines.len() == 1 && lines[0].contains("keep their order"));
        for (wide, distribution) in [
            (51, Distribution::Uniform),
            (13, Distribution::Normal),
            (76, Distribution::Pareto),
        ] {
            let lines = details(50, wide, distribution);
            assert!(
                lines.len() == 2 && lines[1].contains("below zero"),
                "{lines:?}"
            );
        }
    }
}
