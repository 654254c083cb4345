//! Signals as things to read: the supervisor has one loop and no handlers.

use std::{
    mem::{MaybeUninit, size_of},
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
};

use injector_spec::error::Refusal;

/// Signals that ask for an end, or would be one (signal(7)): every signal that can be caught and ends a process, but for
/// those by which the kernel tells a thread of its own mistake.
pub const ENDING: [libc::c_int; 16] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGABRT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGTRAP,
];

/// Signals of a terminal that would stop the supervisor while its worker has a fault armed.
const STOPPING: [libc::c_int; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// The signals that ask for an end, blocked and readable.
pub(crate) struct Signals(OwnedFd);

impl Signals {
    /// Blocks the signals for this process and its threads to come.
    pub(crate) fn block() -> Result<Self, Refusal> {
        let failed = || {
            let error = std::io::Error::last_os_error();
            Refusal::failed(format!("signals cannot be set up: {error}."))
        };
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigemptyset` makes the set valid before the others use it; the mask of this thread
        // is all that changes; `signalfd` returns a new descriptor that no other code owns.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in ENDING {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            for signal in STOPPING {
                libc::signal(signal, libc::SIG_IGN);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) != 0 {
                return Err(failed());
            }
            let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                Err(failed())
            } else {
                Ok(Self(OwnedFd::from_raw_fd(fd)))
            }
        }
    }

    /// The next signal, if one came.
    pub(crate) fn next(&self) -> Option<()> {
        let mut buffer = [0u8; size_of::<libc::signalfd_siginfo>()];
        let read = rustix::io::read(&self.0, &mut buffer).ok()?;
        (read == buffer.len()).then_some(())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
