//! Keys, as they are pressed: a thread of its own, because a person may press none.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often it is looked whether keys are wanted still, in nanoseconds.
const LOOK_EVERY: i64 = 100_000_000;

/// Hears keys until they are wanted no more, or the terminal is gone. What is typed after that is the next program's.
pub fn listen(
    terminal: OwnedFd,
    is_over: Arc<AtomicBool>,
    mut hear: impl FnMut(u8) + Send + 'static,
) {
    let body = move || {
        let mut keys = [0; 64];
        let rest = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK_EVERY,
        };
        while !is_over.load(Ordering::Relaxed) {
            let mut polled = [PollFd::from_borrowed_fd(terminal.as_fd(), PollFlags::IN)];
            match poll(&mut polled, Some(&rest)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => return,
            }
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            match rustix::io::read(&terminal, &mut keys) {
                Ok(0) => return,
                Ok(1) => hear(keys[0]),
                // An arrow or another key of several bytes, or a paste: no person means `q` and `y` by it.
                Ok(_) | Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(_) => return,
            }
        }
    };
    // Without the thread there are no keys, and signals are left.
    let _ = std::thread::Builder::new().name("keys".into()).spawn(body);
}
