//! What is never a target, for any caller.
//!
//! The host's init, the kernel's threads, the way into the host, the injector and everything above the
//! person who asked: a fault there takes away the means to end it.

use super::{
    Error,
    process::{self, ProcessInfo},
};

/// Names of processes that keep the host reachable and in order. `sshd-session` and `sshd-auth` are
/// OpenSSH 9.8's and 10's own children.
const SERVICES: [&str; 8] = [
    "sshd",
    "sshd-session",
    "sshd-auth",
    "systemd",
    "systemd-logind",
    "systemd-journald",
    "systemd-udevd",
    "dbus-daemon",
];

/// Who asked, and therefore who is protected beside the usual.
#[derive(Clone, Debug)]
pub struct Guard {
    protected: Vec<u32>,
}

impl Guard {
    /// Protects the injector, `caller` and all their parents.
    pub fn new(caller: u32) -> Self {
        let mut protected = process::ancestry(std::process::id());
        protected.extend(process::ancestry(caller));
        Self { protected }
    }

    /// Processes that are protected because of who asks.
    pub fn protected(&self) -> &[u32] {
        &self.protected
    }

    /// Why this process is never a target, if it is not.
    pub fn reason(&self, process: &ProcessInfo) -> Option<&'static str> {
        if process.pid == 1 {
            return Some("it is the host's init");
        }
        if process.is_kernel_thread {
            return Some("it is a thread of the kernel");
        }
        if process.pid == std::process::id() {
            return Some("it is the injector itself");
        }
        if self.protected.contains(&process.pid) {
            return Some("it is the injector, its caller, or a parent of theirs");
        }
        SERVICES
            .contains(&process.comm.as_str())
            .then_some("it keeps the host reachable or in order")
    }

    /// Refuses a protected process.
    pub fn check(&self, pid: u32) -> Result<(), Error> {
        let process = process::info(pid)?;
        match self.reason(&process) {
            None => Ok(()),
            Some(why) => Err(Error::Protected {
                pid,
                comm: process.comm,
                why,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pid: u32, comm: &str) -> ProcessInfo {
        ProcessInfo {
            pid,
            parent: 1,
            comm: comm.into(),
            is_kernel_thread: false,
        }
    }

    #[test]
    fn the_usual_suspects_are_protected() {
        let guard = Guard::new(std::process::id());
        assert!(guard.reason(&named(1, "init")).is_some());
        assert!(guard.reason(&named(std::process::id(), "x")).is_some());
        assert!(guard.reason(&named(999_999, "sshd")).is_some());
        assert!(guard.reason(&named(999_999, "agent")).is_none());
        let kernel = ProcessInfo {
            is_kernel_thread: true,
            ..named(2, "kthreadd")
        };
        assert!(guard.reason(&kernel).is_some());
    }

    #[test]
    fn parents_are_protected() {
        let guard = Guard::new(std::process::id());
        let parent = rustix::process::getppid()
            .unwrap()
            .as_raw_nonzero()
            .get()
            .cast_unsigned();
        assert!(matches!(guard.check(parent), Err(Error::Protected { .. })));
    }
}
