//! Cgroups of the tests: a pair of siblings, gone with the guard.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::eventually::eventually;

/// What names of the tests' cgroups begin with.
pub(crate) const PREFIX: &str = "injector-tests";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where the cgroup v2 hierarchy is mounted; elsewhere than `/sys/fs/cgroup` on hybrid hosts.
pub fn mount() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .and_then(|fields| fields.get(1).map(PathBuf::from))
        .context("no cgroup v2 hierarchy is mounted")
}

/// A cgroup that is killed and removed, with all that is below it, when dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// A fresh cgroup directly below the mount.
    pub fn create(label: &str) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{label}", process::id());
        Self::at(mount()?.join(name))
    }

    /// A cgroup of this name directly below the mount; an error where there is one.
    pub fn named(name: &str) -> Result<Self> {
        Self::at(mount()?.join(name))
    }

    /// A cgroup below this one.
    pub fn child(&self, name: &str) -> Result<Self> {
        Self::at(self.path.join(name))
    }

    fn at(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("cannot make cgroup {}", path.display()))?;
        Ok(Self { path })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A descriptor to which a process writes `0` to enter.
    pub fn start_lock(&self) -> Result<File> {
        let procs = self.path.join("cgroup.procs");
        File::options()
            .write(true)
            .open(&procs)
            .with_context(|| format!("cannot open {}", procs.display()))
    }

    fn remove(&self) -> Result<()> {
        // cgroup.kill is there from 5.14; it takes the descendants too.
        let _absent_on_old_kernels = fs::write(self.path.join("cgroup.kill"), "1");
        eventually(
            "the processes of a cgroup to end",
            Duration::from_secs(5),
            || Ok(remove_tree(&self.path).ok()),
        )
    }
}

/// Takes over a cgroup whose guard did not run, and lets it go.
pub(crate) fn adopt(path: PathBuf) {
    drop(Cgroup { path });
}

/// A cgroup goes by rmdir only, children first; files in it cannot be removed and need not be.
fn remove_tree(path: &Path) -> std::io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("cgroup {} stays behind: {error}", self.path.display());
        }
    }
}

/// Two siblings: one for the target, one for a process that must notice nothing.
#[derive(Debug)]
pub struct CgroupPair {
    /// Where faults go.
    pub agent: Cgroup,
    /// Where nothing must be felt.
    pub bystander: Cgroup,
    // Last, so that it is removed after its children.
    _parent: Cgroup,
}

impl CgroupPair {
    /// Makes both below a fresh parent.
    pub fn create() -> Result<Self> {
        let parent = Cgroup::create("pair")?;
        Ok(Self {
            agent: parent.child("agent")?,
            bystander: parent.child("bystander")?,
            _parent: parent,
        })
    }
}
