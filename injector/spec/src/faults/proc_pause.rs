//! `proc.pause`: processes stand still.

use std::{fmt, time::Duration};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Numbers, OnProcesses, processes::long_enough};
use crate::{
    experiment::{
        CheckError, Direction, Fault, Settings, Target,
        decided::{Decided, Why, stays},
        timing::{Span, Timing},
    },
    grammar::{ChanceFlags, Request},
    quantity::duration,
};

/// Processes stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// In turns; the whole time where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulse: Option<Pulse>,
}

/// On for a while, off for a while, from the fault's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulse {
    /// How long it is on.
    #[serde(with = "duration")]
    pub active: Duration,
    /// How long it is off then.
    #[serde(with = "duration")]
    pub dormant: Duration,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// In turns: how long they stand still
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "dormant")]
    active: Option<Duration>,
    /// In turns: how long they go on then
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "active")]
    dormant: Option<Duration>,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let pulse = self.active.zip(self.dormant);
        let pause = Pause {
            pulse: pulse.map(|(active, dormant)| Pulse { active, dormant }),
        };
        Fault::without_traffic(pause, self.chance.chance())
    }
}

impl Definition for Pause {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Processes(OnProcesses::Pause(self))
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        let Some(Pulse { active, dormant }) = self.pulse else {
            return Ok(());
        };
        long_enough("proc.pause", active)?;
        Ok(long_enough("proc.pause", dormant)?)
    }

    fn timing(&self, span: Span) -> Timing {
        let once = self
            .pulse
            .filter(|pulse| pulse.active.saturating_add(pulse.dormant) >= span.on);
        Timing::remarks(once.map(|pulse| {
            format!(
                "the step is over after {}, before a second turn; processes stand still once, for {}",
                duration::format(span.on),
                duration::format(pulse.active.min(span.on))
            )
        }))
    }

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        if let Some(Pulse { active, dormant }) = self.pulse {
            parameters.one("active", duration::format(active));
            parameters.one("dormant", duration::format(dormant));
        }
    }

    fn details(&self, _: Direction) -> Vec<String> {
        vec![self.to_string()]
    }
}

impl Numbers for Pause {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self { pulse } = self;
        if let Some(Pulse {
            active: _,
            dormant: _,
        }) = pulse
        {}
        stays(&["active", "dormant"], Why::Schedule)
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pulse {
            None => write!(out, "stands still all the time"),
            Some(Pulse { active, dormant }) => write!(
                out,
                "stands still for {}, goes on for {}, in turns",
                duration::format(active),
                duration::format(dormant)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Follow, Selector};

    #[test]
    fn turns_that_cannot_be_kept_are_refused() {
        let target = Target {
            name: "agent".into(),
            selector: Selector::Pids {
                pids: vec![7],
                follow: Follow::Process,
                pick: None,
            },
        };
        let (shortest, short) = (Duration::from_millis(50), Duration::from_millis(49));
        let check = |active, dormant| {
            let pulse = Some(Pulse { active, dormant });
            Pause { pulse }.check_on(&target)
        };
        assert_eq!(check(shortest, shortest), Ok(()));
        assert!(check(short, shortest).is_err());
        assert!(check(shortest, short).is_err());
    }
}
