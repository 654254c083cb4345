//! A cgroup with everything below it.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

/// A cgroup, as a path from the root of the v2 hierarchy, with all that is below it.
///
/// It need not exist: a slice comes and goes, and the rule about it stays.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CgroupRoot(PathBuf);

/// Why a text is no cgroup.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CgroupRootError {
    /// Not absolute, or with `.` or `..` in it.
    #[error(
        "`{0}` is no cgroup of the v2 hierarchy; write its path as /proc/PID/cgroup shows it after `0::`, as \
         in `/agent.slice`"
    )]
    NoPath(String),
    /// The path of a directory.
    #[error("`{0}` is a directory; leave the mount point of the cgroups out, as in `/agent.slice`")]
    MountPoint(String),
}

impl CgroupRoot {
    /// Whether the cgroup at `path`, absolute from the root of the hierarchy, is this one or below it.
    pub fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.0)
    }

    /// The cgroup, from the root of the hierarchy.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is the root of the hierarchy, and so every process there is.
    pub fn is_whole_host(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Whether this cgroup is the one at `path` or below it.
    pub fn is_within(&self, path: &Path) -> bool {
        self.0.starts_with(path)
    }
}

impl TryFrom<String> for CgroupRoot {
    type Error = CgroupRootError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with("/sys/fs/cgroup") {
            return Err(CgroupRootError::MountPoint(text));
        }
        let path = Path::new(&text);
        let is_plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        // `components` passes over `/./`, which no person writes on purpose.
        if !path.is_absolute() || !is_plain || text.contains("/./") || text.ends_with("/.") {
            return Err(CgroupRootError::NoPath(text));
        }
        Ok(Self(path.components().collect()))
    }
}

impl std::fmt::Display for CgroupRoot {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> CgroupRoot {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn a_root_holds_what_is_below_it_and_no_namesake() {
        let slice = root("/agent.slice/");
        assert!(slice.holds(Path::new("/agent.slice")));
        assert!(slice.holds(Path::new("/agent.slice/a.scope")));
        assert!(!slice.holds(Path::new("/agent.slice2")));
        assert!(!slice.holds(Path::new("/")));
        assert!(root("/").holds(Path::new("/agent.slice")));
        assert!(slice.is_within(Path::new("/")));
        assert!(!slice.is_within(Path::new("/agent.slice/a.scope")));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in ["", "agent.slice", "/a/../b", "/a/./b", "/a/.", ".."] {
            assert!(CgroupRoot::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(matches!(
            CgroupRoot::try_from("/sys/fs/cgroup/agent.slice".to_owned()),
            Err(CgroupRootError::MountPoint(_))
        ));
    }
}
