//! What this process was started with, looked at before the standard library covers it up.
//!
//! Rust opens /dev/null where descriptor 0, 1 or 2 is closed (`sanitize_standard_fds`, before `main`), so
//! that no file of the program ends up under those numbers. That is right, and it hides from a report that
//! nothing will read it. The functions in `.init_array` run earlier than that: ld.so calls them, or the C
//! library where there is no ld.so.
//!
//! What else its caller has left open stays with this process ([`keep_descriptors`]): a program that a person names
//! for a probe would otherwise hold it, the lock of `flock FILE injector ...` among it, for as long as it hangs.
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

/// Lets no program that this process starts have what its caller has left open beyond standard input, output and
/// error. What a process of injector's own is to have is left open for it by name.
pub(crate) fn keep_descriptors() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: close_range(2) with this flag closes nothing, and touches no memory.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if outcome != 0 {
        one_by_one(FIRST);
    }
}

/// The same where the kernel knows no such flag (before Linux 5.11).
fn one_by_one(first: libc::c_uint) {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number: &libc::c_int| number.cast_unsigned() >= first) {
        // SAFETY: sets a flag of a descriptor; one that is closed meanwhile is an error that harms nothing.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
