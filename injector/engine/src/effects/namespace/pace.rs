//! How often open sockets are looked through: as often as is asked, while that costs little.
//!
//! A look costs time for each file that a target has open. A look that takes long is followed by a pause that is
//! longer in proportion, so that looking takes a fiftieth of a CPU at most, however many files there are and
//! however slow the host's way of reaching them is.

use rustix::time::{ClockId, clock_gettime};

/// What part of a CPU looking may take: one in so many.
const SHARE: u64 = 50;

/// How far a look came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::effects) enum Reach {
    /// It has seen everything.
    Whole,
    /// It had so much to do that it was broken off.
    Part,
}

/// When the next look is due.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next_boot_ns: u64,
}

/// The CPU time of the calling thread when a look began, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun(u64);

impl Begun {
    /// Now.
    pub(super) fn now() -> Self {
        Self(cpu_ns())
    }

    /// The CPU time that the thread has used since.
    pub(super) fn cost_ns(self) -> u64 {
        cpu_ns().saturating_sub(self.0)
    }
}

impl Pace {
    /// Whether a look is due.
    pub(super) const fn is_due(&self, now_boot_ns: u64) -> bool {
        now_boot_ns >= self.next_boot_ns
    }

    /// A look that ends now has cost this much CPU time. One that was broken off goes on at the next chance: what it
    /// did was the fault's own work, and no search in vain.
    pub(super) const fn looked(&mut self, now_boot_ns: u64, cost_ns: u64, reach: Reach) {
        self.next_boot_ns = match reach {
            Reach::Whole => now_boot_ns.saturating_add(cost_ns.saturating_mul(SHARE)),
            Reach::Part => now_boot_ns,
        };
    }
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a look costs, all of them together take a fiftieth of the time.
    #[test]
    fn looks_take_a_fiftieth_of_the_time_at_most() {
        const TICK: u64 = 50_000_000;
        for cost in [0, 1_000, 1_000_000, 4_000_000, 150_000_000] {
            let (mut pace, mut spent, mut now) = (Pace::default(), 0, 0);
            while now < 20_000_000_000 {
                if pace.is_due(now) {
                    pace.looked(now, cost, Reach::Whole);
                    spent += cost;
                }
                now += TICK;
            }
            // The last look's pause may lie behind the end.
            assert!(spent <= now / SHARE + cost, "{cost}: {spent} of {now}");
            if cost * SHARE <= TICK {
                assert_eq!(spent, cost * (now / TICK), "{cost}: a look was left out");
            }
        }
    }

    #[test]
    fn what_was_broken_off_goes_on_at_once() {
        let mut pace = Pace::default();
        pace.looked(1_000, 1_000_000, Reach::Part);
        assert!(pace.is_due(1_000));
        pace.looked(1_000, 1_000_000, Reach::Whole);
        assert!(!pace.is_due(1_000 + 49_999_999) && pace.is_due(1_000 + 50_000_000));
    }
}
