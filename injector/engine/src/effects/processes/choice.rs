//! Which of the processes that a fault meets are hit: the shared decision, in a repeatable order.

use injector_common::{
    decide::{Memory, decide},
    rule::{Counters, Rule},
};

use injector_host::targets::process::TaskKey;

/// The state of the decisions of one fault.
#[derive(Debug, Default)]
pub(super) struct Choice {
    memory: Memory,
    /// What was met, and what became of it.
    pub(super) counters: Counters,
}

impl Choice {
    /// Counts a match, and says whether it is to be hit. `waiting` are hits that were chosen and are not
    /// counted yet, so that the budget is kept.
    pub(super) fn falls_on(&mut self, rule: &Rule, waiting: u64) -> bool {
        self.counters.matched += 1;
        let is_left = self.counters.hit.saturating_add(waiting) < rule.max_hits;
        is_left && decide(rule, self.counters.matched, &mut self.memory)
    }
}

/// Oldest first, which no order of a directory or of PIDs that wrapped around changes: the same seed then
/// falls on the same processes.
pub(super) fn in_order(mut keys: Vec<TaskKey>) -> Vec<TaskKey> {
    keys.sort_unstable_by_key(|key| (key.start_ticks, key.tgid));
    keys
}

#[cfg(test)]
mod tests {
    use injector_common::{rule::When, threshold::Threshold};
    use proptest::prelude::*;

    use super::*;

    fn rule(percent: u32, max_hits: u64, seed: u64) -> Rule {
        Rule {
            percent: Threshold(percent),
            when: When::ALWAYS,
            max_hits,
            seed,
            ..Rule::default()
        }
    }

    fn chosen(rule: &Rule, n: usize) -> Vec<bool> {
        let mut choice = Choice::default();
        (0..n)
            .map(|_| {
                let hit = choice.falls_on(rule, 0);
                choice.counters.hit += u64::from(hit);
                hit
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_seed_repeats_and_a_budget_holds(percent: u32, most in 0u64..20, seed: u64) {
            let rule = rule(percent, most, seed);
            let first = chosen(&rule, 100);
            prop_assert_eq!(&chosen(&rule, 100), &first);
            let hits = first.iter().filter(|hit| **hit).count();
            prop_assert!(u64::try_from(hits).unwrap() <= most);
        }

        /// A whole batch is chosen before its first hit is counted.
        #[test]
        fn a_batch_keeps_the_budget(most in 0u64..20, size in 0usize..40) {
            let rule = rule(u32::MAX, most, 1);
            let mut choice = Choice::default();
            let mut waiting = 0;
            for _ in 0..size {
                waiting += u64::from(choice.falls_on(&rule, waiting));
            }
            prop_assert_eq!(waiting, most.min(u64::try_from(size).unwrap()));
        }

        #[test]
        fn the_order_does_not_hang_on_how_they_were_found(
            ticks in prop::collection::vec(0u64..5, 0..20), turn in 0usize..20,
        ) {
            let keys: Vec<_> = ticks
                .iter()
                .zip(1..)
                .map(|(start_ticks, tgid)| TaskKey { tgid, start_ticks: *start_ticks })
                .collect();
            let mut turned = keys.clone();
            let by = turn % turned.len().max(1);
            turned.rotate_left(by);
            prop_assert_eq!(in_order(turned), in_order(keys));
        }
    }
}
