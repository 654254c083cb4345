//! What can be counted only while a run goes on: hits a second, bytes, processes that join.
//!
//! The number of hits is exact, because the kernel takes each from the rule's budget. These are not: the
//! run's loop looks at the counters every 50 ms, so a run oversteps by what happens in one look.

use std::collections::VecDeque;

use injector_plan::policy::Override;
use injector_record::event::Limits;
use injector_spec::{
    config::Config,
    quantity::{bytes, duration},
};

/// The span in which hits are counted.
const SECOND_NS: u64 = 1_000_000_000;

/// What a run may use up; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Hits of all faults within a second.
    pub hits_a_second: Option<u64>,
    /// Bytes of packets that were hit.
    pub bytes: Option<u64>,
    /// Processes of all targets.
    pub processes: Option<usize>,
}

impl Budget {
    /// What the host allows, less what was lifted.
    pub fn of(config: &Config, overrides: &[Override]) -> Self {
        let limits = &config.limits;
        let is_kept = |limit: &Override| !overrides.contains(limit);
        Self {
            hits_a_second: is_kept(&Override::HighRate).then_some(limits.max_hit_rate),
            bytes: is_kept(&Override::ManyBytes).then_some(limits.max_bytes),
            processes: is_kept(&Override::ManyProcesses)
                .then_some(limits.max_processes.get() as usize),
        }
    }
}

impl Budget {
    /// The same, as events have it.
    pub const fn told(self) -> Limits {
        let Self {
            hits_a_second,
            bytes,
            processes,
        } = self;
        Limits {
            hits_a_second,
            bytes,
            processes,
        }
    }
}

/// A budget with what was used of it.
#[derive(Debug)]
pub struct Spending {
    budget: Budget,
    /// Times on the boot clock, with all hits until then; the oldest is at most a second old.
    looks: VecDeque<(u64, u64)>,
    /// Hits of steps that are over; their counters are not looked at any more.
    pub(super) before: Used,
}

/// What was used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Hits.
    pub hits: u64,
    /// Bytes of packets that were hit.
    pub bytes: u64,
}

impl Used {
    /// Both together.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self {
            hits: self.hits.saturating_add(other.hits),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl Spending {
    /// Begins to count, at this time on the boot clock.
    pub fn begin(budget: Budget, now: u64) -> Self {
        Self {
            budget,
            looks: VecDeque::from([(now, 0)]),
            before: Used::default(),
        }
    }

    /// Takes a look's counters in; says which limit they exceed, if any.
    pub fn look(&mut self, now: u64, used: Used) -> Option<String> {
        // One that is a second old stays: the span that is counted is a second at least, once there is one.
        while let [_, (second, _), ..] = self.looks.make_contiguous()
            && now.saturating_sub(*second) >= SECOND_NS
        {
            self.looks.pop_front();
        }
        let (since, hits) = self.looks.front().copied().unwrap_or((now, 0));
        let in_span = used.hits.saturating_sub(hits);
        self.looks.push_back((now, used.hits));
        if let Some(most) = self.budget.hits_a_second {
            // A late look sees more than a second; it may hold as much more.
            let span = now.saturating_sub(since).max(SECOND_NS);
            let allowed = u128::from(most) * u128::from(span) / u128::from(SECOND_NS);
            if u128::from(in_span) > allowed {
                let span = duration::format(std::time::Duration::from_millis(span / 1_000_000));
                return Some(format!(
                    "{in_span} hits within {span} are more than the {most} a second of `max_hit_rate`"
                ));
            }
        }
        let most = self.budget.bytes?;
        (used.bytes > most).then(|| {
            format!(
                "{} bytes were hit, and `max_bytes` is {}",
                used.bytes,
                bytes::format(most)
            )
        })
    }

    /// Takes the number of processes in; says so if it is too large.
    pub fn processes(&self, found: usize) -> Option<String> {
        let most = self.budget.processes?;
        (found > most).then(|| {
            format!("the targets have {found} processes now, and `max_processes` is {most}")
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: Budget = Budget {
        hits_a_second: Some(100),
        bytes: Some(1_000),
        processes: Some(3),
    };

    fn hits(hits: u64) -> Used {
        Used { hits, bytes: 0 }
    }

    #[test]
    fn what_was_lifted_is_not_watched() {
        let config = Config::default();
        let all = Budget::of(&config, &[]);
        assert!(all.hits_a_second.is_some() && all.bytes.is_some() && all.processes.is_some());
        let lifted = [Override::HighRate, Override::ManyBytes];
        let some = Budget::of(&config, &lifted);
        assert_eq!((some.hits_a_second, some.bytes), (None, None));
        let mut spending = Spending::begin(some, 0);
        let used = Used {
            hits: u64::MAX,
            bytes: u64::MAX,
        };
        assert_eq!(spending.look(1, used), None);
    }

    #[test]
    fn bytes_and_processes_are_counted() {
        let mut spending = Spending::begin(BUDGET, 0);
        let bytes = |bytes| Used { hits: 0, bytes };
        assert_eq!(spending.look(1, bytes(1_000)), None);
        assert!(spending.look(2, bytes(1_001)).is_some());
        assert_eq!(spending.processes(3), None);
        assert!(spending.processes(4).is_some());
    }

    #[test]
    fn a_burst_is_noticed_at_once_and_a_late_look_is_fair() {
        let mut spending = Spending::begin(BUDGET, 0);
        assert!(spending.look(50_000_000, hits(101)).is_some());
        let mut spending = Spending::begin(BUDGET, 0);
        // Three seconds at the limit, seen by one look.
        assert_eq!(spending.look(3 * SECOND_NS, hits(300)), None);
        assert!(spending.look(3 * SECOND_NS + 1, hits(401)).is_some());
    }

    proptest! {
        /// A steady rate below the limit is never stopped, one of twice the limit always is.
        #[test]
        fn the_rate_decides(rate in 1u64..=100, pace in 10u64..=60) {
            let watched = |rate: u64| {
                let mut spending = Spending::begin(BUDGET, 0);
                (1..=100u64).any(|look| {
                    let now = look * pace * 1_000_000;
                    spending.look(now, hits(rate * now / SECOND_NS)).is_some()
                })
            };
            prop_assert!(!watched(rate - rate / 100 - 1));
            prop_assert!(watched(rate + 200));
        }
    }
}
