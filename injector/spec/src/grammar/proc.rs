//! `injector proc …`: faults on the processes of a target as wholes.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{
    fault::{Request, With},
    traffic::ChanceFlags,
    values,
};
use crate::{
    experiment::{
        Calls, Chance, Direction, Fault, FaultKind, Interval, Kill, KillAtCall, Pause, Pulse,
        Respawn, Starve, Traffic,
    },
    quantity::{CpuMax, IoMax, Signal, Size, duration},
    syscall::Syscall,
};

/// The faults on processes; `C` is what surrounds a fault, on the command line or in a file.
#[derive(Subcommand, Debug)]
pub enum ProcFault<C: Args> {
    /// Processes get a signal, once or every so often
    Kill(With<KillFlags, C>),
    /// Processes stand still, all the time or in turns
    Pause(With<PauseFlags, C>),
    /// A cgroup gets less CPU time, memory, disk or processes than it wants
    Starve(With<StarveFlags, C>),
}

impl<C: Args> ProcFault<C> {
    /// Takes the request apart.
    pub fn split(self) -> (Fault, C) {
        match self {
            Self::Kill(with) => with.split(),
            Self::Pause(with) => with.split(),
            Self::Starve(with) => with.split(),
        }
    }
}

#[derive(Args, Debug)]
pub struct KillFlags {
    /// Which signal
    #[arg(long, value_name = "SIGNAL", default_value = "KILL")]
    signal: Signal,
    /// How long after the fault has begun
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    after: Duration,
    /// Again every so often, to every process that is there; once where not given
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    interval: Option<Duration>,
    /// To the thread that makes this system call, before the call does anything; `--when` says at which of them; repeatable
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with_all = ["after", "interval"]
    )]
    at_call: Vec<Syscall>,
    /// Only at calls of threads with such a name, as in `tokio-*`
    #[arg(long, value_name = "GLOB", requires = "at_call")]
    thread: Option<String>,
    /// What becomes of processes that appear in the target afterwards
    #[arg(long, value_enum, value_name = "WHAT")]
    respawn: Option<Respawn>,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct PauseFlags {
    /// In turns: how long they stand still
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "dormant")]
    active: Option<Duration>,
    /// In turns: how long they go on then
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "active")]
    dormant: Option<Duration>,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct StarveFlags {
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

fn on_processes(kind: FaultKind, chance: Chance) -> Fault {
    Fault {
        target: 0,
        kind,
        direction: Direction::Egress,
        traffic: Traffic::default(),
        chance,
        ramps: Vec::new(),
    }
}

impl Request for KillFlags {
    fn fault(self) -> Fault {
        let chance = self.chance.chance();
        if self.at_call.is_empty() {
            let kill = Kill {
                signal: self.signal,
                after: self.after,
                interval: self.interval.map(Interval),
                respawn: self.respawn,
            };
            return on_processes(FaultKind::Kill(kill), chance);
        }
        let kill = KillAtCall {
            signal: self.signal,
            calls: Calls::of(self.at_call, self.thread),
            respawn: self.respawn,
        };
        on_processes(FaultKind::KillAtCall(kill), chance)
    }
}

impl Request for PauseFlags {
    fn fault(self) -> Fault {
        let pulse = self.active.zip(self.dormant);
        let pause = Pause {
            pulse: pulse.map(|(active, dormant)| Pulse { active, dormant }),
        };
        on_processes(FaultKind::Pause(pause), self.chance.chance())
    }
}

impl Request for StarveFlags {
    fn fault(self) -> Fault {
        let starve = Starve {
            cpu_max: self.cpu.or(self.cpu_max),
            memory_high: self.memory_high,
            io_max: self.io_max,
            pids_max: self.pids_max,
        };
        // A limit is in force or it is not.
        on_processes(FaultKind::Starve(starve), Chance::ALWAYS)
    }
}
