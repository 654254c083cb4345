//! What this process was started with, looked at before the standard library covers it up.
//!
//! Rust opens /dev/null where descriptor 0, 1 or 2 is closed (`sanitize_standard_fds`, before `main`), so
//! that no file of the program ends up under those numbers. That is right, and it hides from a report that
//! nothing will read it. The functions in `.init_array` run earlier than that: ld.so calls them, or the C
//! library where there is no ld.so.
//!
//! Rejected: to look afterwards whether standard output is /dev/null. A caller who writes `>/dev/null` wants
//! no output.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_CLOSED: AtomicBool = AtomicBool::new(false);

#[used]
// SAFETY: the section holds pointers to functions that take what they like of argc, argv and envp and
// return nothing (System V ABI, "Initialization and Termination Functions"); `look` takes nothing.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: fcntl(2) with F_GETFD touches no memory, and needs nothing that `main` would set up.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    IS_CLOSED.store(flags == -1, Ordering::Relaxed);
}

/// Whether standard output was closed.
pub(crate) fn has_no_output() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}
