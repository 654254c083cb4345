//! `injector sys …`: system calls that fail or stall.

use std::time::Duration;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::{
    fault::{Request, With},
    io::PathFlags,
    traffic::ChanceFlags,
    values,
};
use crate::{
    experiment::{
        CallDelay, CallError, CallMechanism, Calls, Chance, Direction, Fault, FaultKind, FdKind,
        Realism, SleepAt, Sleeps, Traffic,
    },
    quantity::{Errno, PortRange, duration},
    syscall::{Syscall, SyscallClass},
};

/// The faults on system calls; `C` is what surrounds a fault, on the command line or in a file.
#[derive(Subcommand, Debug)]
pub enum SysFault<C: Args> {
    /// System calls fail
    Error(With<ErrorFlags, C>),
    /// System calls take longer: the calling thread sleeps, others go on
    Delay(With<DelayFlags, C>),
}

impl<C: Args> SysFault<C> {
    /// Takes the request apart.
    pub fn split(self) -> (Fault, C) {
        match self {
            Self::Error(with) => with.split(),
            Self::Delay(with) => with.split(),
        }
    }
}

/// Which calls.
#[derive(Args, Debug)]
#[command(next_help_heading = "Calls")]
struct CallFlags {
    /// This system call, as in `openat`; repeatable
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        required_unless_present = "syscall_class"
    )]
    syscall: Vec<Syscall>,
    /// All calls of this kind; repeatable
    #[arg(long, value_name = "CLASS", value_enum, value_delimiter = ',')]
    syscall_class: Vec<SyscallClass>,
    /// Only of threads with such a name, as in `tokio-*`
    #[arg(long, value_name = "GLOB")]
    thread: Option<String>,
    #[command(flatten)]
    paths: PathFlags,
    /// Only about files of this kind; repeatable
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    fd_kind: Vec<FdKind>,
    /// Only about sockets whose far end has this address or network; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = values::net, value_delimiter = ',')]
    dest_ip: Vec<IpNet>,
    /// Only about sockets whose far end has this port or range; repeatable
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    dest_port: Vec<PortRange>,
    /// By this mechanism and no other
    #[arg(long, value_name = "NAME", value_enum)]
    mechanism: Option<CallMechanism>,
}

#[derive(Args, Debug)]
pub struct ErrorFlags {
    #[command(flatten)]
    calls: CallFlags,
    /// What they return, as in `ENOSPC`
    #[arg(long, value_name = "ERRNO")]
    errno: Errno,
    /// The errno may be one that the call never returns by itself
    #[arg(long)]
    unusual: bool,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct DelayFlags {
    #[command(flatten)]
    calls: CallFlags,
    /// How long a thread sleeps before the call does its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "delay_exit", required_unless_present = "delay_exit")]
    delay_enter: Option<Duration>,
    /// How long a thread sleeps after the call has done its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    delay_exit: Option<Duration>,
    /// How far a sleep may stray from that, to both sides
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    jitter: Duration,
    /// Longer than 10 s in all: asleep again until the time is over, up to 1 min
    #[arg(long)]
    chain: bool,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl CallFlags {
    fn calls(self) -> Calls {
        let of_classes = self.syscall_class.into_iter().flat_map(SyscallClass::calls);
        let calls = Calls::of(self.syscall.into_iter().chain(of_classes), self.thread);
        self.paths.narrow(Calls {
            mechanism: self.mechanism,
            kinds: self.fd_kind,
            dest: self.dest_ip,
            dest_ports: self.dest_port,
            ..calls
        })
    }
}

impl Request for ErrorFlags {
    fn fault(self) -> Fault {
        let kind = FaultKind::SysError(CallError {
            calls: self.calls.calls(),
            errno: self.errno,
            realism: Realism::of(self.unusual),
        });
        on_calls(kind, self.chance.chance())
    }
}

impl Request for DelayFlags {
    fn fault(self) -> Fault {
        // clap lets exactly one of them through.
        let (at, length) = match (self.delay_enter, self.delay_exit) {
            (Some(length), _) => (SleepAt::Enter, length),
            (None, length) => (SleepAt::Exit, length.unwrap_or_default()),
        };
        let kind = FaultKind::SysDelay(CallDelay {
            calls: self.calls.calls(),
            at,
            length,
            jitter: self.jitter,
            sleeps: if self.chain {
                Sleeps::Chained
            } else {
                Sleeps::Single
            },
        });
        on_calls(kind, self.chance.chance())
    }
}

/// A fault that packets have nothing to do with.
pub(super) fn on_calls(kind: FaultKind, chance: Chance) -> Fault {
    Fault {
        target: 0,
        kind,
        direction: Direction::Egress,
        traffic: Traffic::default(),
        chance,
        ramps: Vec::new(),
    }
}
