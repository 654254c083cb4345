//! Whether a target is there: seen from its cgroup, or from handles on its processes.
//!
//! A look at a cgroup costs one stat and one small file, a look at processes one poll, so a run can afford
//! it every 50 ms. A process that has ended is told apart from a later one with its id, because the
//! handle is on that process (pidfd); a cgroup that was made again is told apart by its id.

use std::{fs, os::fd::OwnedFd, path::Path};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{ResolvedTarget, cgroup::Cgroup, pidfd, process::TaskKey};
use injector_spec::experiment::Follow;

/// What a look shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It has processes.
    Here,
    /// Its cgroup is there, and no process is in it.
    Empty,
    /// Its cgroup is gone.
    Removed,
    /// Each of its processes has ended; others do not become it.
    Ended,
}

/// Looks at one target.
#[derive(Debug)]
pub struct Presence(Kind);

#[derive(Debug)]
enum Kind {
    Cgroup(Cgroup),
    /// Those that are alive, as far as is known.
    Processes {
        living: Vec<(TaskKey, OwnedFd)>,
        /// Whether children that we have no handle on may live when all of these have ended.
        follow: Follow,
    },
}

impl Presence {
    /// Looks at a target as it was resolved. Processes that have ended since are told by the first look.
    pub fn of(target: &ResolvedTarget) -> Self {
        Self(match &target.cgroup {
            Some(cgroup) => Kind::Cgroup(cgroup.clone()),
            None => Kind::Processes {
                living: target
                    .processes
                    .iter()
                    .filter_map(|key| Some((*key, pidfd::open(*key).ok()?)))
                    .collect(),
                follow: target.follow,
            },
        })
    }

    /// Looks at any cgroup, by its path.
    pub fn at(directory: &Path) -> Sight {
        populated(directory)
    }

    /// Looks. `followed` says how many processes the kernel's table has of a target whose children come along; it is
    /// asked once none of those that were chosen is left. Processes that ended since the last look are added to
    /// `ended`.
    pub fn look(&mut self, followed: impl Fn() -> usize, ended: &mut Vec<TaskKey>) -> Sight {
        match &mut self.0 {
            Kind::Cgroup(cgroup) => of_cgroup(cgroup),
            Kind::Processes { living, follow } => {
                bury(living, ended);
                let has_children = || *follow == Follow::Tree && followed() > 0;
                if !living.is_empty() || has_children() {
                    Sight::Here
                } else {
                    Sight::Ended
                }
            }
        }
    }
}

fn of_cgroup(cgroup: &Cgroup) -> Sight {
    if !cgroup.is_there() {
        return Sight::Removed;
    }
    match populated(&cgroup.directory) {
        // It may have been made again between the two looks.
        Sight::Empty if !cgroup.is_there() => Sight::Removed,
        sight => sight,
    }
}

/// `populated` of `cgroup.events` counts what is below too, and no zombies (Documentation/admin-guide/cgroup-v2.rst).
fn populated(directory: &Path) -> Sight {
    match fs::read_to_string(directory.join("cgroup.events")) {
        Ok(text) if text.lines().any(|line| line == "populated 0") => Sight::Empty,
        Err(_) if !directory.exists() => Sight::Removed,
        // What cannot be told is no reason to end anything.
        Ok(_) | Err(_) => Sight::Here,
    }
}

/// Lets go of the handles on processes that have ended, zombies included.
fn bury(living: &mut Vec<(TaskKey, OwnedFd)>, ended: &mut Vec<TaskKey>) {
    if living.is_empty() {
        return;
    }
    let mut polled: Vec<_> = living
        .iter()
        .map(|(_, pidfd)| PollFd::new(pidfd, PollFlags::IN))
        .collect();
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut polled, Some(&at_once)).is_err() {
        return;
    }
    let mut has_ended: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
    drop(polled);
    let mut results = has_ended.drain(..);
    living.retain(|(key, _)| {
        let has_ended = results.next().unwrap_or_default();
        if has_ended {
            ended.push(*key);
        }
        !has_ended
    });
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::kernel::netns::Namespace;
    use injector_spec::experiment::Selector;

    fn target(processes: Vec<TaskKey>) -> ResolvedTarget {
        ResolvedTarget {
            name: "agent".into(),
            selected_by: Selector::Pids {
                pids: Vec::new(),
                follow: Follow::Process,
                pick: None,
            }
            .to_string(),
            processes,
            follow: Follow::Process,
            picked: None,
            cgroup: None,
            namespace: Namespace::current().unwrap(),
        }
    }

    #[test]
    fn a_target_is_gone_with_the_last_of_its_processes() {
        let mut two = [(); 2].map(|()| Command::new("sleep").arg("60").spawn().unwrap());
        let keys = two.each_ref().map(|one| TaskKey::of(one.id()).unwrap());
        let mut presence = Presence::of(&target(keys.to_vec()));
        let mut ended = Vec::new();
        let mut await_end = |expected: &[TaskKey]| {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
            loop {
                let sight = presence.look(|| 0, &mut ended);
                if ended == expected {
                    return sight;
                }
                assert!(std::time::Instant::now() < deadline, "{ended:?}");
            }
        };
        assert_eq!(await_end(&[]), Sight::Here);
        two[0].kill().unwrap();
        assert_eq!(await_end(&keys[..1]), Sight::Here);
        two[1].kill().unwrap();
        assert_eq!(await_end(&keys), Sight::Ended, "a zombie counts");
        for one in &mut two {
            one.wait().unwrap();
        }
    }

    #[test]
    fn a_cgroup_that_was_made_again_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::create_dir(&path).unwrap();
        let id = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
        let cgroup = Cgroup {
            directory: path.clone(),
            id,
        };
        let events = |text: &str| fs::write(path.join("cgroup.events"), text).unwrap();
        events("populated 1\nfrozen 0\n");
        assert_eq!(of_cgroup(&cgroup), Sight::Here);
        events("populated 0\nfrozen 0\n");
        assert_eq!(of_cgroup(&cgroup), Sight::Empty);
        let other = Cgroup {
            id: id + 1,
            ..cgroup.clone()
        };
        assert_eq!(of_cgroup(&other), Sight::Removed);
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(of_cgroup(&cgroup), Sight::Removed);
    }
}
