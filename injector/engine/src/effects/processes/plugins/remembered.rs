//! Processes that something is known of, for as long as they live.

use std::collections::HashSet;

use injector_host::targets::{plugins, process::TaskKey};

/// So many are kept without a look whether they have ended.
const FEW: usize = 64;

/// Processes, each once.
#[derive(Debug)]
pub(super) struct Remembered {
    keys: HashSet<TaskKey>,
    /// With more than so many, it is looked which have ended.
    look_beyond: usize,
}

impl Remembered {
    pub(super) fn insert(&mut self, key: TaskKey) {
        self.keys.insert(key);
    }

    pub(super) fn contains(&self, key: &TaskKey) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets those that have ended, when there are twice as many as were left the last time: each look costs what it forgets,
    /// however many of them live.
    pub(super) fn forget_the_ended(&mut self) {
        if self.keys.len() <= self.look_beyond {
            return;
        }
        self.keys
            .retain(|key| plugins::has_ended(*key) != Some(true));
        self.look_beyond = self.keys.len().saturating_mul(2).max(FEW);
    }
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            keys: HashSet::new(),
            look_beyond: FEW,
        }
    }
}

impl Extend<TaskKey> for Remembered {
    fn extend<T: IntoIterator<Item = TaskKey>>(&mut self, keys: T) {
        self.keys.extend(keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_ended_are_forgotten_when_they_are_as_many_as_the_rest() {
        // No process has such an id.
        let ended = |start_ticks| TaskKey {
            tgid: u32::MAX,
            start_ticks,
        };
        let own = TaskKey::of(std::process::id()).unwrap();
        let mut known = Remembered::default();
        known.insert(own);
        known.extend((1..FEW as u64).map(ended));
        known.forget_the_ended();
        assert_eq!(known.keys.len(), FEW);
        known.insert(ended(0));
        known.forget_the_ended();
        assert!(known.contains(&own));
        assert_eq!((known.keys.len(), known.look_beyond), (1, FEW));
        // With many that live the next look comes later.
        known.look_beyond = 0;
        let others = std::fs::read_dir("/proc").unwrap().flatten();
        let others = others.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        known.extend(others.filter_map(|pid| TaskKey::of(pid).ok()));
        known.forget_the_ended();
        assert!(known.look_beyond >= known.keys.len().saturating_mul(2));
    }
}
