//! `proc.starve`: a cgroup gets less CPU time, memory, disk or processes than it wants.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ActsOn, Definition, Drawn, Numbers, OnProcesses, ProcessFaultError};
use crate::{
    experiment::{
        Chance, CheckError, Direction, Fault, Selector, Settings, Target,
        decided::{Decided, Why, stays},
        timing::{Span, Timing},
    },
    grammar::{Request, values},
    quantity::{CpuMax, IoMax, Size},
};

/// A cgroup gets less than it wants; at least one of the limits is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Starve {
    /// Of CPU time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_max: Option<CpuMax>,
    /// Of memory, before the kernel slows it down and reclaims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<Size>,
    /// Of block devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_max: Vec<IoMax>,
    /// Of processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<u64>,
}

#[derive(Args, Debug)]
pub struct Flags {
    /// So much of one CPU, as in 10%; 250% are two CPUs and a half
    #[arg(long, value_name = "SHARE", value_parser = CpuMax::of_share, conflicts_with = "cpu_max")]
    cpu: Option<CpuMax>,
    /// So many microseconds of CPU time in each period, as in "10000 100000"
    #[arg(long, value_name = "QUOTA PERIOD")]
    cpu_max: Option<CpuMax>,
    /// So much memory before the kernel slows it down and takes memory away, as in 64m
    #[arg(long, value_name = "SIZE")]
    memory_high: Option<Size>,
    /// So much of a block device, as in "8:0 rbps=1m wiops=100"; repeatable
    #[arg(long, value_name = "LIMIT", action = clap::ArgAction::Append)]
    io_max: Vec<IoMax>,
    /// So many processes and threads
    #[arg(long, value_name = "COUNT", value_parser = values::count::<0, u64>)]
    pids_max: Option<u64>,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let starve = Starve {
            cpu_max: self.cpu.or(self.cpu_max),
            memory_high: self.memory_high,
            io_max: self.io_max,
            pids_max: self.pids_max,
        };
        // A limit is in force or it is not.
        Fault::without_traffic(starve, Chance::ALWAYS)
    }
}

impl Definition for Starve {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Processes(OnProcesses::Starve(self))
    }

    fn drawn(&self) -> Drawn {
        Drawn::Never
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn check_on(&self, target: &Target) -> Result<(), CheckError> {
        Ok(self.check_for(&target.name, &target.selector)?)
    }

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, _: &mut Settings) {
        parameters.some("cpu-max", self.cpu_max);
        parameters.some("memory-high", self.memory_high);
        parameters.list("io-max", &self.io_max);
        parameters.some("pids-max", self.pids_max);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        // What its limits are now is known on the host alone.
        Vec::new()
    }
}

impl Numbers for Starve {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            cpu_max: _,
            memory_high: _,
            io_max: _,
            pids_max: _,
        } = self;
        let limits = ["cpu", "cpu-max", "memory-high", "io-max", "pids-max"];
        stays(&limits, Why::Limit)
    }
}

impl Starve {
    fn check_for(&self, name: &str, selector: &Selector) -> Result<(), ProcessFaultError> {
        if *self == Self::default() {
            return Err(ProcessFaultError::NothingToStarve);
        }
        for (index, limit) in self.io_max.iter().enumerate() {
            let device = limit.device();
            if self.io_max[..index]
                .iter()
                .any(|other| other.device() == device)
            {
                return Err(ProcessFaultError::SameDevice(device));
            }
        }
        if selector.is_whole_cgroup() {
            Ok(())
        } else {
            Err(ProcessFaultError::Siblings(name.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Follow;

    #[test]
    fn only_a_whole_cgroup_is_starved() {
        let pid = Selector::Pids {
            pids: vec![7],
            follow: Follow::Process,
            pick: None,
        };
        let cgroup = Selector::Cgroup("a/b".into());
        let starve = Starve {
            pids_max: Some(3),
            ..Starve::default()
        };
        assert_eq!(starve.check_for("agent", &cgroup), Ok(()));
        assert_eq!(
            starve.check_for("agent", &pid),
            Err(ProcessFaultError::Siblings("agent".into()))
        );
        assert_eq!(
            Starve::default().check_for("agent", &cgroup),
            Err(ProcessFaultError::NothingToStarve)
        );
        let limit = |text: &str| text.parse().unwrap();
        let twice = Starve {
            io_max: vec![limit("8:0 rbps=1k"), limit("8:0 wbps=1k")],
            ..Starve::default()
        };
        assert_eq!(
            twice.check_for("agent", &cgroup),
            Err(ProcessFaultError::SameDevice("8:0".into()))
        );
    }
}
