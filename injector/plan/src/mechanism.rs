//! How a fault is carried out, and what the host must offer for it.

use crate::{Attachment, Need};
use injector_spec::experiment::Selector;

/// How a fault is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// Programs on devices count packets.
    Count,
    /// A program on a device sends packets to a device that does not exist.
    WireLoss,
    /// A cgroup program keeps packets from the target's socket.
    SocketLoss,
    /// Both of the above, one a direction.
    BothLoss,
    /// A program on a device writes into the packet.
    Rewrite,
    /// A program on a device clones the packet.
    Clone,
    /// Packets pass through a TAP device of ours and are held in user space.
    DelayLine,
    /// A cgroup program fails `connect(2)`.
    Connect,
    /// A cgroup program sends connections through a process of the injector's, which reads and changes what passes.
    Relay,
    /// Programs at the functions of the target's TLS library put an answer into its memory.
    TlsRewrite,
    /// The injector sends the target a RST in the peer's name.
    Reset,
    /// Signals through pidfds.
    Signal,
    /// A BPF program that every system call passes sends a signal.
    SignalAtCall,
    /// `cgroup.freeze` of the target's cgroup.
    Freeze,
    /// SIGSTOP and SIGCONT through pidfds.
    Stop,
    /// Limits of the target's cgroup.
    Limits,
    /// Signals through pidfds to plug-ins, which are known by their pipes.
    PluginSignal,
    /// SIGSTOP and SIGCONT through pidfds to plug-ins.
    PluginStop,
    /// Copies of a plug-in's ends of its pipes, and a signal.
    PluginHold,
    /// Bytes of the injector's in a pipe of a plug-in.
    PluginWrite,
    /// A BPF program that is a security module refuses a call.
    Lsm,
    /// A BPF program returns in place of `security_...`.
    SecurityReturn,
    /// A BPF program returns in place of a system call.
    SyscallReturn,
    /// A kprobe returns in place of a system call.
    KprobeOverride,
    /// Cgroup programs fail `connect(2)` and `bind(2)`.
    SockAddr,
    /// A BPF program that is a security module lets the calling thread sleep.
    LsmPark,
    /// BPF programs on a system call let the calling thread sleep.
    SyscallPark,
    /// BPF programs where system calls end change what they have read.
    Trace,
    /// BPF programs where system calls begin and end change how much they are asked for.
    Vector,
}

/// Which part of a run carries a mechanism out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Programs in the kernel, with the delay line and the sleep server beside them.
    Programs,
    /// The run's process, which resets connections.
    Resets,
    /// The relay, a process beside the run's, through which connections go.
    Relay,
    /// The run's process, which signals, stops and limits processes.
    Processes,
}

impl Mechanism {
    /// Which part of a run carries it out.
    pub const fn carrier(self) -> Carrier {
        match self {
            Self::Reset => Carrier::Resets,
            Self::Relay => Carrier::Relay,
            Self::Signal
            | Self::Freeze
            | Self::Stop
            | Self::Limits
            | Self::PluginSignal
            | Self::PluginStop
            | Self::PluginHold
            | Self::PluginWrite => Carrier::Processes,
            Self::Count
            | Self::WireLoss
            | Self::SocketLoss
            | Self::BothLoss
            | Self::Rewrite
            | Self::Clone
            | Self::DelayLine
            | Self::Connect
            | Self::TlsRewrite
            | Self::SignalAtCall
            | Self::Lsm
            | Self::SecurityReturn
            | Self::SyscallReturn
            | Self::KprobeOverride
            | Self::SockAddr
            | Self::LsmPark
            | Self::SyscallPark
            | Self::Trace
            | Self::Vector => Carrier::Programs,
        }
    }

    /// The mechanism for a target that is chosen like this: a cgroup is frozen as a whole, processes
    /// that share one with bystanders are stopped one by one.
    pub(super) fn on(self, selector: &Selector) -> Self {
        match self {
            Self::Stop if selector.is_whole_cgroup() => Self::Freeze,
            other => other,
        }
    }

    /// Whether it works without a program in the kernel.
    pub const fn needs_no_program(self) -> bool {
        matches!(self.carrier(), Carrier::Processes)
    }

    /// The name in plans and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "tcx-count",
            Self::WireLoss => "tcx-redirect",
            Self::SocketLoss => "cgroup-ingress",
            Self::BothLoss => "tcx-redirect+cgroup-ingress",
            Self::Rewrite => "tcx-rewrite",
            Self::Clone => "tcx-clone",
            Self::DelayLine => "delay-line",
            Self::Connect => "cgroup-connect",
            Self::Relay => "relay",
            Self::TlsRewrite => "tls-rewrite",
            Self::Reset => "rst",
            Self::Signal => "pidfd-signal",
            Self::SignalAtCall => "raw-tp-signal",
            Self::Freeze => "cgroup-freeze",
            Self::Stop => "sigstop",
            Self::Limits => "cgroup-limits",
            Self::PluginSignal => "plugin-signal",
            Self::PluginStop => "plugin-sigstop",
            Self::PluginHold => "plugin-pipe-hold",
            Self::PluginWrite => "plugin-pipe-write",
            Self::Lsm => "lsm",
            Self::SecurityReturn => "fmod-ret-security",
            Self::SyscallReturn => "fmod-ret-syscall",
            Self::KprobeOverride => "kprobe-override",
            Self::SockAddr => "cgroup-sock-addr",
            Self::LsmPark => "lsm-park",
            Self::SyscallPark => "syscall-park",
            Self::Trace => "trace-write-user",
            Self::Vector => "trace-vector",
        }
    }

    /// The same where its programs stand on devices by this way.
    pub const fn name_by(self, attachment: Attachment) -> &'static str {
        match (self, attachment) {
            (Self::Count, Attachment::Filters) => "clsact-count",
            (Self::WireLoss, Attachment::Filters) => "clsact-redirect",
            (Self::BothLoss, Attachment::Filters) => "clsact-redirect+cgroup-ingress",
            (Self::Rewrite, Attachment::Filters) => "clsact-rewrite",
            (Self::Clone, Attachment::Filters) => "clsact-clone",
            (Self::DelayLine, Attachment::Filters) => "clsact-delay-line",
            (other, Attachment::Links | Attachment::Filters) => other.name(),
        }
    }

    /// Why it was chosen, for people.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Count => "counts at the device and lets everything by",
            Self::WireLoss => {
                "packets vanish behind the socket, so TCP retransmits and UDP senders see no error"
            }
            Self::SocketLoss => {
                "packets vanish before the target's socket, and the sender learns nothing"
            }
            Self::BothLoss => {
                "packets vanish behind the sender's socket or before the receiver's, with no error"
            }
            Self::Rewrite => {
                "bytes change and checksums are repaired, so the application reads the damage"
            }
            Self::Clone => "the kernel's own copy leaves first, the packet follows",
            Self::DelayLine => {
                "works on any device, loopback included, without netem, fq or a touched qdisc"
            }
            Self::Connect => "the call fails before a packet is made",
            Self::Relay => {
                "new connections go through a process of ours, which reads what passes in plain text or in TLS that [relay] opens; the target needs no proxy setting, and open connections are left alone"
            }
            Self::TlsRewrite => {
                "what the target reads inside TLS is answered in its own memory, without a proxy or an authority; nothing of the target is configured or started anew"
            }
            Self::Reset => "reaches idle connections too; the peer learns of it when it next sends",
            Self::Signal => {
                "a pidfd means one process, so a PID that is another's by now gets none"
            }
            Self::SignalAtCall => {
                "the signal is there before the call does anything; it slows every call of the host a little"
            }
            Self::Freeze => {
                "the target is a whole cgroup: all of it stands still at once, and no parent notices"
            }
            Self::Stop => {
                "the target is part of a cgroup; each process is stopped, and its parent sees SIGCHLD and, with WUNTRACED, the stop"
            }
            Self::Limits => {
                "the target is a whole cgroup; old limits are on disk before and put back after"
            }
            Self::PluginSignal => {
                "plug-ins are known by their pipes, and a pidfd means one process; the target itself is not touched"
            }
            Self::PluginStop => {
                "plug-ins are known by their pipes, and each is stopped; the target sees SIGCHLD and, with WUNTRACED, the stop"
            }
            Self::PluginHold => {
                "a copy of each end of its pipes is held by the injector's worker and goes with it; then the plug-in gets SIGKILL"
            }
            Self::PluginWrite => {
                "bytes are written to the pipe by the plug-in's own end, which no lockdown forbids; a full pipe is left alone"
            }
            Self::Lsm => {
                "the kernel's own check before the call fails, by io_uring and 32-bit calls too"
            }
            Self::SecurityReturn => {
                "BPF LSM is off here; a program stands in front of the same checks"
            }
            Self::SyscallReturn | Self::KprobeOverride => {
                "reaches any call; the call does nothing and returns the errno"
            }
            Self::SockAddr => {
                "no program may stand near calls here but those of cgroups, which see IPv4 and IPv6 sockets"
            }
            Self::LsmPark => {
                "the calling thread alone sleeps at the kernel's check before the call, without burning CPU; any number of threads at once"
            }
            Self::SyscallPark => {
                "the calling thread alone sleeps around the call, without burning CPU; up to 32 threads of a CPU at once, shared by the calls of a fault; the rest are counted as missed"
            }
            Self::Trace => {
                "bytes change in the caller's buffer when the call is over, in place; the kernel writes a warning to its log when such a program is loaded"
            }
            Self::Vector => {
                "the lengths in the caller's vector are cut while the call copies them, and put back; the kernel writes a warning to its log when such a program is loaded"
            }
        }
    }

    /// What it needs from the host.
    pub const fn needs(self) -> &'static [Need] {
        match self {
            Self::Count | Self::WireLoss | Self::Rewrite | Self::Clone => &[Need::DeviceLinks],
            Self::SocketLoss => &[Need::CgroupLinks],
            Self::BothLoss => &[Need::DeviceLinks, Need::CgroupLinks],
            Self::DelayLine => &[Need::DeviceLinks, Need::Tap],
            Self::Connect => &[Need::CgroupLinks, Need::ConnectErrno],
            Self::Relay => &[Need::CgroupLinks, Need::Relay],
            Self::TlsRewrite => &[Need::TlsRewrite],
            Self::Reset => &[Need::SocketCopies, Need::CgroupLinks, Need::Sequence],
            Self::Signal | Self::Stop | Self::PluginSignal | Self::PluginStop => {
                &[Need::ProcessSignals]
            }
            Self::PluginHold => &[Need::ProcessSignals, Need::SocketCopies],
            Self::PluginWrite => &[Need::SocketCopies],
            Self::SignalAtCall => &[Need::CallSignals],
            Self::Freeze => &[Need::Freezer],
            // Which limits a cgroup has is its own affair; see `target::controller`.
            Self::Limits => &[],
            Self::Lsm => &[Need::Lsm],
            Self::SecurityReturn => &[Need::SecurityReturn],
            Self::SyscallReturn => &[Need::SyscallReturn],
            Self::KprobeOverride => &[Need::KprobeOverride],
            Self::SockAddr => &[Need::CgroupLinks, Need::AddressErrno],
            Self::LsmPark => &[Need::Lsm, Need::Park],
            Self::SyscallPark => &[Need::SyscallReturn, Need::SleepableSyscall, Need::Park],
            Self::Trace => &[Need::Trace],
            Self::Vector => &[Need::Vector],
        }
    }
}

impl std::fmt::Display for Mechanism {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}
