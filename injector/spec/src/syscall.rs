//! System calls by name, and the places in the kernel where each is decided.
//!
//! Names and numbers are those of `x86_64`; [`points`] says at which hooks of the security modules a call
//! is met. A call without a point is met at its own function only.

pub mod points;

use std::{fmt, str::FromStr};

use syscalls::Sysno;

use crate::nearest::nearest;

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syscall(Sysno);

/// A name that no system call has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a system call of x86_64{nearest}; see syscalls(2)")]
pub struct SyscallError {
    text: String,
    nearest: String,
}

impl Syscall {
    /// The system call with this number.
    pub fn of(number: u32) -> Option<Self> {
        Sysno::new(usize::try_from(number).ok()?).map(Self)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        u32::try_from(self.0.id()).unwrap_or(injector_common::call::NO_NUMBER)
    }

    /// Its name, as in syscalls(2).
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether its first argument is a descriptor, so that what it is about is known where it begins.
    pub fn takes_descriptor(self) -> bool {
        DESCRIPTOR_FIRST.contains(&self.name())
    }

    /// Whether what it reads can be damaged where it ends (`trace.rs` of the BPF programs knows where its
    /// buffer is).
    pub fn returns_bytes(self) -> bool {
        [READS, RECEIVES].concat().contains(&self.name())
    }

    /// Whether it reads or writes by a vector, whose lengths lie in the caller's memory and not in a register.
    pub fn has_vector(self) -> bool {
        [VECTOR_READS, VECTOR_WRITES]
            .concat()
            .contains(&self.name())
    }

    /// The kernel's function (`arch/x86/entry/syscalls/syscall_64.tbl`).
    pub fn function(self) -> String {
        let name = match self.name() {
            "stat" => "newstat",
            "lstat" => "newlstat",
            "fstat" => "newfstat",
            "uname" => "newuname",
            "umount2" => "umount",
            "sendfile" => "sendfile64",
            name => name,
        };
        format!("__x64_sys_{name}")
    }
}

/// Calls that read from a descriptor of any kind.
pub const READS: &[&str] = &["read", "pread64", "readv", "preadv", "preadv2"];

/// Those of them that read into several pieces.
pub const VECTOR_READS: &[&str] = &["readv", "preadv", "preadv2"];

/// Calls that write several pieces.
pub const VECTOR_WRITES: &[&str] = &["writev", "pwritev", "pwritev2"];

/// Calls that read from a socket.
pub const RECEIVES: &[&str] = &["recvfrom", "recvmsg"];

/// Calls whose first argument is a descriptor (`arch/x86/entry/syscalls/syscall_64.tbl`).
const DESCRIPTOR_FIRST: &[&str] = &[
    "read",
    "pread64",
    "readv",
    "preadv",
    "preadv2",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "ftruncate",
    "fallocate",
    "fchmod",
    "fchown",
    "fstat",
    "getdents",
    "getdents64",
    "lseek",
    "flock",
    "ioctl",
    "fcntl",
    "fadvise64",
    "readahead",
    "accept",
    "accept4",
    "connect",
    "bind",
    "listen",
    "shutdown",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "close",
];

impl FromStr for Syscall {
    type Err = SyscallError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(number) = text.parse::<Sysno>() {
            return Ok(Self(number));
        }
        let nearest = nearest(text, Sysno::iter().map(|number| number.name()));
        Err(SyscallError {
            text: text.escape_debug().to_string(),
            nearest: nearest.map_or_else(String::new, |name| format!(", did you mean {name}?")),
        })
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

crate::quantity::as_text!(Syscall);

/// System calls that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SyscallClass {
    /// Opens, reads, writes and changes files.
    File,
    /// Makes and uses sockets.
    Network,
    /// Starts programs, makes processes and threads.
    Process,
}

impl SyscallClass {
    /// Its calls: those that are met at the hooks of the security modules.
    pub fn calls(self) -> Vec<Syscall> {
        points::ALL
            .iter()
            .filter(|point| point.class == self)
            .flat_map(|point| point.calls)
            .filter_map(|name| name.parse().ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_and_the_nearest_is_told() {
        let openat: Syscall = "openat".parse().unwrap();
        assert_eq!((openat.number(), openat.name()), (257, "openat"));
        assert_eq!(openat.function(), "__x64_sys_openat");
        let error = "opneat".parse::<Syscall>().unwrap_err().to_string();
        assert!(error.contains("did you mean openat?"), "{error}");
        assert!(
            "ope\u{7}n"
                .parse::<Syscall>()
                .is_err_and(|error| !error.to_string().contains('\u{7}'))
        );
    }

    #[test]
    fn every_call_with_a_point_exists() {
        for name in points::ALL.iter().flat_map(|point| point.calls) {
            assert!(name.parse::<Syscall>().is_ok(), "{name}");
        }
        assert!(SyscallClass::File.calls().len() > 20);
    }
}
