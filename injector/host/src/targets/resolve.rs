//! From a selector to task keys, cgroups and a network namespace.

use std::collections::BTreeMap;

use super::{
    Error,
    cgroup::{self, Cgroup},
    guard::Guard,
    process::{self, TaskKey},
};
use crate::kernel::netns::Namespace;
use injector_spec::experiment::{Follow, Many, Selector, Target};

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
        Selector::Pids { pids, follow } => by_process(target, pids, *follow, guard),
        Selector::Process {
            pattern,
            many,
            follow,
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
            by_process(target, &found, *follow, guard)
        }
        Selector::Cgroup(path) => by_cgroup(target, cgroup::find(path)?, guard),
        Selector::Unit(name) => by_cgroup(target, cgroup::of_unit(name)?, guard),
        Selector::Container(id) => by_cgroup(target, cgroup::of_container(id)?, guard),
    }
}

fn by_process(
    target: &Target,
    pids: &[u32],
    follow: Follow,
    guard: &Guard,
) -> Result<ResolvedTarget, Error> {
    let mut keys = Vec::new();
    for pid in pids {
        let key = TaskKey::of(*pid)?;
        guard.check(*pid)?;
        keys.push(key);
    }
    if follow == Follow::Tree {
        for pid in process::trees(pids)? {
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
