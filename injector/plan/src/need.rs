//! What the host must offer for a mechanism, in names, uses and remedies. `injector-host` finds out whether it does.

/// What the host must offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// BPF programs on devices, held by a descriptor (TCX, 6.6).
    DeviceLinks,
    /// Classic filters on devices (`clsact`), for kernels without TCX.
    DeviceFilters,
    /// BPF programs on cgroups, held by a descriptor.
    CgroupLinks,
    /// Failing a call from a cgroup program (`bpf_set_retval`, 5.18).
    ConnectErrno,
    /// Failing `connect(2)` and `bind(2)` of a caller from cgroup programs (5.18).
    AddressErrno,
    /// A TAP device.
    Tap,
    /// Copies of another process's descriptors (`pidfd_getfd`, 5.6).
    SocketCopies,
    /// A cgroup program that tells a connection's next sequence number.
    Sequence,
    /// Cgroup programs that send a connection elsewhere and answer for its far end, and a listener that they know again.
    Relay,
    /// Probes in user space that may write to the process that they stand in.
    TlsRewrite,
    /// BPF programs on the fork and exit tracepoints (`tp_btf`).
    ForkTracepoint,
    /// Programs on cgroups and on the tracepoint of connections that remember what a socket does.
    Operations,
    /// BPF programs that are security modules, and fire.
    Lsm,
    /// Programs that return in place of `security_...`.
    SecurityReturn,
    /// Programs that return in place of a system call.
    SyscallReturn,
    /// Programs on system calls that may sleep.
    SleepableSyscall,
    /// Kprobes that return in place of a system call.
    KprobeOverride,
    /// Signals to exactly one process (`pidfd_send_signal`, 5.1; `pidfd_open`, 5.3).
    ProcessSignals,
    /// A BPF program at the tracepoint of all system calls that sends signals (`bpf_send_signal`, 5.3).
    CallSignals,
    /// `cgroup.freeze` of cgroup v2 (5.2).
    Freezer,
    /// Sleepable BPF programs that can put the calling thread to sleep.
    Park,
    /// Programs on the tracepoints of system calls that may write to the caller's memory.
    Trace,
    /// The same, that cut a caller's vector and put it back.
    Vector,
}

impl Need {
    /// Every need, in the order in which doctor shows them.
    pub const ALL: [Self; 23] = [
        Self::DeviceLinks,
        Self::DeviceFilters,
        Self::CgroupLinks,
        Self::ConnectErrno,
        Self::AddressErrno,
        Self::Tap,
        Self::SocketCopies,
        Self::Sequence,
        Self::Relay,
        Self::TlsRewrite,
        Self::ForkTracepoint,
        Self::Operations,
        Self::Lsm,
        Self::SecurityReturn,
        Self::SyscallReturn,
        Self::SleepableSyscall,
        Self::KprobeOverride,
        Self::ProcessSignals,
        Self::CallSignals,
        Self::Freezer,
        Self::Park,
        Self::Trace,
        Self::Vector,
    ];

    /// The name that refusals and doctor use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceLinks => "tcx",
            Self::DeviceFilters => "clsact",
            Self::CgroupLinks => "cgroup-bpf",
            Self::ConnectErrno => "connect-errno",
            Self::AddressErrno => "sock-addr-errno",
            Self::Tap => "tap",
            Self::SocketCopies => "pidfd-getfd",
            Self::Sequence => "tcp-sequence",
            Self::Relay => "relay",
            Self::TlsRewrite => "tls-rewrite",
            Self::ForkTracepoint => "fork-tracepoint",
            Self::Operations => "operations",
            Self::Lsm => "lsm",
            Self::SecurityReturn => "fmod-ret-security",
            Self::SyscallReturn => "fmod-ret-syscall",
            Self::SleepableSyscall => "sleepable-syscall",
            Self::KprobeOverride => "kprobe-override",
            Self::ProcessSignals => "pidfd-signal",
            Self::CallSignals => "raw-tp-signal",
            Self::Freezer => "cgroup-freeze",
            Self::Park => "park",
            Self::Trace => "trace-write-user",
            Self::Vector => "trace-vector",
        }
    }

    /// What it is for.
    pub const fn serves(self) -> &'static str {
        match self {
            Self::DeviceLinks => "every net fault on packets; dns error; held by a descriptor",
            Self::DeviceFilters => {
                "the same where tcx is missing; inert without injector's worker, removed by the processes that are left, else by the next start or `injector sweep`"
            }
            Self::CgroupLinks => "loss of what a target receives; tagging new sockets",
            Self::ConnectErrno => "net connect",
            Self::AddressErrno => "sys error of connect and bind with --fd-kind inet, on any host",
            Self::Tap => "net delay, reorder, bandwidth, corrupt --mode wire; dns error",
            Self::SocketCopies => {
                "sockets that are open already; net reset; plugin pipe-held-death, torn-line"
            }
            Self::Sequence => "net reset",
            Self::Relay => "every llm and tool fault",
            Self::TlsRewrite => {
                "llm rate-limit, error, overload, malformed, empty by --by tls-rewrite"
            }
            Self::ForkTracepoint => "--tree",
            Self::Operations => "operations of experiments",
            Self::Lsm => "errno from and delay of most system calls",
            Self::SecurityReturn => "errno from most system calls where BPF LSM is off",
            Self::SyscallReturn => "errno from any system call",
            Self::SleepableSyscall => "delay of any system call",
            Self::KprobeOverride => "errno from any system call (--mechanism kprobe-override)",
            Self::ProcessSignals => "proc kill; proc pause of single processes; plugin faults",
            Self::CallSignals => "proc kill --at-call",
            Self::Freezer => "proc pause of a whole cgroup",
            Self::Park => "slow system calls",
            Self::Trace => "io corrupt; pipe corrupt",
            Self::Vector => "io short",
        }
    }

    /// What would make a host offer it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::DeviceLinks => {
                "run Linux 6.6 or later with CONFIG_NET_XGRESS, or 5.12 or later with the modules of the classic filters that serve in its place: `modprobe -a sch_ingress cls_bpf`"
            }
            Self::DeviceFilters => {
                "run Linux 5.12 or later, and load the modules with `modprobe -a sch_ingress cls_bpf`"
            }
            Self::CgroupLinks => {
                "run Linux 5.7 or later with CONFIG_CGROUP_BPF, as root with CAP_BPF and CAP_NET_ADMIN"
            }
            Self::ConnectErrno | Self::AddressErrno => {
                "run Linux 5.18 or later with CONFIG_CGROUP_BPF"
            }
            Self::Tap => {
                "load the module with `modprobe tun`, and pass /dev/net/tun into the container if there is one"
            }
            Self::SocketCopies => "run Linux 5.6 or later with CAP_SYS_PTRACE",
            Self::Sequence => "run Linux 5.7 or later with CONFIG_CGROUP_BPF",
            Self::ForkTracepoint => "run a kernel with CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_EVENTS",
            Self::Operations | Self::Relay => {
                "run Linux 5.12 or later with CONFIG_CGROUP_BPF, CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_EVENTS"
            }
            Self::TlsRewrite => {
                "run a kernel with CONFIG_UPROBE_EVENTS that is not locked down (/sys/kernel/security/lockdown shows it), with CAP_SYS_ADMIN; or have the relay open TLS by [relay] in the configuration (`injector ca` says how)"
            }
            Self::Lsm => {
                "add `bpf` to the kernel's `lsm=` parameter (CONFIG_BPF_LSM must be set) and boot again"
            }
            Self::SecurityReturn => {
                "run Linux 5.7 or later with CONFIG_FUNCTION_TRACER and BPF trampolines"
            }
            Self::SyscallReturn | Self::SleepableSyscall => {
                "run Linux 7.1 or later, or a kernel with CONFIG_FUNCTION_ERROR_INJECTION"
            }
            Self::KprobeOverride => "run a kernel with CONFIG_BPF_KPROBE_OVERRIDE",
            Self::ProcessSignals => "run Linux 5.3 or later",
            Self::CallSignals => {
                "run Linux 5.5 or later with CONFIG_BPF_EVENTS and CONFIG_FTRACE_SYSCALLS"
            }
            Self::Freezer => {
                "run Linux 5.2 or later; the freezer of cgroup v1 is not used, so choose the processes by --pid or --process instead, which stops them by SIGSTOP"
            }
            Self::Park => {
                "run Linux 6.2 or later with CONFIG_FUNCTION_ERROR_INJECTION, or with CONFIG_BPF_LSM and `bpf` in its list of security modules (`lsm=...,bpf`; /sys/kernel/security/lsm shows it), and load the module with `modprobe fuse`"
            }
            Self::Trace | Self::Vector => {
                "run a kernel with CONFIG_BPF_EVENTS that is not locked down (/sys/kernel/security/lockdown shows it), with CAP_SYS_ADMIN"
            }
        }
    }
}
