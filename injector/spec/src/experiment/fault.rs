//! What is done to a target.

use std::time::Duration;

use injector_common::threshold::Threshold;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{
    CallDamage, CallDelay, CallError, CallShort, Calls, Chance, Direction, Kill, KillAtCall, Pause,
    Ramp, Starve, Traffic,
};
use crate::quantity::{Errno, Rate, duration, threshold};

/// One kind of failure on one target, with its filters and its chance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Index of the target within the experiment.
    pub target: usize,
    /// What is done.
    pub kind: FaultKind,
    /// To packets that go which way.
    pub direction: Direction,
    /// To which of them.
    pub traffic: Traffic,
    /// To how many of those.
    pub chance: Chance,
    /// Which parameters move while it is on; what stands above are the harshest values of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ramps: Vec<Ramp>,
}

/// The faults.
///
/// In JSON: `{"fault": "net.delay", "with": {"latency": "500ms", ...}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", content = "with", deny_unknown_fields)]
pub enum FaultKind {
    /// Counts and does nothing else: the pattern for a new fault.
    #[serde(rename = "noop")]
    Noop,
    /// Packets arrive later.
    #[serde(rename = "net.delay")]
    Delay(Delay),
    /// Packets are lost on the wire.
    #[serde(rename = "net.loss")]
    Loss(Loss),
    /// Packets are damaged.
    #[serde(rename = "net.corrupt")]
    Corrupt(CorruptMode),
    /// Packets arrive twice.
    #[serde(rename = "net.duplicate")]
    Duplicate,
    /// Packets overtake others.
    #[serde(rename = "net.reorder")]
    Reorder {
        /// One candidate after every so many packets, at least 1.
        gap: u32,
        /// How long the packets that are overtaken are held back.
        #[serde(with = "duration")]
        latency: Duration,
    },
    /// The link is slow.
    #[serde(rename = "net.bandwidth")]
    Bandwidth(Rate),
    /// Nothing gets through.
    #[serde(rename = "net.blackhole")]
    Blackhole,
    /// Nothing gets through to some peers.
    #[serde(rename = "net.partition")]
    Partition {
        /// The peers that cannot be reached, at least one.
        peers: Vec<Peer>,
    },
    /// Connections break: the target sees ECONNRESET.
    #[serde(rename = "net.reset")]
    Reset,
    /// connect(2) fails at once.
    #[serde(rename = "net.connect")]
    Connect(Errno),
    /// Names do not resolve.
    #[serde(rename = "dns.error")]
    Dns {
        /// What the resolver seems to answer.
        answer: DnsAnswer,
        /// Globs of the names that are affected; empty is every name.
        hostnames: Vec<String>,
    },
    /// Names resolve later.
    #[serde(rename = "dns.delay")]
    DnsDelay {
        /// How long a query is held on its way to the resolver.
        #[serde(with = "duration")]
        latency: Duration,
        /// Globs of the names that are affected; empty is every name.
        hostnames: Vec<String>,
    },
    /// Processes get a signal.
    #[serde(rename = "proc.kill")]
    Kill(Kill),
    /// The caller of a system call gets a signal.
    #[serde(rename = "proc.kill-at-call")]
    KillAtCall(KillAtCall),
    /// Processes stand still.
    #[serde(rename = "proc.pause")]
    Pause(Pause),
    /// A cgroup gets less CPU time, memory, disk or processes than it wants.
    #[serde(rename = "proc.starve")]
    Starve(Starve),
    /// System calls fail.
    #[serde(rename = "sys.error")]
    SysError(CallError),
    /// System calls take longer.
    #[serde(rename = "sys.delay")]
    SysDelay(CallDelay),
    /// Files cannot be used.
    #[serde(rename = "io.error")]
    IoError(CallError),
    /// Files are slow.
    #[serde(rename = "io.latency")]
    IoLatency(CallDelay),
    /// What is read from files is damaged.
    #[serde(rename = "io.corrupt")]
    IoCorrupt(CallDamage),
    /// Files are read and written in smaller pieces than asked.
    #[serde(rename = "io.short")]
    IoShort(CallShort),
    /// Pipes and unix sockets cannot be used.
    #[serde(rename = "pipe.error")]
    PipeError(CallError),
    /// Pipes and unix sockets are slow.
    #[serde(rename = "pipe.delay")]
    PipeDelay(CallDelay),
    /// Pipes and unix sockets stand still.
    #[serde(rename = "pipe.stall")]
    PipeStall(CallDelay),
    /// What is read from pipes and unix sockets is damaged.
    #[serde(rename = "pipe.corrupt")]
    PipeCorrupt(CallDamage),
}

/// What a fault acts on.
#[derive(Clone, Copy, Debug)]
pub enum ActsOn<'f> {
    /// Packets at devices and sockets.
    Packets,
    /// Look-ups of names that match one of these globs, or of all names where there is none.
    LookUps(&'f [String]),
    /// `connect(2)`.
    Connects,
    /// Connections that are there.
    Connections,
    /// System calls.
    Calls(OnCalls<'f>),
    /// Processes as wholes.
    Processes(OnProcesses<'f>),
}

/// What happens to system calls.
#[derive(Clone, Copy, Debug)]
pub enum OnCalls<'f> {
    /// They fail.
    Error(&'f CallError),
    /// They take longer.
    Delay(&'f CallDelay),
    /// What they return is damaged.
    Damage(&'f CallDamage),
    /// They read or write less than they were asked to.
    Short(&'f CallShort),
    /// Their callers get a signal.
    Signal(&'f KillAtCall),
}

impl<'f> OnCalls<'f> {
    /// Which calls.
    pub const fn calls(self) -> &'f Calls {
        match self {
            Self::Error(error) => &error.calls,
            Self::Delay(delay) => &delay.calls,
            Self::Damage(damage) => &damage.calls,
            Self::Short(short) => &short.calls,
            Self::Signal(kill) => &kill.calls,
        }
    }
}

/// What happens to the processes of a target as wholes.
#[derive(Clone, Copy, Debug)]
pub enum OnProcesses<'f> {
    /// They get a signal.
    Kill(&'f Kill),
    /// They stand still.
    Pause(&'f Pause),
    /// Their cgroup gets less than it wants.
    Starve(&'f Starve),
}

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

/// Who notices the damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CorruptMode {
    /// The application: checksums are repaired, it reads the damage.
    #[default]
    Payload,
    /// The network stack: the checksum is wrong, the application never reads the damage.
    Wire,
}

/// What the resolver seems to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DnsAnswer {
    /// There is no such name.
    #[value(name = "nxdomain")]
    NxDomain,
    /// The resolver failed.
    #[value(name = "servfail")]
    ServFail,
    /// Nothing.
    Timeout,
}

/// The far end of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// Addresses.
    Net(IpNet),
    /// A name, resolved when the run is planned.
    Host(String),
}

impl FaultKind {
    /// The name in files, reports and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Delay(_) => "net.delay",
            Self::Loss(_) => "net.loss",
            Self::Corrupt(_) => "net.corrupt",
            Self::Duplicate => "net.duplicate",
            Self::Reorder { .. } => "net.reorder",
            Self::Bandwidth(_) => "net.bandwidth",
            Self::Blackhole => "net.blackhole",
            Self::Partition { .. } => "net.partition",
            Self::Reset => "net.reset",
            Self::Connect(_) => "net.connect",
            Self::Dns { .. } => "dns.error",
            Self::DnsDelay { .. } => "dns.delay",
            Self::Kill(_) | Self::KillAtCall(_) => "proc.kill",
            Self::Pause(_) => "proc.pause",
            Self::Starve(_) => "proc.starve",
            Self::SysError(_) => "sys.error",
            Self::SysDelay(_) => "sys.delay",
            Self::IoError(_) => "io.error",
            Self::IoLatency(_) => "io.latency",
            Self::IoCorrupt(_) => "io.corrupt",
            Self::IoShort(_) => "io.short",
            Self::PipeError(_) => "pipe.error",
            Self::PipeDelay(_) => "pipe.delay",
            Self::PipeStall(_) => "pipe.stall",
            Self::PipeCorrupt(_) => "pipe.corrupt",
        }
    }

    /// What it acts on.
    pub const fn acts_on(&self) -> ActsOn<'_> {
        match self {
            Self::Noop
            | Self::Delay(_)
            | Self::Loss(_)
            | Self::Corrupt(_)
            | Self::Duplicate
            | Self::Reorder { .. }
            | Self::Bandwidth(_)
            | Self::Blackhole
            | Self::Partition { .. } => ActsOn::Packets,
            Self::Dns { hostnames, .. } | Self::DnsDelay { hostnames, .. } => {
                ActsOn::LookUps(hostnames.as_slice())
            }
            Self::Reset => ActsOn::Connections,
            Self::Connect(_) => ActsOn::Connects,
            Self::Kill(kill) => ActsOn::Processes(OnProcesses::Kill(kill)),
            Self::Pause(pause) => ActsOn::Processes(OnProcesses::Pause(pause)),
            Self::Starve(starve) => ActsOn::Processes(OnProcesses::Starve(starve)),
            Self::KillAtCall(kill) => ActsOn::Calls(OnCalls::Signal(kill)),
            Self::SysError(error) | Self::IoError(error) | Self::PipeError(error) => {
                ActsOn::Calls(OnCalls::Error(error))
            }
            Self::SysDelay(delay)
            | Self::IoLatency(delay)
            | Self::PipeDelay(delay)
            | Self::PipeStall(delay) => ActsOn::Calls(OnCalls::Delay(delay)),
            Self::IoCorrupt(damage) | Self::PipeCorrupt(damage) => {
                ActsOn::Calls(OnCalls::Damage(damage))
            }
            Self::IoShort(short) => ActsOn::Calls(OnCalls::Short(short)),
        }
    }

    /// What it does to system calls; `None` where it does nothing to them.
    pub const fn on_calls(&self) -> Option<OnCalls<'_>> {
        match self.acts_on() {
            ActsOn::Calls(done) => Some(done),
            ActsOn::Packets
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Processes(_) => None,
        }
    }

    /// What it does to processes as wholes; `None` where it does nothing to them.
    pub const fn on_processes(&self) -> Option<OnProcesses<'_>> {
        match self.acts_on() {
            ActsOn::Processes(done) => Some(done),
            ActsOn::Packets
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Calls(_) => None,
        }
    }

    /// Whether each hit is a call of the target that fails with an errno.
    pub const fn fails_calls(&self) -> bool {
        matches!(
            self.acts_on(),
            ActsOn::Connects | ActsOn::Calls(OnCalls::Error(_))
        )
    }

    /// Whether packets of it are lost: at the wire where they are sent, at the socket where they arrive.
    pub const fn loses_packets(&self) -> bool {
        matches!(
            self,
            Self::Loss(_) | Self::Blackhole | Self::Partition { .. }
        )
    }

    /// Whether it is about files that have to be named.
    pub const fn is_about_files(&self) -> bool {
        matches!(
            self,
            Self::IoError(_) | Self::IoLatency(_) | Self::IoCorrupt(_) | Self::IoShort(_)
        )
    }

    /// Whether it is about pipes and unix sockets alone.
    pub const fn is_about_pipes(&self) -> bool {
        matches!(
            self,
            Self::PipeError(_) | Self::PipeDelay(_) | Self::PipeStall(_) | Self::PipeCorrupt(_)
        )
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
