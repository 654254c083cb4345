//! A probe's thread: asks, posts, waits.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::ask::Asker;
use injector_host::{kernel::clock::boot_ns, targets::guard::Guard};
use injector_spec::{
    condition::{Pace, Probe},
    quantity::duration::nanos,
};

/// What came of one question. Times are on the boot clock, in nanoseconds.
pub struct Answered {
    /// When it was asked.
    pub begun_ns: u64,
    /// When the answer was there.
    pub ended_ns: u64,
    /// When the next one is due.
    pub due_ns: u64,
    /// What is wrong, in half a sentence, where something is.
    pub answer: Result<(), String>,
}

/// The longest reason, in characters: a part of it may be the other side's, and answers are kept by the thousand.
const LONGEST_REASON: usize = 200;

fn shortened(why: String) -> String {
    match why.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}...", &why[..end]),
        None => why,
    }
}

/// How long a thread rests at most that has nothing to ask yet.
const REST: Duration = Duration::from_millis(100);

/// Asks until the run is over.
pub fn keep_asking(
    probe: &Probe,
    pace: Pace,
    guard: &Guard,
    is_over: &AtomicBool,
    post: impl FnMut(Answered),
) {
    keep_asking_while(probe, pace, guard, is_over, || true, post);
}

/// Asks until the run is over, while it is time to.
pub fn keep_asking_while(
    probe: &Probe,
    pace: Pace,
    guard: &Guard,
    is_over: &AtomicBool,
    is_time: impl Fn() -> bool,
    mut post: impl FnMut(Answered),
) {
    let every = nanos(pace.every);
    let mut due_at = boot_ns();
    let mut asker = Asker::of(probe, guard);
    while !is_over.load(Ordering::Relaxed) {
        if !is_time() {
            thread::park_timeout(pace.every.min(REST));
            due_at = boot_ns();
            continue;
        }
        let begun_ns = boot_ns();
        let answer = asker.ask(pace, is_over).map_err(shortened);
        let ended_ns = boot_ns();
        if is_over.load(Ordering::Relaxed) {
            // It may have been broken off, and none is wanted any more.
            return;
        }
        // Never two at once: what takes longer than its pace is asked again at once.
        due_at = due_at.saturating_add(every).max(ended_ns);
        post(Answered {
            begun_ns,
            ended_ns,
            due_ns: due_at,
            answer,
        });
        while let Some(left) = due_at.checked_sub(boot_ns()).filter(|left| *left > 0)
            && !is_over.load(Ordering::Relaxed)
        {
            thread::park_timeout(Duration::from_nanos(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A server that answers with a megabyte does not fill the journal.
        #[test]
        fn a_reason_is_short_and_begins_as_it_did(why in "\\PC{0,400}") {
            let short = shortened(why.clone());
            prop_assert!(short.chars().count() <= LONGEST_REASON + 3);
            prop_assert!(why.starts_with(short.strip_suffix("...").unwrap_or(&short)) || short == why);
        }
    }
}
