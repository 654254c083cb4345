//! cgroup v2: where it is mounted, what is in it, and which cgroup a name means.

use std::{
    collections::VecDeque,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::Error;
use crate::kernel::mounts;
use injector_spec::printable;

/// The deepest level that the BPF programs look for (`claim.rs` of the BPF crate).
const DEEPEST: usize = 23;

/// `CGROUP2_SUPER_MAGIC` of include/uapi/linux/magic.h.
const CGROUP2: u64 = 0x6367_7270;
/// `CGROUP_SUPER_MAGIC`, version 1.
const CGROUP1: u64 = 0x0027_e0eb;

/// A cgroup of this host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cgroup {
    /// Its directory.
    pub directory: PathBuf,
    /// Its id: the inode of its directory (kernfs, 64-bit).
    pub id: u64,
}

impl Cgroup {
    /// Whether it is there still: one that was removed and made again has another id.
    pub fn is_there(&self) -> bool {
        fs::metadata(&self.directory).is_ok_and(|found| found.ino() == self.id)
    }

    /// Its path from the mount point on, as people and `/proc` name it.
    pub fn below(&self, mount: &Path) -> PathBuf {
        let below = self.directory.strip_prefix(mount);
        Path::new("/").join(below.unwrap_or(&self.directory))
    }
}

/// The mount point of cgroup v2, on hybrid hierarchies too.
pub fn mount_point() -> Result<PathBuf, Error> {
    let mounts = mounts::of("self").map_err(|error| Error::Proc {
        what: "the mounts".into(),
        why: error.to_string(),
    })?;
    mounts
        .into_iter()
        .find(|mount| mount.kind == "cgroup2" && mount.is_whole())
        .map(|mount| mount.point)
        .ok_or(Error::NoCgroupV2)
}

/// Where a controller is mounted as cgroup version 1, if it is.
pub fn mount_point_of_version_1(controller: &str) -> Option<PathBuf> {
    mounts::of("self")
        .ok()?
        .into_iter()
        .find(|mount| {
            mount.kind == "cgroup"
                && mount.is_whole()
                && mount.options.iter().any(|option| option == controller)
        })
        .map(|mount| mount.point)
}

/// The cgroup of a process in the version 1 hierarchy of a controller, below its root.
pub fn path_in_version_1(pid: u32, controller: &str) -> Option<PathBuf> {
    mounts::cgroups_of(pid)
        .ok()?
        .into_iter()
        .find(|cgroup| cgroup.controllers.iter().any(|name| name == controller))
        .map(|cgroup| cgroup.path)
}

/// The cgroup that a path means: absolute below the mount, or as `/proc/PID/cgroup` shows it, or
/// relative to the mount.
pub fn find(path: &Path) -> Result<Cgroup, Error> {
    let mount = mount_point()?;
    if path.is_absolute() && file_system(path) == Some(CGROUP1) {
        return Err(Error::CgroupV1 {
            path: path.to_owned(),
            mount,
        });
    }
    let directory = if path.starts_with(&mount) {
        path.to_owned()
    } else {
        mount.join(path.strip_prefix("/").unwrap_or(path))
    };
    let missing = || Error::NoCgroup {
        path: path.to_owned(),
        mount: mount.clone(),
    };
    let directory = directory.canonicalize().map_err(|_| missing())?;
    if !directory.starts_with(&mount) || file_system(&directory) != Some(CGROUP2) {
        return Err(missing());
    }
    let depth = directory
        .strip_prefix(&mount)
        .map_or(0, |rest| rest.components().count());
    match depth {
        0 => Err(Error::RootCgroup),
        depth if depth > DEEPEST => Err(Error::TooDeep {
            path: path.to_owned(),
            depth,
            most: DEEPEST,
        }),
        _ => at(directory).ok_or_else(missing),
    }
}

/// The cgroup of a systemd unit: the one directory with its name.
pub fn of_unit(name: &str) -> Result<Cgroup, Error> {
    let full = of_kind(name);
    only("the unit", name, |_| true, |found| found == full)
}

/// The cgroup of a unit that the host's own service manager has started: of a container's or a user's unit, which may
/// have the same name on purpose, nothing is seen.
pub fn of_host_unit(name: &str) -> Result<Cgroup, Error> {
    let full = of_kind(name);
    only(
        "the host's own unit",
        name,
        has_units_of_the_host,
        |found| found == full,
    )
}

fn of_kind(unit: &str) -> String {
    if unit.contains('.') {
        unit.to_owned()
    } else {
        format!("{unit}.service")
    }
}

/// Whether the host's own units may be in a directory of this name: systemd keeps its units in slices. What is in a
/// service or a scope was made by its processes, as in a container or for a user; `user.slice` is the users', and what has
/// another name is no systemd's.
fn has_units_of_the_host(name: &str) -> bool {
    name.strip_suffix(".slice")
        .is_some_and(|slice| slice != "user")
}

/// The cgroup of a container: the one directory whose name carries the id, as docker
/// (`docker-ID.scope`, `docker/ID`), containerd (`cri-containerd-ID.scope`) and podman
/// (`libpod-ID.scope`) make them. The first characters of an id do, twelve as `docker ps` shows.
pub fn of_container(id: &str) -> Result<Cgroup, Error> {
    let is_meant = |name: &str| container_id(name).is_some_and(|full| full.starts_with(id));
    only("the container", id, |_| true, is_meant)
}

/// The container id in a cgroup's name: 64 hexadecimal digits.
fn container_id(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let id = name.rsplit('-').next()?;
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// The one directory whose name matches; `is_entered` says by its name whether one is looked into.
fn only(
    what: &'static str,
    name: &str,
    is_entered: impl Fn(&str) -> bool,
    matches: impl Fn(&str) -> bool,
) -> Result<Cgroup, Error> {
    let mount = mount_point()?;
    let found = search(&mount, is_entered, matches);
    match found.as_slice() {
        [] => Err(Error::NotFound {
            what,
            name: name.to_owned(),
            mount,
        }),
        // A unit's own name is text, and so is a container's; those of the cgroups above may be anything.
        [one] => find(one).and_then(|cgroup| text(what, name, cgroup)),
        many => Err(Error::Ambiguous {
            what,
            name: name.to_owned(),
            found: many.iter().map(|path| printable::path(path)).collect(),
        }),
    }
}

/// The directories below `mount` whose names match; below one that does, no other is looked for.
fn search(
    mount: &Path,
    is_entered: impl Fn(&str) -> bool,
    matches: impl Fn(&str) -> bool,
) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut queue = VecDeque::from([mount.to_owned()]);
    while let Some(directory) = queue.pop_front() {
        for child in children(&directory) {
            // What is no text is no unit's and no container's name.
            let name = child.file_name().and_then(|name| name.to_str());
            let name = name.unwrap_or_default();
            if matches(name) {
                found.push(child);
            } else if is_entered(name) {
                queue.push_back(child);
            }
        }
    }
    found
}

/// What is about a cgroup is written into a journal, whose lines are text.
fn text(what: &'static str, name: &str, cgroup: Cgroup) -> Result<Cgroup, Error> {
    if cgroup.directory.to_str().is_some() {
        Ok(cgroup)
    } else {
        Err(Error::NoText {
            what: format!("the cgroup of {what} `{}`", printable::line(name)),
            path: cgroup.directory,
        })
    }
}

/// All processes in a cgroup and below it, as they are now.
pub fn processes(cgroup: &Cgroup) -> Vec<u32> {
    processes_below(&cgroup.directory)
}

/// All processes in a cgroup of either version and below it, as they are now.
pub fn processes_below(directory: &Path) -> Vec<u32> {
    let mut pids = Vec::new();
    let mut queue = VecDeque::from([directory.to_owned()]);
    while let Some(directory) = queue.pop_front() {
        // A threaded cgroup shows its processes only above; a vanished one has none.
        let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        pids.extend(
            text.lines()
                .filter_map(|line| line.parse::<u32>().ok())
                .filter(|p| *p != 0),
        );
        queue.extend(children(&directory));
    }
    pids
}

/// Finds out whether cgroups can be frozen here. The root has no such file, so a cgroup below it is
/// looked at; where there is none, an empty one is made and removed.
pub fn has_freezer() -> Result<(), Error> {
    let mount = mount_point()?;
    let (directory, _scratch) = if let Some(child) = children(&mount).into_iter().next() {
        (child, None)
    } else {
        let scratch = Scratch::below(&mount)?;
        (scratch.0.clone(), Some(scratch))
    };
    if directory.join("cgroup.freeze").exists() {
        Ok(())
    } else {
        Err(Error::NoFreezer(directory))
    }
}

/// An empty cgroup that is gone with its guard.
struct Scratch(PathBuf);

impl Scratch {
    fn below(mount: &Path) -> Result<Self, Error> {
        let path = mount.join(format!("injector-probe-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| Error::Unwritable {
            path: path.clone(),
            why: error.to_string(),
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // No process is in it, so nothing keeps it; and an empty cgroup does nothing.
        let _ = fs::remove_dir(&self.0);
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn at(directory: PathBuf) -> Option<Cgroup> {
    let id = fs::metadata(&directory).ok()?.ino();
    Some(Cgroup { directory, id })
}

fn file_system(path: &Path) -> Option<u64> {
    rustix::fs::statfs(path)
        .ok()
        .map(|stat| stat.f_type.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_names_of_the_usual_runtimes() {
        let id = "0123456789abcdef".repeat(4);
        for name in [
            id.clone(),
            format!("docker-{id}.scope"),
            format!("cri-containerd-{id}.scope"),
            format!("libpod-{id}.scope"),
            format!("crio-{id}.scope"),
        ] {
            assert_eq!(container_id(&name), Some(id.as_str()), "{name}");
        }
        assert_eq!(container_id("libpod-conmon.scope"), None);
        assert_eq!(container_id("system.slice"), None);
    }

    #[test]
    fn of_the_hosts_units_no_namesake_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mount = folder.path();
        for path in [
            "system.slice/web.service",
            "system.slice/web.service/web.service",
            "system.slice/docker-0123.scope/system.slice/web.service",
            "system.slice/nspawn@a.service/payload/system.slice/web.service",
            "machine.slice/machine-a.scope/web.service",
            "kubepods.slice/kubepods-pod1.slice/cri-containerd-0123.scope/web.service",
            "docker/0123/system.slice/web.service",
            "lxc.payload.a/system.slice/web.service",
            "user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
            "user.slice/web.service",
            "app.slice/app-inner.slice/inner.service",
        ] {
            fs::create_dir_all(mount.join(path)).unwrap();
        }
        let of_host = |name: &str| search(mount, has_units_of_the_host, |found| found == name);
        assert_eq!(
            of_host("web.service"),
            [mount.join("system.slice/web.service")]
        );
        assert_eq!(
            of_host("inner.service"),
            [mount.join("app.slice/app-inner.slice/inner.service")]
        );
        assert_eq!(of_host("user.slice"), [mount.join("user.slice")]);
        assert!(of_host("user@1000.service").is_empty());
        let all = search(mount, |_| true, |found| found == "web.service");
        assert_eq!(all.len(), 9, "{all:?}");
    }

    #[test]
    fn a_unit_that_the_host_has_not_is_refused_by_name() {
        if mount_point().is_ok() {
            let refused = of_host_unit("no-such-unit").unwrap_err().to_string();
            let part = "no cgroup of the host's own unit `no-such-unit` was found";
            assert!(refused.contains(part), "{refused}");
        }
    }

    #[test]
    fn the_root_is_refused_however_it_is_named() {
        let Ok(mount) = mount_point() else { return };
        for path in [
            mount.clone(),
            PathBuf::from("/"),
            mount.join("."),
            PathBuf::from(".."),
        ] {
            assert!(find(&path).is_err(), "{}", path.display());
        }
        assert!(matches!(find(Path::new("/")), Err(Error::RootCgroup)));
    }
}
