//! Faults by which system calls fail: `sys.error`, `io.error`, `pipe.error`.

use serde::{Deserialize, Serialize};

use crate::{
    experiment::{CallFaultError, Calls, Settings, decided::Decided},
    quantity::Errno,
    syscall::{Syscall, SyscallClass, points},
};

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

impl CallError {
    /// Checks what the types do not say.
    pub(crate) fn check(&self) -> Result<(), CallFaultError> {
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

    /// Says what they return.
    pub(super) fn describe(&self, parameters: &mut Settings) {
        parameters.one("errno", self.errno);
        parameters.flag("unusual", self.realism == Realism::Unusual);
    }

    pub(super) fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            calls,
            errno: _,
            realism: _,
        } = self;
        calls.numbers()
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
mod tests {
    use super::*;

    fn error(call: &str, errno: &str, realism: Realism) -> Result<(), CallFaultError> {
        let calls = Calls {
            syscalls: vec![call.parse().unwrap()],
            ..Calls::default()
        };
        let errno = errno.parse().unwrap();
        CallError {
            calls,
            errno,
            realism,
        }
        .check()
    }

    #[test]
    fn an_errno_that_never_comes_has_to_be_asked_for() {
        assert_eq!(error("openat", "ENOSPC", Realism::Usual), Ok(()));
        assert_eq!(error("read", "ECONNRESET", Realism::Usual), Ok(()));
        assert!(error("openat", "ECONNREFUSED", Realism::Usual).is_err());
        assert_eq!(error("openat", "ECONNREFUSED", Realism::Unusual), Ok(()));
        assert_eq!(error("fsync", "EIO", Realism::Usual), Ok(()));
    }

    #[test]
    fn every_errno_of_the_lists_is_known() {
        for name in [OF_FILES, OF_SOCKETS, OF_PROCESSES].concat() {
            assert!(name.parse::<Errno>().is_ok(), "{name}");
        }
    }
}
