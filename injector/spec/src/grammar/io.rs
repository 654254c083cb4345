//! `injector io …`: files that cannot be used, are slow, or are read damaged.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{
    fault::{Request, With},
    sys::on_calls,
    traffic::ChanceFlags,
    values,
};
use crate::{
    experiment::{
        CallDamage, CallDelay, CallError, CallShort, Calls, Fault, FaultKind, FilePattern, Filling,
        Presence, Realism, SleepAt, Sleeps,
        method::{FileMethod, Method, VectorMethod},
    },
    quantity::{Errno, duration},
    syscall::READS,
};

/// The faults on files; `C` is what surrounds a fault, on the command line or in a file.
#[derive(Subcommand, Debug)]
pub enum IoFault<C: Args> {
    /// Files cannot be used
    Error(With<ErrorFlags, C>),
    /// Files are slow: the calling thread sleeps, others go on
    Latency(With<LatencyFlags, C>),
    /// What is read from files is damaged; the files stay as they are
    Corrupt(With<CorruptFlags, C>),
    /// Files are read and written in smaller pieces than asked (readv, writev and their kin)
    Short(With<ShortFlags, C>),
}

impl<C: Args> IoFault<C> {
    /// Takes the request apart.
    pub fn split(self) -> (Fault, C) {
        match self {
            Self::Error(with) => with.split(),
            Self::Latency(with) => with.split(),
            Self::Corrupt(with) => with.split(),
            Self::Short(with) => with.split(),
        }
    }
}

/// Which files, as faults on any system call have it too.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub(super) struct PathFlags {
    /// Only about this file, all below this folder, or names as in `/data/*.log` and `/data/**/*.log`;
    /// repeatable
    #[arg(long, value_name = "PATH")]
    path: Vec<FilePattern>,
    /// A path may be one that is to come; its folder is there
    #[arg(long, requires = "path")]
    future: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
struct FileFlags {
    #[command(flatten)]
    paths: PathFlags,
    /// Only of threads with such a name, as in `tokio-*`
    #[arg(long, value_name = "GLOB")]
    thread: Option<String>,
}

#[derive(Args, Debug)]
struct MethodFlags {
    /// What is done with them; repeatable
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        value_delimiter = ',',
        default_value = "read,write"
    )]
    methods: Vec<FileMethod>,
}

#[derive(Args, Debug)]
pub struct ErrorFlags {
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    methods: MethodFlags,
    /// What the calls return, as in `EIO`
    #[arg(long, value_name = "ERRNO")]
    errno: Errno,
    /// The errno may be one that the call never returns by itself
    #[arg(long)]
    unusual: bool,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct LatencyFlags {
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    methods: MethodFlags,
    /// How long a thread sleeps before the call does its work
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    latency: Duration,
    /// How far a sleep may stray from that, to both sides
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s")]
    jitter: Duration,
    #[command(flatten)]
    chance: ChanceFlags,
}

/// How damage looks.
#[derive(Args, Debug)]
#[command(next_help_heading = "Damage")]
pub(super) struct DamageFlags {
    /// What stands where bytes were read
    #[arg(long, value_enum, default_value = "flip")]
    filling: Filling,
    /// The most bytes of one place
    #[arg(long, value_name = "BYTES", default_value_t = 1, value_parser = values::count::<1, u32>)]
    max_length: u32,
    /// The most places of one call
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = values::count::<1, u32>)]
    max_occurrences: u32,
}

#[derive(Args, Debug)]
pub struct CorruptFlags {
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    damage: DamageFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

#[derive(Args, Debug)]
pub struct ShortFlags {
    #[command(flatten)]
    files: FileFlags,
    /// What is done with them; repeatable. read and write have their length in a register, where nothing can
    /// change it
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        value_delimiter = ',',
        default_value = "readv,writev"
    )]
    methods: Vec<VectorMethod>,
    /// The most bytes of one call; a call that asks for no more is missed
    #[arg(long, value_name = "BYTES", default_value_t = 1, value_parser = values::count::<1, u32>)]
    at_most: u32,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl MethodFlags {
    fn names(&self) -> impl Iterator<Item = &'static &'static str> {
        self.methods.iter().flat_map(|method| method.calls())
    }
}

impl PathFlags {
    /// The calls, of those about these files only.
    pub(super) fn narrow(self, calls: Calls) -> Calls {
        Calls {
            paths: self.path,
            presence: if self.future {
                Presence::Future
            } else {
                Presence::Now
            },
            ..calls
        }
    }
}

impl FileFlags {
    fn calls<'n>(self, names: impl IntoIterator<Item = &'n &'n str>) -> Calls {
        self.paths.narrow(Calls::named(names, self.thread))
    }
}

impl DamageFlags {
    /// The damage to what these calls read.
    pub(super) fn damage(self, calls: Calls) -> CallDamage {
        CallDamage {
            calls,
            filling: self.filling,
            max_length: self.max_length,
            max_occurrences: self.max_occurrences,
        }
    }
}

impl Request for ErrorFlags {
    fn fault(self) -> Fault {
        let kind = FaultKind::IoError(CallError {
            calls: self.files.calls(self.methods.names()),
            errno: self.errno,
            realism: Realism::of(self.unusual),
        });
        on_calls(kind, self.chance.chance())
    }
}

impl Request for LatencyFlags {
    fn fault(self) -> Fault {
        let kind = FaultKind::IoLatency(CallDelay {
            calls: self.files.calls(self.methods.names()),
            at: SleepAt::Enter,
            length: self.latency,
            jitter: self.jitter,
            sleeps: Sleeps::Single,
        });
        on_calls(kind, self.chance.chance())
    }
}

impl Request for CorruptFlags {
    fn fault(self) -> Fault {
        let calls = self.files.calls(READS);
        let kind = FaultKind::IoCorrupt(self.damage.damage(calls));
        on_calls(kind, self.chance.chance())
    }
}

impl Request for ShortFlags {
    fn fault(self) -> Fault {
        let names = self.methods.iter().flat_map(|method| method.calls());
        let kind = FaultKind::IoShort(CallShort {
            calls: self.files.calls(names),
            at_most: self.at_most,
        });
        on_calls(kind, self.chance.chance())
    }
}
