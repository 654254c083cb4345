//! Who of the targets ended, and who came back.
//!
//! Ends are heard from pidfds, which are opened for each process when it is first seen, and tell of a
//! zombie as of one that was reaped. A process of a cgroup that comes and goes between two looks (50 ms) is
//! never seen.

use std::{
    collections::{BTreeMap, HashMap},
    os::fd::OwnedFd,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use injector_host::targets::{
    ResolvedTarget, cgroup, cgroup::Cgroup, pidfd, process, process::TaskKey,
};
use injector_spec::condition::Lives;

/// The lives of all targets' processes.
pub(super) struct Census {
    /// Chosen by process: those that there were.
    fixed: Vec<TaskKey>,
    /// Chosen by cgroup.
    cgroups: Vec<Cgroup>,
    living: BTreeMap<TaskKey, Living>,
    counts: Counts,
}

struct Living {
    pidfd: OwnedFd,
    name: String,
}

/// Ends and new beginnings so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    exits: u64,
    restarts: u64,
    /// Processes of a name that ended and did not come back yet.
    gone: HashMap<String, u64>,
}

impl Counts {
    /// How many came back.
    pub(super) const fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(super) fn end(&mut self, name: String) {
        self.exits += 1;
        *self.gone.entry(name).or_default() += 1;
    }

    /// A new process comes back where one of its name has ended.
    pub(super) fn begin(&mut self, name: &str) {
        if let Some(gone) = self.gone.get_mut(name).filter(|gone| **gone > 0) {
            *gone -= 1;
            self.restarts += 1;
        }
    }
}

impl Census {
    /// Takes down who is there. A process that ended since the target was resolved counts as one that ends.
    pub(super) fn of(targets: &[ResolvedTarget]) -> Self {
        let mut census = Self {
            fixed: targets
                .iter()
                .flat_map(|target| target.processes.clone())
                .collect(),
            cgroups: targets
                .iter()
                .filter_map(|target| target.cgroup.clone())
                .collect(),
            living: BTreeMap::new(),
            counts: Counts::default(),
        };
        for key in census.fixed.clone() {
            match Living::of(key) {
                Some(living) => drop(census.living.insert(key, living)),
                None => census.counts.end(String::new()),
            }
        }
        for (key, living) in census.newcomers() {
            census.living.insert(key, living);
        }
        census
    }

    /// Looks again; returns the count that is asked for.
    pub(super) fn look(&mut self, of: Lives) -> u64 {
        for key in self.ended() {
            if let Some(living) = self.living.remove(&key) {
                self.counts.end(living.name);
            }
        }
        for (key, living) in self.newcomers() {
            self.counts.begin(&living.name);
            self.living.insert(key, living);
        }
        match of {
            Lives::Exits => self.counts.exits,
            Lives::Restarts => self.counts.restarts,
        }
    }

    fn ended(&self) -> Vec<TaskKey> {
        let mut polled: Vec<_> = self
            .living
            .values()
            .map(|living| PollFd::new(&living.pidfd, PollFlags::IN))
            .collect();
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if poll(&mut polled, Some(&at_once)).is_err() {
            return Vec::new();
        }
        let ended = polled.iter().map(|one| !one.revents().is_empty());
        self.living
            .keys()
            .zip(ended)
            .filter_map(|(key, has_ended)| has_ended.then_some(*key))
            .collect()
    }

    /// Processes of the cgroups that were not seen yet.
    fn newcomers(&self) -> Vec<(TaskKey, Living)> {
        let known: Vec<u32> = self.living.keys().map(|key| key.tgid).collect();
        self.cgroups
            .iter()
            .flat_map(cgroup::processes)
            .filter(|pid| !known.contains(pid))
            .filter_map(|pid| {
                let key = TaskKey::of(pid).ok()?;
                Some((key, Living::of(key)?))
            })
            .collect()
    }
}

impl Living {
    fn of(key: TaskKey) -> Option<Self> {
        let pidfd = pidfd::open(key).ok()?;
        let name = process::info(key.tgid).ok()?.comm;
        Some(Self { pidfd, name })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_the_same_name_comes_back() {
        let mut counts = Counts::default();
        counts.begin("a");
        counts.end("a".into());
        counts.end("b".into());
        counts.begin("c");
        counts.begin("a");
        counts.begin("a");
        assert_eq!((counts.exits, counts.restarts), (2, 1));
    }

    #[test]
    fn an_end_is_heard_before_anybody_waits_for_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut census = Census {
            fixed: Vec::new(),
            cgroups: Vec::new(),
            living: BTreeMap::new(),
            counts: Counts::default(),
        };
        let key = TaskKey::of(child.id()).unwrap();
        census.living.insert(key, Living::of(key).unwrap());
        assert_eq!(census.look(Lives::Exits), 0);
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while census.look(Lives::Exits) == 0 {
            assert!(std::time::Instant::now() < deadline, "its end is not heard");
        }
        assert_eq!(census.look(Lives::Exits), 1);
        child.wait().unwrap();
    }
}
