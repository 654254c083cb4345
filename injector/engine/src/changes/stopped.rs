//! Processes that are stopped by SIGSTOP, and go on again.

use rustix::io::Errno;

use super::Fate;
use injector_host::{
    kernel::Error,
    targets::{pidfd, process::TaskKey},
};
use injector_record::journal::Process;

/// Stops a process.
///
/// # Errors
/// `ESRCH` where it has ended.
pub(super) fn stop(key: TaskKey) -> Result<(), Errno> {
    pidfd::signal(key, libc::SIGSTOP)
}

/// Lets processes go on. Those that have ended need nothing. SIGCONT goes to all of them, whatever they
/// seem to do: one that is deep in the kernel stops only when it comes back, and SIGCONT takes a stop
/// away that is still to come (`kernel/signal.c`, `prepare_signal`).
pub(super) fn restore(processes: &[Process]) -> Result<Fate, Error> {
    let mut fate = Fate::Gone;
    let mut failed = None;
    for process in processes {
        match pidfd::signal(key_of(*process), libc::SIGCONT) {
            Ok(()) => fate = Fate::Restored,
            Err(Errno::SRCH) => {}
            // The others go on all the same.
            Err(errno) => failed = Some((process.pid, errno)),
        }
    }
    match failed {
        None => Ok(fate),
        Some((pid, errno)) => Err(Error::system(format!("let process {pid} go on"), errno)),
    }
}

/// The journal's name of a process.
pub(super) fn named(key: TaskKey) -> Process {
    Process {
        pid: key.tgid,
        start_ticks: key.start_ticks,
    }
}

fn key_of(process: Process) -> TaskKey {
    TaskKey {
        tgid: process.pid,
        start_ticks: process.start_ticks,
    }
}
