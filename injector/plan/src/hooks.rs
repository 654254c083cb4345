//! Where programs for system calls are attached, and in which order.

use injector_common::call::turn;

/// An attachment of a program for system calls. Their order is the order of attaching: the kernel runs
/// what was attached last first, so a program that carries a decision out comes before the one that decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallHook {
    /// Counts sleeps of a system call that found no copy free.
    Missed {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
    },
    /// Sleeps at the end of a system call.
    SleepAtExit {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
        /// Number of the copy.
        copy: u32,
    },
    /// Sleeps at the beginning of a system call.
    SleepAtEnter {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
        /// Number of the copy.
        copy: u32,
    },
    /// Decides at a hook of the security modules, as one of them.
    Lsm {
        /// The hook.
        hook: &'static str,
        /// The program.
        program: &'static str,
    },
    /// Decides at a hook of the security modules, in front of all of them.
    Security {
        /// The hook.
        hook: &'static str,
        /// The program.
        program: &'static str,
        /// Which of the two.
        turn: Turn,
    },
    /// Decides at the beginning of a system call.
    Syscall {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
        /// Which of the two.
        turn: Turn,
    },
    /// Decides at the beginning of a system call, by a kprobe.
    Kprobe {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
    },
    /// At a tracepoint that all system calls of the host pass.
    Trace(TraceHook),
    /// Decides at a hook of the cgroups of all callers.
    Cgroup(CgroupHook),
}

impl CallHook {
    /// Which of two it is, where two stand at the place.
    pub const fn turn(&self) -> Option<Turn> {
        match self {
            Self::Security { turn, .. } | Self::Syscall { turn, .. } => Some(*turn),
            _ => None,
        }
    }
}

/// Which of two programs that decide at one place. While one runs for a thread, the kernel skips it for all others
/// of its CPU, and the second decides for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Turn {
    /// What the first was not run for.
    Again,
    /// Everything, as a rule.
    First,
}

impl Turn {
    /// In the order of attaching.
    pub const BOTH: [Self; 2] = [Self::Again, Self::First];

    /// How the attachment tells its program.
    pub const fn cookie(self) -> u64 {
        match self {
            Self::Again => turn::AGAIN,
            Self::First => turn::FIRST,
        }
    }
}

/// A program at a tracepoint of all system calls. There the kernel runs first what was attached first
/// (kernel/tracepoint.c, `func_add`), so the second of two comes behind the first here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TraceHook {
    /// Damages what calls have read, where they end.
    Damage,
    /// The same once more, for what the first was not run for.
    DamageAgain,
    /// Puts back what was cut of a call's vector, where it ends.
    Mend,
    /// The same once more, for what the first was not run for.
    MendAgain,
    /// Cuts vectors where calls begin.
    Cut,
    /// The same once more, for what the first was not run for.
    CutAgain,
    /// Signals where calls begin.
    Signal,
    /// The same once more, for what the first was not run for.
    SignalAgain,
}

impl TraceHook {
    /// The program and its tracepoint.
    pub const fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Damage => ("inj_sys_exit", "sys_exit"),
            Self::DamageAgain => ("inj_sys_exit_again", "sys_exit"),
            Self::Mend => ("inj_vector_end", "sys_exit"),
            Self::MendAgain => ("inj_vector_end_again", "sys_exit"),
            Self::Cut => ("inj_vector", "sys_enter"),
            Self::CutAgain => ("inj_vector_again", "sys_enter"),
            Self::Signal => ("inj_entry", "sys_enter"),
            Self::SignalAgain => ("inj_entry_again", "sys_enter"),
        }
    }

    /// Whether a call that the kernel does not run the program for goes through undecided. The first of two has
    /// one behind it.
    pub const fn decides(self) -> bool {
        matches!(self, Self::DamageAgain | Self::CutAgain | Self::SignalAgain)
    }
}

/// A program that is attached to a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CgroupHook {
    /// Tags sockets made by processes of a target cgroup.
    BornInCgroup,
    /// Tags sockets made by target processes.
    BornOfProcess,
    /// Tags untagged sockets of a target cgroup that send.
    ClaimOut,
    /// Tags untagged sockets of a target cgroup that receive.
    ClaimIn,
    /// Loses packets on their way into a socket.
    Deliver,
    /// Learns at which addresses packets reach targets.
    LearnIn,
    /// Learns from where answers to targets come.
    LearnOut,
    /// Fails `connect(2)`, IPv4.
    Connect4,
    /// Fails `connect(2)`, IPv6.
    Connect6,
    /// Fails `connect(2)` by who calls, IPv4.
    CallConnect4,
    /// Fails `connect(2)` by who calls, IPv6.
    CallConnect6,
    /// Fails `bind(2)` by who calls, IPv4.
    CallBind4,
    /// Fails `bind(2)` by who calls, IPv6.
    CallBind6,
    /// Answers getpeername(2) of connections through a relay, IPv4.
    Peer4,
    /// The same, IPv6.
    Peer6,
    /// Tells the injector a connection's next sequence number.
    Sequence,
    /// Watches what targets send, for their operations.
    Asked,
    /// Watches what they receive.
    Answered,
}

impl CgroupHook {
    /// The program that is attached.
    pub const fn program(self) -> &'static str {
        match self {
            Self::BornInCgroup => "inj_born_cgroup",
            Self::BornOfProcess => "inj_born_process",
            Self::ClaimOut => "inj_claim_out",
            Self::ClaimIn => "inj_claim_in",
            Self::Deliver => "inj_deliver",
            Self::LearnIn => "inj_learn_in",
            Self::LearnOut => "inj_learn_out",
            Self::Connect4 => "inj_connect4",
            Self::Connect6 => "inj_connect6",
            Self::CallConnect4 => "inj_call_connect4",
            Self::CallConnect6 => "inj_call_connect6",
            Self::CallBind4 => "inj_call_bind4",
            Self::CallBind6 => "inj_call_bind6",
            Self::Peer4 => "inj_peer4",
            Self::Peer6 => "inj_peer6",
            Self::Sequence => "inj_sequence",
            Self::Asked => "inj_asked",
            Self::Answered => "inj_answered",
        }
    }
}
