//! Starts this program again, as another of its own processes.
//!
//! The program is started from memory (`/proc/self/exe`), so that a file that was replaced or a file system
//! that hangs changes nothing.

use std::{
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
};

/// How long a process is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The kernel kills it when the thread that starts it ends. It takes signals, and has a process group of its
    /// own, so that a terminal's signals pass it by.
    WithParent,
    /// It ends by itself. It has a session of its own, and keeps the signals blocked that its parent has blocked.
    Own,
}

/// This program, by one of its hidden commands.
pub(crate) fn own(command: &str) -> Command {
    let mut own = Command::new("/proc/self/exe");
    own.arg(command);
    own
}

/// Leaves a descriptor open in the process, and names its number on the command line. The descriptor has to
/// live until the process is started.
pub(crate) fn leave_open(command: &mut Command, flag: &str, descriptor: &impl AsFd) {
    let number = descriptor.as_fd().as_raw_fd();
    command.arg(flag).arg(number.to_string());
    let leave = move || {
        // SAFETY: a system call that is safe after fork, on a descriptor that this process has a copy of.
        match unsafe { libc::fcntl(number, libc::F_SETFD, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: `leave` allocates nothing and takes no lock, as code between fork and exec must.
    unsafe { command.pre_exec(leave) };
}

/// Starts the process in a network namespace, by a descriptor of it that has to live until then.
pub(crate) fn enter(command: &mut Command, namespace: &impl AsFd) {
    let number = namespace.as_fd().as_raw_fd();
    let enter = move || {
        // SAFETY: a system call that is safe after fork, on a descriptor that this process has a copy of.
        match unsafe { libc::setns(number, libc::CLONE_NEWNET) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: `enter` allocates nothing and takes no lock, as code between fork and exec must.
    unsafe { command.pre_exec(enter) };
}

/// Starts the process.
pub(crate) fn start(mut command: Command, lifetime: Lifetime) -> io::Result<Child> {
    let parent = rustix::process::getpid();
    if lifetime == Lifetime::WithParent {
        command.process_group(0);
    }
    let prepare = move || match lifetime {
        Lifetime::Own => rustix::process::setsid().map(drop).map_err(io::Error::from),
        Lifetime::WithParent => {
            // SAFETY: only system calls that are safe after fork.
            unsafe {
                let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
                libc::sigemptyset(none.as_mut_ptr());
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0
                    || libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
                        != 0
                {
                    return Err(io::Error::last_os_error());
                }
            }
            // The parent may have died before the signal was asked for.
            if rustix::process::getppid() == Some(parent) {
                Ok(())
            } else {
                Err(io::Error::other("its parent process is gone"))
            }
        }
    };
    // SAFETY: `prepare` allocates nothing on its way to success and takes no lock, as code between fork and exec
    // must; on its way to failure it allocates a message after the fork of a process that has one thread here.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}
