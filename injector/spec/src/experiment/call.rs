//! Which system calls a fault means.

mod error;

use injector_common::call::{REMOTES, kind};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use error::CallFaultError;

use super::{
    FilePattern, Presence, Settings,
    decided::{Decided, Why, stays},
    settings::name,
};
use crate::{faults::About, quantity::PortRange, syscall::Syscall};

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

/// The most paths of one fault.
pub(super) const MOST_PATHS: usize = 16;

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

    pub(crate) fn check(&self) -> Result<(), CallFaultError> {
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

    /// Checks that they can be about what the fault is about.
    pub(super) fn check_about(&self, about: About) -> Result<(), CallFaultError> {
        let is_pipe = |kind: &FdKind| matches!(kind, FdKind::Pipe | FdKind::Unix);
        let refused = match about {
            About::Anything => None,
            About::Files => self.paths.is_empty().then_some(CallFaultError::NoPath),
            About::Pipes => {
                let are_pipes = self.kinds.iter().all(is_pipe) && !self.has_remotes();
                (!are_pipes).then_some(CallFaultError::NoPipe)
            }
        };
        refused.map_or(Ok(()), Err)
    }

    /// Says which, but for their names.
    pub(crate) fn describe(&self, filters: &mut Settings) {
        filters.some("thread", self.thread.as_ref());
        filters.list("path", self.paths.iter().map(FilePattern::text));
        filters.flag("future", self.presence == Presence::Future);
        filters.list("fd-kind", self.kinds.iter().map(|kind| name(*kind)));
        filters.list("dest-ip", &self.dest);
        filters.list("dest-port", &self.dest_ports);
        filters.some("mechanism", self.mechanism.map(name));
    }

    /// Its numbers: all of them say which calls are meant.
    pub(crate) fn numbers(&self) -> Vec<Decided<'static>> {
        let Self {
            syscalls: _,
            thread: _,
            paths: _,
            presence: _,
            kinds: _,
            dest: _,
            dest_ports: _,
            mechanism: _,
        } = self;
        stays(&["dest-ip", "dest-port"], Why::Filter)
    }
}
