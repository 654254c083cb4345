//! What is done with files and pipes, by a word for several system calls.

use clap::ValueEnum;

use super::{
    Calls,
    settings::{Settings, name},
};
use crate::syscall::{READS, Syscall, VECTOR_READS, VECTOR_WRITES};

/// A word for some calls.
pub(crate) trait Method: ValueEnum + Copy {
    /// The calls.
    fn calls(self) -> &'static [&'static str];

    /// The words that stand for just these calls; `None` where none do.
    fn of(syscalls: &[Syscall]) -> Option<Vec<Self>> {
        let calls_of = |method: &Self| Calls::named(method.calls(), None).syscalls;
        let is_all_there =
            |method: &&Self| calls_of(method).iter().all(|call| syscalls.contains(call));
        let methods: Vec<Self> = Self::value_variants()
            .iter()
            .filter(is_all_there)
            .copied()
            .collect();
        let said: Vec<Syscall> = methods.iter().flat_map(calls_of).collect();
        let is_whole = syscalls.iter().all(|call| said.contains(call));
        (is_whole && !methods.is_empty()).then_some(methods)
    }

    /// Says which calls are meant: by these words, where they are just that.
    fn describe(calls: &Calls, filters: &mut Settings) {
        match Self::of(&calls.syscalls) {
            Some(methods) => filters.list("methods", methods.into_iter().map(name)),
            None => filters.list("syscall", &calls.syscalls),
        }
        calls.describe(filters);
    }
}

/// What is done with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileMethod {
    /// They are opened
    Open,
    /// They are read
    Read,
    /// They are written
    Write,
    /// What was written is brought to the disk
    Fsync,
}

impl Method for FileMethod {
    fn calls(self) -> &'static [&'static str] {
        match self {
            Self::Open => &["open", "openat", "openat2", "creat"],
            Self::Read => READS,
            Self::Write => &["write", "pwrite64", "writev", "pwritev", "pwritev2"],
            Self::Fsync => &["fsync", "fdatasync"],
        }
    }
}

/// What is done with files, in several pieces at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VectorMethod {
    /// They are read by readv, preadv or preadv2
    Readv,
    /// They are written by writev, pwritev or pwritev2
    Writev,
}

impl Method for VectorMethod {
    fn calls(self) -> &'static [&'static str] {
        match self {
            Self::Readv => VECTOR_READS,
            Self::Writev => VECTOR_WRITES,
        }
    }
}

/// What is done with pipes and unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PipeMethod {
    /// They are read
    Read,
    /// They are written
    Write,
}

impl Method for PipeMethod {
    fn calls(self) -> &'static [&'static str] {
        match self {
            Self::Read => &["read", "readv", "recvfrom", "recvmsg"],
            Self::Write => &["write", "writev", "sendto", "sendmsg"],
        }
    }
}
