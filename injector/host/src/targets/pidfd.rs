//! Handles on exactly one process, and signals through them.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::process::TaskKey;

/// A pidfd of exactly this process: its start time is checked after the pidfd is open, when the PID
/// cannot be reused unnoticed any more.
///
/// # Errors
/// `ESRCH` where the process has ended, or its PID is another's by now.
pub fn open(key: TaskKey) -> Result<OwnedFd, Errno> {
    let pid = i32::try_from(key.tgid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    if key.is_alive() {
        Ok(pidfd)
    } else {
        Err(Errno::SRCH)
    }
}

/// Sends exactly this process a signal; 0 only asks whether one could be sent.
///
/// # Errors
/// As [`open`], and what `pidfd_send_signal(2)` says.
pub fn signal(key: TaskKey, number: i32) -> Result<(), Errno> {
    let pidfd = open(key)?;
    // rustix takes named signals only, and 0 is none.
    // SAFETY: the descriptor is open for the whole call, and without a siginfo the kernel reads nothing
    // of ours (kernel/signal.c, `pidfd_send_signal`).
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            number,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            Self(Command::new("sleep").arg("60").spawn().unwrap())
        }

        fn key(&self) -> TaskKey {
            TaskKey::of(self.0.id()).unwrap()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_process_that_is_meant_gets_the_signal() {
        use std::os::unix::process::ExitStatusExt;
        let mut sleeper = Sleeper::start();
        signal(sleeper.key(), libc::SIGTERM).unwrap();
        assert_eq!(sleeper.0.wait().unwrap().signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn a_pid_that_is_anothers_by_now_gets_none() {
        let mut sleeper = Sleeper::start();
        let key = sleeper.key();
        let predecessor = TaskKey {
            start_ticks: key.start_ticks - 1,
            ..key
        };
        assert_eq!(signal(predecessor, libc::SIGKILL), Err(Errno::SRCH));
        assert!(key.is_alive());
        assert_eq!(sleeper.0.try_wait().unwrap(), None);
    }
}
