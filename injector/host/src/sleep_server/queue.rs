//! Who sleeps, in the order in which they wake.

use std::collections::{BTreeSet, HashMap};

/// Sleepers by their request's number. Times are on the boot clock, in nanoseconds.
#[derive(Default)]
pub(super) struct Queue {
    by_time: BTreeSet<(u64, u64)>,
    by_number: HashMap<u64, Sleeper>,
}

#[derive(Clone, Copy)]
struct Sleeper {
    wake_boot_ns: u64,
    session: usize,
}

impl Queue {
    /// Adds a sleeper of a session.
    pub(super) fn add(&mut self, unique: u64, wake_boot_ns: u64, session: usize) {
        self.remove(unique);
        let sleeper = Sleeper {
            wake_boot_ns,
            session,
        };
        self.by_number.insert(unique, sleeper);
        self.by_time.insert((wake_boot_ns, unique));
    }

    /// Takes a sleeper out before its time; says whether it was there.
    pub(super) fn remove(&mut self, unique: u64) -> bool {
        let Some(Sleeper { wake_boot_ns, .. }) = self.by_number.remove(&unique) else {
            return false;
        };
        self.by_time.remove(&(wake_boot_ns, unique))
    }

    /// Takes the next sleeper out whose time has come.
    pub(super) fn next_due(&mut self, now_boot_ns: u64) -> Option<u64> {
        let (wake_boot_ns, unique) = *self.by_time.first()?;
        if wake_boot_ns > now_boot_ns {
            return None;
        }
        self.remove(unique);
        Some(unique)
    }

    /// When the next one wakes.
    pub(super) fn next_wake(&self) -> Option<u64> {
        self.by_time.first().map(|(wake_boot_ns, _)| *wake_boot_ns)
    }

    /// Takes all sleepers out for which `leaves` holds, given their session; in no order.
    pub(super) fn clear(&mut self, leaves: impl Fn(usize) -> bool) -> Vec<u64> {
        let leaving: Vec<u64> = self
            .by_number
            .iter()
            .filter(|(_, sleeper)| leaves(sleeper.session))
            .map(|(unique, _)| *unique)
            .collect();
        for unique in &leaving {
            self.remove(*unique);
        }
        leaving
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_wake_in_order_and_none_early(
            times in proptest::collection::vec(0_u64..1_000, 1..200),
            interrupted in proptest::collection::vec(any::<bool>(), 200),
            step in 1_u64..50,
        ) {
            let mut queue = Queue::default();
            for (unique, time) in (0..).zip(&times) {
                queue.add(unique, *time, 0);
            }
            let mut left: Vec<(u64, u64)> = Vec::new();
            for ((unique, time), interrupted) in (0..).zip(&times).zip(&interrupted) {
                if *interrupted {
                    prop_assert!(queue.remove(unique));
                    prop_assert!(!queue.remove(unique));
                } else {
                    left.push((*time, unique));
                }
            }
            left.sort_unstable();
            let mut woken = Vec::new();
            for now in (0..1_000 + step).step_by(usize::try_from(step).unwrap()) {
                while let Some(unique) = queue.next_due(now) {
                    let time = times[usize::try_from(unique).unwrap()];
                    prop_assert!(time <= now && time + step > now, "{time} at {now}");
                    woken.push((time, unique));
                }
                prop_assert!(queue.next_wake().is_none_or(|wake| wake > now));
            }
            prop_assert_eq!(woken, left);
        }
    }

    #[test]
    fn a_session_leaves_alone() {
        let mut queue = Queue::default();
        queue.add(1, 10, 0);
        queue.add(2, 20, 1);
        queue.add(3, 30, 0);
        let mut left = queue.clear(|session| session == 0);
        left.sort_unstable();
        assert_eq!(left, [1, 3]);
        assert_eq!(queue.next_wake(), Some(20));
        assert_eq!(queue.next_due(20), Some(2));
        assert_eq!(queue.next_wake(), None);
    }
}
