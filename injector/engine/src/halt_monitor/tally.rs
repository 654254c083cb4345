//! How often a probe failed: so many of its last so many answers, silence included.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::SLACK_NS;
use injector_spec::{
    condition::{Fails, Pace},
    quantity::duration::nanos,
};

/// A probe's last answers, shared by its thread and the watchdog without a lock between them.
#[derive(Debug)]
pub(super) struct Tally {
    fails: Fails,
    pace: Pace,
    /// One bit an answer, the newest the lowest; 1 is a failure. What was not asked yet was fine.
    answers: AtomicU64,
    /// When the question was or will be asked that is answered next, on the boot clock.
    due_at: AtomicU64,
    /// Of the last failure.
    words: Mutex<String>,
}

impl Tally {
    /// One whose first question is due now.
    pub(super) fn begin(fails: Fails, pace: Pace, now: u64) -> Self {
        Self {
            fails,
            pace,
            answers: AtomicU64::new(0),
            due_at: AtomicU64::new(now),
            words: Mutex::default(),
        }
    }

    /// Posts an answer, and when the next question is due.
    pub(super) fn post(&self, answer: Result<(), String>, next_due_at: u64) {
        let bit = u64::from(answer.is_err());
        if let Err(why) = answer {
            *self.words.lock().unwrap_or_else(PoisonError::into_inner) = why;
        }
        // No other thread writes.
        let answers = self.answers.load(Ordering::Relaxed) << 1 | bit;
        self.answers.store(answers, Ordering::Release);
        self.due_at.store(next_due_at, Ordering::Release);
    }

    pub(super) fn look(&self, now: u64) -> Option<(u64, String)> {
        let due_at = self.due_at.load(Ordering::Acquire);
        let missing = missing(now.saturating_sub(due_at), self.pace);
        let failed = failures(self.answers.load(Ordering::Acquire), missing, self.fails);
        (failed >= u32::from(self.fails.count)).then(|| {
            let why = if missing > 0 {
                "it does not answer".to_owned()
            } else {
                // A thread that writes the words just now writes the same kind of them.
                let words = self.words.try_lock().map(|words| words.clone());
                words.unwrap_or_default()
            };
            let of = self.fails.of;
            (
                now,
                format!("{failed} of the last {of} answers were failures: {why}"),
            )
        })
    }
}

/// How many answers are missing, so long after a question was due.
fn missing(since_due: u64, pace: Pace) -> u64 {
    let patience = nanos(pace.patience()).saturating_add(SLACK_NS);
    match since_due.checked_sub(patience) {
        None | Some(0) => 0,
        Some(late) => 1 + late / nanos(pace.every).max(1),
    }
}

/// The failures among the last answers, the missing ones first.
fn failures(answers: u64, missing: u64, fails: Fails) -> u32 {
    let of = u32::from(fails.of);
    let missing = u32::try_from(missing).unwrap_or(u32::MAX).min(of);
    let kept = match of - missing {
        0 => 0,
        kept => answers & (u64::MAX >> (64 - kept)),
    };
    missing + kept.count_ones()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const PACE: Pace = Pace {
        every: Duration::from_secs(1),
        within: Duration::from_millis(200),
        timeout: None,
    };
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_probe_that_hangs_fails_after_its_time_and_again_with_each_question() {
        let tally = Tally::begin(Fails { count: 3, of: 4 }, PACE, SECOND);
        let patience = 200_000_000 + SLACK_NS;
        assert_eq!(tally.look(SECOND + patience), None);
        assert_eq!(tally.look(SECOND + patience + 1), None, "one is missing");
        assert_eq!(tally.look(2 * SECOND + patience), None, "two are");
        let (_, why) = tally.look(3 * SECOND + patience + 1).unwrap();
        assert!(why.contains("does not answer"), "{why}");
        tally.post(Ok(()), 4 * SECOND);
        assert_eq!(tally.look(4 * SECOND), None, "it answers again");
        tally.post(Err("refused".into()), 5 * SECOND);
        tally.post(Err("refused".into()), 6 * SECOND);
        assert_eq!(tally.look(6 * SECOND), None);
        let (_, why) = tally.look(6 * SECOND + patience + 1).unwrap();
        assert!(why.contains("3 of the last 4"), "{why}");
    }

    proptest! {
        /// The same, counted by hand.
        #[test]
        fn so_many_of_the_last_so_many(
            answers in prop::collection::vec(any::<bool>(), 0..90),
            missing in 0u64..70, count in 1u8..=64, more in 0u8..64,
        ) {
            let fails = Fails { count, of: (count + more).min(64) };
            let tally = Tally::begin(fails, PACE, 0);
            for is_fine in &answers {
                tally.post(if *is_fine { Ok(()) } else { Err(String::new()) }, 0);
            }
            let all = std::iter::repeat_n(false, usize::try_from(missing).unwrap())
                .chain(answers.iter().rev().copied());
            let expected = all.take(fails.of.into()).filter(|is_fine| !is_fine).count();
            let bits = tally.answers.load(Ordering::Relaxed);
            prop_assert_eq!(failures(bits, missing, fails), u32::try_from(expected).unwrap());
        }

        /// Time that passes never makes less of a silence.
        #[test]
        fn silence_only_grows(first in 0u64..20 * SECOND, more in 0u64..20 * SECOND) {
            prop_assert!(missing(first, PACE) <= missing(first + more, PACE));
        }
    }
}
