//! Which files limit a target's cgroup, on version 2 or, where the controller lives there, on version 1.
//!
//! Version 2 comes first: there the cgroup is the target, now and later. A controller that is mounted
//! as version 1 has a tree of its own. It is used only where one cgroup of that tree, and not its root,
//! holds exactly the target's processes; any other process in it would be a bystander.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::cgroup::{self, Cgroup};
use crate::kernel::cgroup_file;
use injector_spec::{
    error::Refusal,
    experiment::Starve,
    quantity::{IoMax, io},
};

/// A file and what it is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The file.
    pub path: PathBuf,
    /// The value.
    pub value: String,
    /// The version of cgroups that the file belongs to.
    pub version: Version,
}

/// A version of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One tree for each controller.
    One,
    /// One tree.
    Two,
}

/// The files of version 1 that limit block devices, by the place of the limit in [`io::KEYS`].
const THROTTLES: [&str; io::KEYS.len()] = [
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_bps_device",
    "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device",
];

/// How often the two trees are compared before they count as different: they cannot be read at once,
/// and a process may be born in between.
const LOOKS: usize = 3;

/// Why a cgroup cannot be limited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither version offers the controller.
    #[error(
        "proc.starve needs {file}, which the cgroup {} does not have: the controller {controller} is not \
         enabled for it, and is not mounted as version 1 either; write +{controller} to \
         cgroup.subtree_control of each cgroup above it",
        cgroup.display()
    )]
    NoController {
        /// The file of version 2.
        file: &'static str,
        /// The controller.
        controller: &'static str,
        /// The target's cgroup.
        cgroup: PathBuf,
    },
    /// Version 1 has nothing like it.
    #[error(
        "proc.starve needs memory.high, and the controller memory is mounted here as cgroup version 1, \
         which has no counterpart of it; boot with cgroup_no_v1=memory, or leave memory-high out"
    )]
    NoCounterpart,
    /// There is no process to find the cgroup by.
    #[error(
        "proc.starve finds the target's cgroup of version 1 ({controller}) by its processes, and it has \
         none now; start it first"
    )]
    Empty {
        /// The controller.
        controller: &'static str,
    },
    /// They are in several, or in the root.
    #[error(
        "the target's processes are in {places} of the version 1 hierarchy of {controller}; proc.starve \
         needs one cgroup there that holds exactly them, so make one and move them to it"
    )]
    NotTogether {
        /// The controller.
        controller: &'static str,
        /// Where they are.
        places: &'static str,
    },
    /// Other processes are there too.
    #[error(
        "the cgroup {} of version 1 ({controller}) does not hold exactly the target's processes, and its \
         others are bystanders; give the target one of its own there",
        directory.display()
    )]
    Shared {
        /// The controller.
        controller: &'static str,
        /// The cgroup.
        directory: PathBuf,
    },
    /// A file that cannot be read.
    #[error("{} cannot be read: {why}; is the cgroup gone?", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::usage(error.to_string())
    }
}

/// Finds the files for what is asked, in the order in which to write them.
pub fn limits(cgroup: &Cgroup, starve: &Starve) -> Result<Vec<Limit>, Error> {
    let mut limits = Vec::new();
    if let Some(cpu) = starve.cpu_max {
        let (quota, period) = (cpu.quota_us().to_string(), cpu.period_us().to_string());
        match place(cgroup, "cpu.max", "cpu", "cpu")? {
            Place::Two(path) => limits.push(two(path, cpu.to_string())),
            // The period first: a quota of the run's with a longer period of before would be less than asked.
            Place::One(directory) => {
                limits.push(one(&directory, "cpu.cfs_period_us", period));
                limits.push(one(&directory, "cpu.cfs_quota_us", quota));
            }
        }
    }
    if let Some(size) = starve.memory_high {
        match place(cgroup, "memory.high", "memory", "memory") {
            Ok(Place::Two(path)) => limits.push(two(path, whole_pages(size.bytes()).to_string())),
            Err(error @ Error::NoController { .. }) => return Err(error),
            Ok(Place::One(_)) | Err(_) => return Err(Error::NoCounterpart),
        }
    }
    if !starve.io_max.is_empty() {
        match place(cgroup, "io.max", "io", "blkio")? {
            Place::Two(path) => {
                for asked in &starve.io_max {
                    let current = read(&path, &asked.device())?;
                    limits.push(two(path.clone(), merged(&current, asked)));
                }
            }
            Place::One(directory) => limits.extend(starve.io_max.iter().flat_map(|asked| {
                let value = |limit: u64| format!("{} {limit}", asked.device());
                asked
                    .limits()
                    .map(|(at, limit)| one(&directory, THROTTLES[at], value(limit)))
                    .collect::<Vec<_>>()
            })),
        }
    }
    if let Some(most) = starve.pids_max {
        limits.push(match place(cgroup, "pids.max", "pids", "pids")? {
            Place::Two(path) => two(path, most.to_string()),
            Place::One(directory) => one(&directory, "pids.max", most.to_string()),
        });
    }
    Ok(limits)
}

/// Whether the cgroup that a file belongs to still holds the target and no other process.
pub fn is_targets_alone(limit: &Limit, cgroup: &Cgroup) -> bool {
    match (limit.version, limit.path.parent()) {
        (Version::Two, _) => true,
        (Version::One, None) => false,
        (Version::One, Some(directory)) => holds_exactly(directory, cgroup),
    }
}

/// Where a limit is to be written.
enum Place {
    /// A file of version 2.
    Two(PathBuf),
    /// A cgroup of version 1.
    One(PathBuf),
}

fn two(path: PathBuf, value: String) -> Limit {
    Limit {
        path,
        value,
        version: Version::Two,
    }
}

fn one(directory: &Path, file: &str, value: String) -> Limit {
    Limit {
        path: directory.join(file),
        value,
        version: Version::One,
    }
}

fn place(
    cgroup: &Cgroup,
    file: &'static str,
    controller: &'static str,
    in_version_1: &'static str,
) -> Result<Place, Error> {
    let path = cgroup.directory.join(file);
    if path.exists() {
        return Ok(Place::Two(path));
    }
    let Some(mount) = cgroup::mount_point_of_version_1(in_version_1) else {
        return Err(Error::NoController {
            file,
            controller,
            cgroup: cgroup.directory.clone(),
        });
    };
    let paths: BTreeSet<PathBuf> = cgroup::processes(cgroup)
        .into_iter()
        .filter_map(|pid| cgroup::path_in_version_1(pid, in_version_1))
        .collect();
    let mut paths = paths.into_iter();
    let controller = in_version_1;
    let path = match (paths.next(), paths.next()) {
        (None, _) => return Err(Error::Empty { controller }),
        (Some(path), None) => path,
        (Some(_), Some(_)) => {
            let places = "several cgroups";
            return Err(Error::NotTogether { controller, places });
        }
    };
    let below = path.strip_prefix("/").unwrap_or(&path);
    if below.as_os_str().is_empty() {
        let places = "the root";
        return Err(Error::NotTogether { controller, places });
    }
    let directory = mount.join(below);
    if (0..LOOKS).any(|_| holds_exactly(&directory, cgroup)) {
        Ok(Place::One(directory))
    } else {
        Err(Error::Shared {
            controller,
            directory,
        })
    }
}

fn holds_exactly(directory: &Path, cgroup: &Cgroup) -> bool {
    let of = |pids: Vec<u32>| pids.into_iter().collect::<BTreeSet<_>>();
    of(cgroup::processes_below(directory)) == of(cgroup::processes(cgroup))
}

fn read(path: &Path, like: &str) -> Result<String, Error> {
    cgroup_file::read(path, like).map_err(|why| Error::Unreadable {
        path: path.to_owned(),
        why,
    })
}

/// The kernel counts pages (`mm/page_counter.c`, `page_counter_memparse`) and shows what it counts.
fn whole_pages(bytes: u64) -> u64 {
    bytes - bytes % procfs::page_size()
}

/// A line of `io.max` with the limits that are asked, and the others as they are.
fn merged(current: &str, asked: &IoMax) -> String {
    let is_asked = |at: usize| asked.limits().find(|(other, _)| *other == at);
    let of_now = |key: &str| {
        let mut words = current.split_whitespace();
        words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    let limits = io::KEYS.iter().enumerate().map(|(at, key)| {
        let value = is_asked(at).map_or_else(
            || of_now(key).unwrap_or("max").to_owned(),
            |(_, limit)| limit.to_string(),
        );
        format!(" {key}={value}")
    });
    format!("{}{}", asked.device(), limits.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is asked is in the line, what is not stays, and the line can be put back.
        #[test]
        fn a_merged_line_changes_what_is_asked_and_nothing_else(
            old in prop::array::uniform4(prop::option::of(1u64..1_000_000)),
            asked in prop::array::uniform4(prop::option::of(1u64..1_000_000)),
        ) {
            let line = |limits: [Option<u64>; 4]| {
                let word = |(key, limit): (&&str, Option<u64>)| {
                    format!(" {key}={}", limit.map_or("max".to_owned(), |limit| limit.to_string()))
                };
                format!("8:0{}", io::KEYS.iter().zip(limits).map(word).collect::<String>())
            };
            let text: String = io::KEYS
                .iter()
                .zip(asked)
                .filter_map(|(key, limit)| Some((key, limit?)))
                .map(|(key, limit)| match *key {
                    "rbps" | "wbps" => format!(" {key}={limit}b"),
                    key => format!(" {key}={limit}"),
                })
                .collect();
            prop_assume!(!text.is_empty());
            let parsed: IoMax = format!("8:0{text}").parse().unwrap();
            let expected = [0, 1, 2, 3].map(|at: usize| asked[at].or(old[at]));
            prop_assert_eq!(merged(&line(old), &parsed), line(expected));
        }
    }

    #[test]
    fn memory_is_counted_in_pages() {
        let page = procfs::page_size();
        assert_eq!(whole_pages(page * 3 + 5), page * 3);
        assert_eq!(whole_pages(0), 0);
    }
}
