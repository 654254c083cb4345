//! A controller for the target's cgroup, on whichever version of cgroups this machine has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cgroup::{self, CgroupPair};
use crate::eventually::eventually;

/// Where the files of a controller are, for one cgroup; put back when dropped.
#[derive(Debug)]
pub struct Home {
    /// The folder.
    pub directory: PathBuf,
    /// The version of cgroups, 1 or 2.
    pub version: u32,
    /// What was switched on above it, and where.
    switched: Vec<(PathBuf, String)>,
}

/// Whether this machine has the controller at all.
pub fn is_there(controller: &str) -> bool {
    mount_of_version_1(controller).is_some() || is_offered(controller)
}

fn is_offered(controller: &str) -> bool {
    let offered = cgroup::mount().and_then(|mount| words(&mount.join("cgroup.controllers")));
    offered.is_ok_and(|words| words.iter().any(|word| word == controller))
}

impl Home {
    /// Gives the agent's cgroup a controller. On version 1 these processes of its move into a cgroup
    /// there.
    pub fn give(controller: &str, pair: &CgroupPair, pids: &[u32]) -> Result<Self> {
        match mount_of_version_1(controller) {
            None => Self::switch_on(controller, pair),
            Some(mount) => {
                let name = pair.agent.path().parent().and_then(Path::file_name);
                let directory = mount.join(name.context("the cgroup has no name")?);
                fs::create_dir(&directory)
                    .with_context(|| format!("cannot make {}", directory.display()))?;
                let home = Self {
                    directory,
                    version: 1,
                    switched: Vec::new(),
                };
                for pid in pids {
                    home.move_in(*pid)?;
                }
                Ok(home)
            }
        }
    }

    fn switch_on(controller: &str, pair: &CgroupPair) -> Result<Self> {
        let agent = pair.agent.path();
        let mut home = Self {
            directory: agent.to_owned(),
            version: 2,
            switched: Vec::new(),
        };
        let parent = agent.parent().context("the cgroup has no parent")?;
        for directory in [cgroup::mount()?.as_path(), parent] {
            let file = directory.join("cgroup.subtree_control");
            if !words(&file)?.iter().any(|word| word == controller) {
                fs::write(&file, format!("+{controller}")).with_context(|| {
                    format!("cannot switch {controller} on in {}", file.display())
                })?;
                home.switched.push((file, format!("-{controller}")));
            }
        }
        Ok(home)
    }

    /// Moves a process into a cgroup of version 1.
    pub fn move_in(&self, pid: u32) -> Result<()> {
        fs::write(self.directory.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("cannot move process {pid}"))
    }

    /// The value of a file.
    pub fn value(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        Ok(text.trim().to_owned())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.version == 1 {
            let removed = eventually("a cgroup to be empty", Duration::from_secs(5), || {
                Ok(fs::remove_dir(&self.directory).ok())
            });
            if let Err(error) = removed {
                eprintln!("cgroup {} stays behind: {error}", self.directory.display());
            }
        }
        for (file, word) in self.switched.drain(..).rev() {
            // Refused while a cgroup below has it on still; harmless then.
            let _still_used = fs::write(file, word);
        }
    }
}

fn words(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).with_context(|| format!("no {}", file.display()))?;
    Ok(text.split_whitespace().map(ToOwned::to_owned).collect())
}

fn mount_of_version_1(controller: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let has_it = fields.get(3)?.split(',').any(|option| option == controller);
        (fields.get(2) == Some(&"cgroup") && has_it).then(|| PathBuf::from(fields[1]))
    })
}
