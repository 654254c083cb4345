//! A probe's thread: asks, posts, waits.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{ask::ask, tally::Tally};
use injector_host::kernel::clock::boot_ns;
use injector_spec::condition::Probe;

/// Asks until the run is over.
pub(super) fn keep_asking(probe: &Probe, tally: &Tally, is_over: &AtomicBool) {
    let every = u64::try_from(tally.pace.every.as_nanos()).unwrap_or(u64::MAX);
    let mut due_at = boot_ns();
    while !is_over.load(Ordering::Relaxed) {
        let answer = ask(probe, tally.pace.within, is_over);
        // Never two at once: what takes longer than its pace is asked again at once.
        due_at = due_at.saturating_add(every).max(boot_ns());
        tally.post(answer, due_at);
        while let Some(left) = due_at.checked_sub(boot_ns()).filter(|left| *left > 0)
            && !is_over.load(Ordering::Relaxed)
        {
            thread::park_timeout(Duration::from_nanos(left));
        }
    }
}
