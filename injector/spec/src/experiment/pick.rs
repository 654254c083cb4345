//! A random pick of the processes that a selector finds.
//!
//! A seed decides it, so that a run can be done again on the same processes as long as those that are found are the same.
//! It is part of the experiment
//! from the moment a run comes in, before its journal is written: each later look at the same run picks by it.
//!
//! Rejected: a name of its own for each seed (one for picks, one for faults) in files. In a file a seed stands beside
//! what it is for. On the command line `--seed` is the fault's, so the pick's is `--pick-seed`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Experiment, Selector};
use crate::quantity::Portion;

/// How many of the processes that are found are the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pick {
    /// So many.
    pub portion: Portion,
    /// What decides which. It is drawn when a run comes in, where a person gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl fmt::Display for Pick {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of ", self.portion)
    }
}

impl Selector {
    /// The pick among the processes that it finds, where there is one.
    pub fn pick(&self) -> Option<&Pick> {
        match self {
            Self::Pids { pick, .. } | Self::Process { pick, .. } => pick.as_ref(),
            Self::Cgroup(_) | Self::Unit(_) | Self::Container(_) => None,
        }
    }

    pub(super) fn pick_mut(&mut self) -> Option<&mut Pick> {
        match self {
            Self::Pids { pick, .. } | Self::Process { pick, .. } => pick.as_mut(),
            Self::Cgroup(_) | Self::Unit(_) | Self::Container(_) => None,
        }
    }
}

impl Experiment {
    /// Gives each pick that has no seed one of its own, made from this.
    pub fn seed_picks(&mut self, seed: u64) {
        for (number, target) in (1..).zip(&mut self.targets) {
            if let Some(pick) = target.selector.pick_mut() {
                pick.seed
                    .get_or_insert_with(|| injector_common::decide::random64(seed, number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::experiment::file;

    #[test]
    fn seeds_that_a_person_gave_stay_and_others_are_drawn_once() {
        let text = "targets:\n  a: { process: x, all: true, pick: 2 }\n  b: { pid: [7, 8], pick: 50%, seed: 9 }\n  \
                    c: { pid: [10, 11], pick: 1 }\nduration: 1s\nfaults: [ net.blackhole: { target: a } ]\n";
        let mut experiment = file::parse(text, "x.yaml", None).unwrap();
        experiment.seed_picks(5);
        let seeds: Vec<_> = experiment
            .targets
            .iter()
            .map(|target| target.selector.pick().unwrap().seed.unwrap())
            .collect();
        assert_eq!(seeds[1], 9);
        assert_ne!(seeds[0], seeds[2]);
        let once = experiment.clone();
        experiment.seed_picks(6);
        assert_eq!(experiment, once);
    }
}
