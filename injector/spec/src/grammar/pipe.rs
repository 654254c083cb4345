//! `injector pipe …`: pipes and unix sockets, as between an agent and the plug-in that it speaks to over its
//! standard input and output.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    fault::{Request, With},
    io::DamageFlags,
    sys::on_calls,
    traffic::ChanceFlags,
};
use crate::{
    experiment::{
        CallDelay, CallError, Calls, Fault, FaultKind, FdKind, LONGEST_SLEEP, Realism, SleepAt,
        Sleeps,
        method::{Method, PipeMethod},
    },
    quantity::{Errno, duration},
};

/// The faults on pipes; `C` is what surrounds a fault, on the command line or in a file.
#[derive(Subcommand, Debug)]
pub enum PipeFault<C: Args> {
    /// Pipes and unix sockets cannot be used
    Error(With<ErrorFlags, C>),
    /// Pipes and unix sockets are slow: the calling thread sleeps, others go on
    Delay(With<DelayFlags, C>),
    /// Pipes and unix sockets stand still until the fault ends
    Stall(With<StallFlags, C>),
    /// What is read from pipes and unix sockets is damaged
    Corrupt(With<CorruptFlags, C>),
}

impl<C: Args> PipeFault<C> {
    /// Takes the request apart.
    pub fn split(self) -> (Fault, C) {
        match self {
            Self::Error(with) => with.split(),
            Self::Delay(with) => with.split(),
            Self::Stall(with) => with.split(),
            Self::Corrupt(with) => with.split(),
        }
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Pipes")]
struct NarrowFlags {
    /// Only of threads with such a name, as in `tokio-*`
    #[arg(long, value_name = "GLOB")]
    thread: Option<String>,
    /// Only pipes, or only unix sockets
    #[arg(long, value_name = "KIND", value_enum)]
    fd_kind: Option<PipeKind>,
}

/// What lies between two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PipeKind {
    /// Pipes and FIFOs
    Pipe,
    /// Unix sockets
    Unix,
}

impl From<PipeKind> for FdKind {
    fn from(kind: PipeKind) -> Self {
        match kind {
            PipeKind::Pipe => Self::Pipe,
            PipeKind::Unix => Self::Unix,
        }
    }
}

impl NarrowFlags {
    fn calls(self, methods: &[PipeMethod]) -> Calls {
        let names = methods.iter().flat_map(|method| method.calls());
        Calls {
            kinds: self.fd_kind.into_iter().map(FdKind::from).collect(),
            ..Calls::named(names, self.thread)
        }
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Pipes")]
struct PipeFlags {
    /// What is done with them; repeatable
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        value_delimiter = ',',
        default_value = "read,write"
    )]
    methods: Vec<PipeMethod>,
    #[command(flatten)]
    narrow: NarrowFlags,
}

#[derive(Args, Debug)]
pub struct ErrorFlags {
    #[command(flatten)]
    pipes: PipeFlags,
    /// What the calls return
    #[arg(long, value_name = "ERRNO", default_value = "EPIPE")]
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
    pipes: PipeFlags,
    /// How long a thread sleeps before the call does its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    /// How far a sleep may stray from that, to both sides
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    jitter: Duration,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct StallFlags {
    /// What is done with them; repeatable
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        value_delimiter = ',',
        default_value = "read"
    )]
    methods: Vec<PipeMethod>,
    #[command(flatten)]
    narrow: NarrowFlags,
    /// How long one call stands still at most, up to 1 min (longer than 10 s in a chain of sleeps); then it does
    /// its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "1m")]
    at_most: Duration,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct CorruptFlags {
    #[command(flatten)]
    narrow: NarrowFlags,
    #[command(flatten)]
    damage: DamageFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl PipeFlags {
    fn calls(self) -> Calls {
        self.narrow.calls(&self.methods)
    }
}

impl Request for ErrorFlags {
    fn fault(self) -> Fault {
        let kind = FaultKind::PipeError(CallError {
            calls: self.pipes.calls(),
            errno: self.errno,
            realism: Realism::of(self.unusual),
        });
        on_calls(kind, self.chance.chance())
    }
}

impl Request for DelayFlags {
    fn fault(self) -> Fault {
        let kind = FaultKind::PipeDelay(CallDelay {
            calls: self.pipes.calls(),
            at: SleepAt::Enter,
            length: self.latency,
            jitter: self.jitter,
            sleeps: Sleeps::Single,
        });
        on_calls(kind, self.chance.chance())
    }
}

impl Request for StallFlags {
    fn fault(self) -> Fault {
        let pipes = PipeFlags {
            methods: self.methods,
            narrow: self.narrow,
        };
        let sleeps = if self.at_most > LONGEST_SLEEP {
            Sleeps::Chained
        } else {
            Sleeps::Single
        };
        let kind = FaultKind::PipeStall(CallDelay {
            calls: pipes.calls(),
            at: SleepAt::Enter,
            length: self.at_most,
            jitter: Duration::ZERO,
            sleeps,
        });
        on_calls(kind, self.chance.chance())
    }
}

impl Request for CorruptFlags {
    fn fault(self) -> Fault {
        let calls = self.narrow.calls(&[PipeMethod::Read]);
        let kind = FaultKind::PipeCorrupt(self.damage.damage(calls));
        on_calls(kind, self.chance.chance())
    }
}
