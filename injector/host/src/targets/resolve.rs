//! From a selector to task keys, cgroups and a network namespace.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Error,
    cgroup::{self, Cgroup},
    guard::Guard,
    process::{self, TaskKey},
};
use crate::kernel::netns::Namespace;
use injector_plan::{Picked, pick};
use injector_spec::experiment::{Follow, Many, Pick, Selector, Target};

/// A target as it is on this host now.
#[derive(Debug)]
pub struct ResolvedTarget {
    /// Its name in the experiment.
    pub name: String,
    /// How it was named, for people.
    pub selected_by: String,
    /// Its processes when it is chosen by process; empty for a cgroup, where membership decides.
    pub processes: Vec<TaskKey>,
    /// Whether children come along.
    pub follow: Follow,
    /// What a random pick among those that were found came to, where there is one.
    pub picked: Option<Picked>,
    /// Its cgroup when it is chosen by cgroup.
    pub cgroup: Option<Cgroup>,
    /// The network namespace that it lives in.
    pub namespace: Namespace,
}

impl ResolvedTarget {
    /// The processes that belong to the target now, without followed children that are yet to come.
    pub fn members(&self) -> Vec<TaskKey> {
        match &self.cgroup {
            None => self.processes.clone(),
            Some(cgroup) => cgroup::processes(cgroup)
                .into_iter()
                .filter_map(|pid| TaskKey::of(pid).ok())
                .collect(),
        }
    }
}

/// Finds the processes and cgroups that a target means, and refuses those that must not be one.
pub fn resolve(target: &Target, guard: &Guard) -> Result<ResolvedTarget, Error> {
    if !process::is_in_initial_pid_namespace() {
        return Err(Error::PidNamespace);
    }
    match &target.selector {
        Selector::Pids { pids, follow, pick } => {
            let keys = match pick {
                None => checked(pids, guard)?,
                Some(_) => checked_of_those_left(pids, guard)?,
            };
            by_process(target, keys, (*follow, pick.as_ref()), guard)
        }
        Selector::Process {
            pattern,
            many,
            follow,
            pick,
        } => {
            let found = process::matching(pattern, guard.protected())?;
            match (found.as_slice(), many) {
                ([], _) => return Err(Error::NoMatch(pattern.clone())),
                ([_, _, ..], Many::ExactlyOne) => {
                    return Err(Error::ManyMatches {
                        pattern: pattern.clone(),
                        found,
                    });
                }
                _ => {}
            }
            // One may end between the two looks, and a pick among several does without it.
            let keys = match pick {
                Some(_) => checked_of_those_left(&found, guard)?,
                None => checked(&found, guard)?,
            };
            by_process(target, keys, (*follow, pick.as_ref()), guard)
        }
        Selector::Cgroup(path) => by_cgroup(target, cgroup::find(path)?, guard),
        Selector::Unit(name) => by_cgroup(target, cgroup::of_unit(name)?, guard),
        Selector::Container(id) => by_cgroup(target, cgroup::of_container(id)?, guard),
    }
}

/// Processes that may be targets, all of them: what must not be one refuses a pick whether or not it would be picked.
fn checked(pids: &[u32], guard: &Guard) -> Result<Vec<TaskKey>, Error> {
    let mut keys = Vec::new();
    for pid in pids {
        let key = TaskKey::of(*pid)?;
        guard.check(*pid)?;
        keys.push(key);
    }
    Ok(keys)
}

/// The same without those that are gone, which a pick among several does without.
fn checked_of_those_left(pids: &[u32], guard: &Guard) -> Result<Vec<TaskKey>, Error> {
    let mut keys = Vec::new();
    let mut gone = None;
    for pid in pids {
        match checked(&[*pid], guard) {
            Ok(key) => keys.extend(key),
            Err(error @ Error::NoProcess(_)) => gone = Some(error),
            Err(error) => return Err(error),
        }
    }
    match gone {
        Some(error) if keys.is_empty() => Err(error),
        _ => Ok(keys),
    }
}

/// Those of the found processes that a pick chooses.
fn choose(
    target: &Target,
    found: Vec<TaskKey>,
    follow: Follow,
    asked: &Pick,
) -> Result<(Vec<TaskKey>, Picked), Error> {
    let found = match follow {
        Follow::Process => found,
        Follow::Tree => roots(found)?,
    };
    let candidates: BTreeSet<_> = found
        .iter()
        .map(|key| (key.tgid, key.start_ticks))
        .collect();
    let candidates: Vec<_> = candidates.into_iter().collect();
    let (from, count) = (candidates.len(), asked.portion.of(candidates.len()));
    if count > from {
        return Err(Error::PickOfFewer {
            name: target.name.clone(),
            picked: count,
            of: from,
        });
    }
    // Without a seed is an experiment that only looks: that of a run has one before its journal is written.
    let seed = asked.seed.unwrap_or_default();
    let chosen = pick(count, seed, &candidates);
    let keys = chosen
        .iter()
        .map(|&(tgid, start_ticks)| TaskKey { tgid, start_ticks });
    let picked = Picked {
        target: target.name.clone(),
        pids: chosen.iter().map(|(pid, _)| *pid).collect(),
        from,
        seed,
    };
    Ok((keys.collect(), picked))
}

/// The processes that are no descendants of others of them: a pick of one tree must not be a part of another.
fn roots(found: Vec<TaskKey>) -> Result<Vec<TaskKey>, Error> {
    let parents: BTreeMap<u32, u32> = process::all()?
        .into_iter()
        .map(|process| (process.pid, process.parent))
        .collect();
    let pids: BTreeSet<u32> = found.iter().map(|key| key.tgid).collect();
    // As many steps as there are processes: a table that was read while processes ended and began may have a circle.
    let is_below = |key: &TaskKey| {
        std::iter::successors(parents.get(&key.tgid), |parent| parents.get(parent))
            .take(parents.len())
            .any(|parent| *parent != key.tgid && pids.contains(parent))
    };
    Ok(found.into_iter().filter(|key| !is_below(key)).collect())
}

fn by_process(
    target: &Target,
    found: Vec<TaskKey>,
    (follow, asked): (Follow, Option<&Pick>),
    guard: &Guard,
) -> Result<ResolvedTarget, Error> {
    let (mut keys, picked) = match asked {
        None => (found, None),
        Some(asked) => {
            let (keys, picked) = choose(target, found, follow, asked)?;
            (keys, Some(picked))
        }
    };
    if follow == Follow::Tree {
        let pids: Vec<u32> = keys.iter().map(|key| key.tgid).collect();
        for pid in process::trees(&pids)? {
            // A descendant that ended meanwhile is no target.
            if let Ok(key) = TaskKey::of(pid)
                && !keys.contains(&key)
            {
                guard.check(pid)?;
                keys.push(key);
            }
        }
    }
    let namespace = namespace(target, &keys)?;
    Ok(ResolvedTarget {
        name: target.name.clone(),
        selected_by: target.selector.to_string(),
        processes: keys,
        follow,
        picked,
        cgroup: None,
        namespace,
    })
}

fn by_cgroup(target: &Target, cgroup: Cgroup, guard: &Guard) -> Result<ResolvedTarget, Error> {
    let mut keys = Vec::new();
    for pid in cgroup::processes(&cgroup) {
        let Ok(process) = process::info(pid) else {
            continue;
        };
        if let Some(why) = guard.reason(&process) {
            let (path, comm) = (cgroup.directory, process.comm);
            return Err(Error::ProtectedCgroup {
                path,
                pid,
                comm,
                why,
            });
        }
        keys.extend(TaskKey::of(pid));
    }
    let namespace = namespace(target, &keys)?;
    Ok(ResolvedTarget {
        name: target.name.clone(),
        selected_by: target.selector.to_string(),
        processes: Vec::new(),
        follow: Follow::Process,
        picked: None,
        cgroup: Some(cgroup),
        namespace,
    })
}

/// The one network namespace that the processes live in. A cgroup may be empty still: a process that
/// joins it is expected in the injector's own namespace.
fn namespace(target: &Target, keys: &[TaskKey]) -> Result<Namespace, Error> {
    let mut namespaces = BTreeMap::new();
    for key in keys {
        match Namespace::of_process(key.tgid) {
            Ok(namespace) if key.is_alive() => {
                namespaces.insert(namespace.inode(), namespace);
            }
            _ => {}
        }
    }
    let count = namespaces.len();
    match namespaces.pop_first() {
        None => Ok(Namespace::current()?),
        Some((_, namespace)) if count == 1 => Ok(namespace),
        Some(_) => Err(Error::ManyNamespaces {
            name: target.name.clone(),
            count,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use injector_spec::quantity::Portion;

    use super::*;

    /// Processes that end with the test.
    struct Sleepers(Vec<Child>);

    impl Sleepers {
        fn start(count: usize) -> Self {
            Self(
                (0..count)
                    .map(|_| Command::new("sleep").arg("60").spawn().unwrap())
                    .collect(),
            )
        }

        fn target(&self, portion: &str, follow: Follow) -> Target {
            Target {
                name: "workers".into(),
                selector: Selector::Pids {
                    pids: self.0.iter().map(Child::id).collect(),
                    follow,
                    pick: Some(Pick {
                        portion: portion.parse::<Portion>().unwrap(),
                        seed: Some(7),
                    }),
                },
            }
        }
    }

    impl Drop for Sleepers {
        fn drop(&mut self) {
            for child in &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    fn guard() -> Guard {
        Guard::new(std::process::id())
    }

    #[test]
    fn so_many_are_picked_and_told() {
        let sleepers = Sleepers::start(4);
        let target = sleepers.target("50%", Follow::Process);
        let found = resolve(&target, &guard()).unwrap();
        let picked = found.picked.clone().unwrap();
        assert_eq!((picked.pids.len(), picked.from, picked.seed), (2, 4, 7));
        let pids: Vec<u32> = found.processes.iter().map(|key| key.tgid).collect();
        assert_eq!(pids, picked.pids);
        assert_eq!(resolve(&target, &guard()).unwrap().picked, Some(picked));
    }

    #[test]
    fn more_than_there_are_is_refused_with_how_many_there_are() {
        let sleepers = Sleepers::start(2);
        let refused = resolve(&sleepers.target("3", Follow::Process), &guard()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "target workers picks 3 of 2 processes that are there; pick at most so many"
        );
    }

    /// Those that are left are picked from, as long as they are enough.
    #[test]
    fn what_is_gone_is_not_picked_from() {
        let mut sleepers = Sleepers::start(3);
        let two = sleepers.target("2", Follow::Process);
        let share = sleepers.target("50%", Follow::Process);
        let end = |sleeper: &mut Child| {
            sleeper.kill().unwrap();
            sleeper.wait().unwrap();
        };
        end(&mut sleepers.0[1]);
        let left = [sleepers.0[0].id(), sleepers.0[2].id()];
        let picked = resolve(&two, &guard()).unwrap().picked.unwrap();
        assert_eq!((picked.from, picked.pids.len()), (2, 2));
        assert!(left.iter().all(|pid| picked.pids.contains(pid)));
        end(&mut sleepers.0[0]);
        let refused = resolve(&two, &guard()).unwrap_err();
        assert!(
            matches!(
                refused,
                Error::PickOfFewer {
                    picked: 2,
                    of: 1,
                    ..
                }
            ),
            "{refused}"
        );
        assert_eq!(
            resolve(&share, &guard()).unwrap().picked.unwrap().pids,
            [left[1]]
        );
        end(&mut sleepers.0[2]);
        let refused = resolve(&share, &guard()).unwrap_err();
        assert!(matches!(refused, Error::NoProcess(_)), "{refused}");
    }

    /// This process's tree holds the sleepers: with the tree they are no roots of their own.
    #[test]
    fn of_trees_the_roots_are_picked() {
        let sleepers = Sleepers::start(2);
        let keys = |pids: &[u32]| pids.iter().map(|pid| TaskKey::of(*pid).unwrap()).collect();
        let own = std::process::id();
        let all: Vec<TaskKey> = keys(&[own, sleepers.0[0].id(), sleepers.0[1].id()]);
        assert_eq!(roots(all.clone()).unwrap(), all[..1]);
        assert_eq!(roots(all[1..].to_vec()).unwrap(), all[1..]);
    }
}
