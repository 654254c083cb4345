//! Which processes a random pick chooses.
//!
//! Those with the smallest hashes of seed, process id and start time. So the same seed chooses the same processes as
//! long as the processes that are found are the same, whatever order they are found in. Of as many, one that is not chosen
//! may end without changing the choice; one that is new may take the place of another, and a share of fewer or more
//! processes may be another number of them.
//!
//! Rejected: drawing places in the list of what was found, which are other ones as soon as any process ends or begins.

use std::fmt;

use injector_common::decide::random64;
use injector_spec::experiment::Target;
use serde::{Deserialize, Serialize};

/// A process to pick from: its id, and when it started, in clock ticks since boot.
pub type Candidate = (u32, u64);

/// What a pick has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picked {
    /// The name of the target.
    pub target: String,
    /// The process ids that were picked, in their order.
    pub pids: Vec<u32>,
    /// How many processes they were picked from.
    pub from: usize,
    /// What decided.
    pub seed: u64,
}

/// So many of the candidates, in the order of their ids; all where there are no more.
pub fn pick(count: usize, seed: u64, candidates: &[Candidate]) -> Vec<Candidate> {
    let mut ranked = candidates.to_vec();
    ranked.sort_unstable_by_key(|&(pid, start)| (rank(seed, (pid, start)), pid, start));
    ranked.truncate(count);
    ranked.sort_unstable();
    ranked
}

fn rank(seed: u64, (pid, start): Candidate) -> u64 {
    random64(random64(seed, u64::from(pid)), start)
}

/// The most ids that are named in a sentence.
const NAMED: usize = 32;

impl fmt::Display for Picked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> = self.pids.iter().take(NAMED).map(u32::to_string).collect();
        let more = if self.pids.len() > NAMED { ", ..." } else { "" };
        write!(
            out,
            "{}: {} of {} picked by seed {} (pid {}{more})",
            Target::in_words(&self.target),
            self.pids.len(),
            self.from,
            self.seed,
            named.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let processes = prop::collection::btree_map(1u32..4_194_304, any::<u64>(), 1..60);
        processes.prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn so_many_are_picked_and_each_was_there(
            all in candidates(), count in 0usize..70, seed: u64,
        ) {
            let picked = pick(count, seed, &all);
            prop_assert_eq!(picked.len(), count.min(all.len()));
            let distinct: BTreeSet<_> = picked.iter().collect();
            prop_assert_eq!(distinct.len(), picked.len());
            prop_assert!(picked.iter().all(|one| all.contains(one)));
        }

        #[test]
        fn the_order_in_which_they_are_found_changes_nothing(
            all in candidates().prop_shuffle(), count in 1usize..70, seed: u64,
        ) {
            let mut sorted = all.clone();
            sorted.sort_unstable();
            prop_assert_eq!(pick(count, seed, &all), pick(count, seed, &sorted));
        }

        #[test]
        fn one_that_was_not_picked_may_end(
            all in candidates(), count in 1usize..60, seed: u64, which: prop::sample::Index,
        ) {
            let picked = pick(count, seed, &all);
            let others: Vec<_> = all.iter().filter(|one| !picked.contains(one)).collect();
            prop_assume!(!others.is_empty());
            let ended = *others[which.index(others.len())];
            let left: Vec<_> = all.into_iter().filter(|one| *one != ended).collect();
            prop_assert_eq!(pick(count, seed, &left), picked);
        }

        /// One that was picked is replaced, and the others stay.
        #[test]
        fn of_those_that_were_picked_each_stays_while_it_lives(
            all in candidates(), count in 1usize..60, seed: u64, which: prop::sample::Index,
        ) {
            let picked = pick(count, seed, &all);
            let ended = picked[which.index(picked.len())];
            let left: Vec<_> = all.into_iter().filter(|one| *one != ended).collect();
            let again = pick(count, seed, &left);
            prop_assert!(picked.iter().filter(|one| **one != ended).all(|one| again.contains(one)));
        }
    }

    /// Two of eight, four thousand seeds: a thousand times each, and never by the id or the start alone.
    #[test]
    fn each_process_has_its_chance() {
        let ids: Vec<Candidate> = (0..8).map(|number| (4711 + number, 1000)).collect();
        let starts: Vec<Candidate> = (0..8).map(|number| (4711, 1000 + number)).collect();
        for all in [ids, starts] {
            let mut counts = [0_u32; 8];
            for seed in 0..4000 {
                for one in pick(2, seed, &all) {
                    counts[all.iter().position(|other| *other == one).unwrap()] += 1;
                }
            }
            // Five standard deviations of 27.
            assert!(
                counts.iter().all(|count| count.abs_diff(1000) < 137),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn a_pick_is_told_with_its_seed() {
        let picked = Picked {
            target: "workers".into(),
            pids: vec![7, 9],
            from: 4,
            seed: 42,
        };
        assert_eq!(
            picked.to_string(),
            "target workers: 2 of 4 picked by seed 42 (pid 7, 9)"
        );
    }
}
