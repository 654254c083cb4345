//! Faults on system calls.

mod error;

use std::time::Duration;

use injector_common::call::{REMOTES, kind};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use error::CallFaultError;

use super::{FilePattern, Presence};
use crate::{
    quantity::{Errno, PortRange, duration},
    syscall::{Syscall, SyscallClass, points},
};

/// The longest sleep of one call. Sleepers hold up RCU Tasks Trace, which every process waits for that
/// attaches BPF programs elsewhere on the host.
pub const LONGEST_SLEEP: Duration = Duration::from_nanos(injector_common::call::LONGEST_SLEEP_NS);

/// The longest delay of one call in all: what a chain of sleeps may add up to. Each takes a copy of the
/// program, and there are 32.
pub const LONGEST_CHAIN: Duration = Duration::from_mins(1);

/// Which calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// These system calls, at least one.
    pub syscalls: Vec<Syscall>,
    /// Of threads whose name matches this pattern; of all where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// About these files; about anything where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<FilePattern>,
    /// Whether the paths have to exist.
    #[serde(default)]
    pub presence: Presence,
    /// About these kinds of files; about any where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<FdKind>,
    /// About sockets whose far end has one of these addresses; any where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dest: Vec<IpNet>,
    /// About sockets whose far end has one of these ports; any where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dest_ports: Vec<PortRange>,
    /// By this and no other; the first that serves where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<CallMechanism>,
}

/// How a call is reached, where a person insists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are told of at `plan::Mechanism`")]
pub enum CallMechanism {
    Lsm,
    FmodRetSecurity,
    FmodRetSyscall,
    KprobeOverride,
    CgroupSockAddr,
    LsmPark,
    SyscallPark,
}

/// What a descriptor stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FdKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A pipe or FIFO.
    Pipe,
    /// A unix socket.
    Unix,
    /// An IPv4 or IPv6 socket.
    Inet,
    /// A terminal or another character device.
    Character,
}

impl FdKind {
    /// One of [`kind`].
    pub const fn bit(self) -> u32 {
        match self {
            Self::File => kind::FILE,
            Self::Directory => kind::DIRECTORY,
            Self::Pipe => kind::PIPE,
            Self::Unix => kind::UNIX,
            Self::Inet => kind::INET,
            Self::Character => kind::CHARACTER,
        }
    }
}

/// Calls fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallError {
    /// Which.
    pub calls: Calls,
    /// With what.
    pub errno: Errno,
    /// Whether the errno may be one that these calls never return by themselves.
    #[serde(default)]
    pub realism: Realism,
}

/// Whether an errno has to be one that a call returns in reality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Realism {
    /// It has to.
    #[default]
    Usual,
    /// It need not.
    Unusual,
}

impl Realism {
    /// By the flag `--unusual`.
    pub const fn of(is_unusual_allowed: bool) -> Self {
        if is_unusual_allowed {
            Self::Unusual
        } else {
            Self::Usual
        }
    }
}

/// Calls take longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallDelay {
    /// Which.
    pub calls: Calls,
    /// When the calling thread sleeps.
    pub at: SleepAt,
    /// For how long.
    #[serde(with = "duration")]
    pub length: Duration,
    /// How far a sleep may stray from that to both sides.
    #[serde(with = "duration")]
    pub jitter: Duration,
    /// Whether one sleep may follow another, where one alone may not take so long.
    #[serde(default)]
    pub sleeps: Sleeps,
}

/// How many sleeps one call may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sleeps {
    /// One.
    #[default]
    Single,
    /// One after the other, each in a program of its own, so that who waits for sleepers gets his turn, and
    /// none of them begins when the lease has ended.
    Chained,
}

/// What calls return is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallDamage {
    /// Which.
    pub calls: Calls,
    /// How damage looks.
    pub filling: Filling,
    /// The most bytes of one place, 1 to [`MOST_BYTES`].
    pub max_length: u32,
    /// The most places of one call, 1 to [`MOST_PLACES`].
    pub max_occurrences: u32,
}

/// Calls read or write less than they were asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallShort {
    /// Which; calls with a vector.
    pub calls: Calls,
    /// The most bytes of one call, from 1.
    pub at_most: u32,
}

/// How damage looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Filling {
    /// Zero bytes.
    Zero,
    /// Random bytes.
    Random,
    /// Each byte with one bit turned over.
    #[default]
    Flip,
}

/// The most bytes that are damaged in one place.
pub(super) const MOST_BYTES: u32 = 4096;

/// The most places that are damaged in one call.
pub(super) const MOST_PLACES: u32 = 16;

/// The most paths of one fault.
pub(super) const MOST_PATHS: usize = 16;

/// When a thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SleepAt {
    /// Before the call does its work.
    Enter,
    /// After it.
    Exit,
}

impl Calls {
    /// These calls, each once, of threads with such a name.
    pub fn of(syscalls: impl IntoIterator<Item = Syscall>, thread: Option<String>) -> Self {
        let mut syscalls: Vec<Syscall> = syscalls.into_iter().collect();
        syscalls.sort_unstable();
        syscalls.dedup();
        Self {
            syscalls,
            thread,
            ..Self::default()
        }
    }

    /// The same by name; a name that no call has is left out.
    pub fn named<'n>(names: impl IntoIterator<Item = &'n &'n str>, thread: Option<String>) -> Self {
        let syscalls = names.into_iter().filter_map(|name| name.parse().ok());
        Self::of(syscalls, thread)
    }

    pub(super) fn check(&self) -> Result<(), CallFaultError> {
        if self.syscalls.is_empty() {
            return Err(CallFaultError::NoCall);
        }
        if self.paths.len() > MOST_PATHS {
            let count = self.paths.len();
            return Err(CallFaultError::ManyPaths { count });
        }
        let (nets, ports) = (self.dest.len().max(1), self.dest_ports.len().max(1));
        if nets * ports > REMOTES {
            return Err(CallFaultError::ManyRemotes { nets, ports });
        }
        let others = self.kinds.iter().any(|kind| *kind != FdKind::Inet);
        if self.has_remotes() && (others || !self.paths.is_empty()) {
            return Err(CallFaultError::RemoteOfFile);
        }
        match &self.thread {
            Some(pattern) if !(1..injector_common::call::THREAD_NAME).contains(&pattern.len()) => {
                Err(CallFaultError::Thread(pattern.escape_debug().to_string()))
            }
            _ => Ok(()),
        }
    }
}

impl Calls {
    /// Whether it is about some far ends only.
    pub const fn has_remotes(&self) -> bool {
        !self.dest.is_empty() || !self.dest_ports.is_empty()
    }

    /// Checks that nothing but pipes and unix sockets is meant.
    pub(super) fn check_pipes(&self) -> Result<(), CallFaultError> {
        let is_pipe = |kind: &FdKind| matches!(kind, FdKind::Pipe | FdKind::Unix);
        if self.kinds.iter().all(is_pipe) && !self.has_remotes() {
            return Ok(());
        }
        Err(CallFaultError::NoPipe)
    }

    /// Checks that files are named.
    pub(super) fn check_paths(&self) -> Result<(), CallFaultError> {
        if self.paths.is_empty() {
            return Err(CallFaultError::NoPath);
        }
        Ok(())
    }
}

impl CallError {
    /// Checks what the types do not say.
    pub(super) fn check(&self) -> Result<(), CallFaultError> {
        self.calls.check()?;
        if self.realism == Realism::Unusual {
            return Ok(());
        }
        let unusual = self
            .calls
            .syscalls
            .iter()
            .find(|call| !is_usual(**call, self.errno));
        match unusual {
            Some(call) => Err(CallFaultError::Unusual {
                call: *call,
                errno: self.errno,
            }),
            None => Ok(()),
        }
    }
}

impl CallDelay {
    /// Checks what the types do not say.
    pub(super) fn check(&self) -> Result<(), CallFaultError> {
        self.calls.check()?;
        let asked = self.length.saturating_add(self.jitter);
        if self.length.is_zero() {
            return Err(CallFaultError::NoDelay);
        }
        match self.sleeps {
            Sleeps::Single if asked > LONGEST_SLEEP => Err(CallFaultError::TooLong { asked }),
            Sleeps::Chained if asked > LONGEST_CHAIN => Err(CallFaultError::ChainTooLong { asked }),
            _ => Ok(()),
        }
    }
}

impl CallShort {
    /// Checks what the types do not say.
    pub(super) fn check(&self) -> Result<(), CallFaultError> {
        self.calls.check()?;
        if self.at_most == 0 {
            return Err(CallFaultError::NoBytes);
        }
        if self.calls.kinds.iter().any(|kind| *kind != FdKind::File) {
            return Err(CallFaultError::OtherKind);
        }
        let other = self.calls.syscalls.iter().find(|call| !call.has_vector());
        other.map_or(Ok(()), |call| Err(CallFaultError::NoVector(*call)))
    }
}

impl CallDamage {
    /// Checks what the types do not say.
    pub(super) fn check(&self) -> Result<(), CallFaultError> {
        self.calls.check()?;
        if !(1..=MOST_BYTES).contains(&self.max_length) {
            return Err(CallFaultError::Length(self.max_length));
        }
        if !(1..=MOST_PLACES).contains(&self.max_occurrences) {
            return Err(CallFaultError::Occurrences(self.max_occurrences));
        }
        Ok(())
    }
}

/// What calls on files return, by the ERRORS sections of their manual pages.
const OF_FILES: &[&str] = &[
    "EACCES",
    "EAGAIN",
    "EBADF",
    "EBUSY",
    "EDEADLK",
    "EDQUOT",
    "EEXIST",
    "EFAULT",
    "EFBIG",
    "EINTR",
    "EINVAL",
    "EIO",
    "EISDIR",
    "ELOOP",
    "EMFILE",
    "EMLINK",
    "ENAMETOOLONG",
    "ENFILE",
    "ENODEV",
    "ENOENT",
    "ENOLCK",
    "ENOMEM",
    "ENOSPC",
    "ENOTDIR",
    "ENOTEMPTY",
    "ENOTTY",
    "ENXIO",
    "EOPNOTSUPP",
    "EOVERFLOW",
    "EPERM",
    "EPIPE",
    "EROFS",
    "ESTALE",
    "ETXTBSY",
    "EXDEV",
];

/// What calls on sockets return.
const OF_SOCKETS: &[&str] = &[
    "EACCES",
    "EADDRINUSE",
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EAGAIN",
    "EALREADY",
    "EBADF",
    "ECONNABORTED",
    "ECONNREFUSED",
    "ECONNRESET",
    "EDESTADDRREQ",
    "EFAULT",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "EINPROGRESS",
    "EINTR",
    "EINVAL",
    "EIO",
    "EISCONN",
    "EMFILE",
    "EMSGSIZE",
    "ENETDOWN",
    "ENETRESET",
    "ENETUNREACH",
    "ENFILE",
    "ENOBUFS",
    "ENOMEM",
    "ENOTCONN",
    "ENOTSOCK",
    "EOPNOTSUPP",
    "EPERM",
    "EPIPE",
    "EPROTO",
    "EPROTONOSUPPORT",
    "ETIMEDOUT",
];

/// What calls on processes and their memory return.
const OF_PROCESSES: &[&str] = &[
    "E2BIG",
    "EACCES",
    "EAGAIN",
    "EBADF",
    "EEXIST",
    "EFAULT",
    "EINVAL",
    "EIO",
    "EISDIR",
    "ELIBBAD",
    "ELOOP",
    "EMFILE",
    "ENAMETOOLONG",
    "ENFILE",
    "ENODEV",
    "ENOENT",
    "ENOEXEC",
    "ENOMEM",
    "ENOSPC",
    "ENOTDIR",
    "EOVERFLOW",
    "EPERM",
    "ETXTBSY",
    "EUSERS",
];

/// Whether a call returns an errno in reality. Of calls that no hook knows, anything that any call on
/// files returns is taken for real.
fn is_usual(call: Syscall, errno: Errno) -> bool {
    let listed = |class| match class {
        SyscallClass::File => OF_FILES,
        SyscallClass::Network => OF_SOCKETS,
        SyscallClass::Process => OF_PROCESSES,
    };
    let mut classes: Vec<_> = points::of(call).map(|point| point.class).collect();
    if classes.is_empty() {
        classes.push(SyscallClass::File);
    }
    classes
        .into_iter()
        .any(|class| listed(class).contains(&errno.name()))
}

#[cfg(test)]
mod tests;
