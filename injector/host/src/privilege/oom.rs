//! Who goes first when memory is short (`/proc/PID/oom_score_adj`, proc(5)).
//!
//! The worker should not go before its target does, because a fault that ends early spoils an experiment.
//! The supervisor should not go at all: it puts back what the worker changed. It is small, so that
//! sparing it costs the host nothing.

use std::{fs, io};

/// For the worker: late.
const WORKER: i32 = -900;

/// For the supervisor: never (`OOM_SCORE_ADJ_MIN`).
const SUPERVISOR: i32 = -1000;

/// Spares this process as far as the worker is to be spared, which inherits it. An error where the kernel
/// refuses: going below what is set takes `CAP_SYS_RESOURCE`.
pub fn shield_worker() -> io::Result<()> {
    lower(WORKER)
}

/// Spares this process altogether. For the supervisor, once its worker runs.
pub fn shield_supervisor() -> io::Result<()> {
    lower(SUPERVISOR)
}

fn lower(to: i32) -> io::Result<()> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let now: Option<i32> = fs::read_to_string(FILE)?.trim().parse().ok();
    // The operator or parent process that has spared us more than that had a reason.
    if now.is_some_and(|now| now <= to) {
        return Ok(());
    }
    fs::write(FILE, to.to_string())
}
