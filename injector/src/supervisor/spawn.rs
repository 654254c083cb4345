//! Starts the worker: this program again, in a process group of its own, that dies with its parent.

use std::{
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
};

use crate::error::Refusal;

/// Starts the worker with its end of the link.
pub(super) fn worker(link: OwnedFd) -> Result<Child, Refusal> {
    let parent = rustix::process::getpid();
    let fd = link.as_raw_fd();
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("worker")
        .arg("--link")
        .arg(fd.to_string())
        .stdin(Stdio::null())
        .process_group(0);
    let prepare = move || {
        // SAFETY: only system calls that are safe after fork; the descriptor is the link, which `link`
        // keeps open until the child has its own copy.
        unsafe {
            let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0
                || libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) != 0
                || libc::fcntl(fd, libc::F_SETFD, 0) != 0
            {
                return Err(io::Error::last_os_error());
            }
        }
        // The parent may have died before the signal was asked for.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::Error::other("the supervisor is gone"));
        }
        Ok(())
    };
    // SAFETY: `prepare` allocates nothing and takes no lock, as code between fork and exec must.
    unsafe { command.pre_exec(prepare) };
    let child = command
        .spawn()
        .map_err(|error| Refusal::failed(format!("the worker cannot be started: {error}.")));
    drop(link);
    child
}

/// Asks the worker to end in good order.
pub(super) fn ask_to_end(worker: &Child) {
    if let Some(pid) = i32::try_from(worker.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        // The child was not waited for yet, so the PID is its own; it may be dead already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
