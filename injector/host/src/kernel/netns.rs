//! Network namespaces: which one a process lives in, and running code inside it.

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use rustix::{fs::fstat, thread::LinkNameSpaceType};

use super::{Error, mounts};

/// A network namespace, held open so that it cannot vanish or be replaced meanwhile.
#[derive(Debug)]
pub struct Namespace {
    file: OwnedFd,
    inode: u64,
}

impl Namespace {
    /// The namespace of a process.
    pub fn of_process(pid: u32) -> Result<Self, Error> {
        Self::open(&format!("/proc/{pid}/ns/net"))
    }

    /// The namespace of the calling thread.
    pub fn current() -> Result<Self, Error> {
        Self::open("/proc/thread-self/ns/net")
    }

    /// A living namespace by its inode: ours, that of a process, or one that is kept by a mount alone, as
    /// `ip netns` and container engines do.
    pub fn find(inode: u64) -> Option<Self> {
        let is_it = |namespace: &Self| namespace.inode == inode;
        if let Some(ours) = Self::current().ok().filter(is_it) {
            return Some(ours);
        }
        let processes = procfs::process::all_processes()
            .into_iter()
            .flatten()
            .flatten();
        let mut of_processes =
            processes.filter_map(|process| Self::of_process(process.pid.cast_unsigned()).ok());
        of_processes.find(is_it).or_else(|| {
            let root = PathBuf::from(format!("net:[{inode}]"));
            let mounts = mounts::of("self").ok()?;
            let mount = mounts.into_iter().find(|mount| mount.root == root)?;
            let file = File::open(mount.point).ok()?;
            Self::from_fd(file.into()).ok().filter(is_it)
        })
    }

    fn open(path: &str) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| {
            Error::system(format!("open the network namespace {path}"), source)
        })?;
        Self::from_fd(file.into())
    }

    /// A namespace from a descriptor of its file.
    pub fn from_fd(file: OwnedFd) -> Result<Self, Error> {
        let stat = fstat(&file).map_err(|e| Error::system("read a network namespace", e))?;
        Ok(Self {
            file,
            inode: stat.st_ino,
        })
    }

    /// What tells namespaces apart while they live.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The descriptor, to hand to the supervisor.
    pub fn fd(&self) -> impl AsFd + '_ {
        &self.file
    }

    /// Another handle on the same namespace.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let file = self
            .file
            .try_clone()
            .map_err(|e| Error::system("duplicate a descriptor", e))?;
        Ok(Self {
            file,
            inode: self.inode,
        })
    }

    /// Runs `work` inside the namespace, on a thread of its own where the caller is not in it: a
    /// thread that fails to come back must never go on with other work.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        if Self::current()?.inode == self.inode {
            return Ok(work());
        }
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter()?;
                Ok(work())
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace, for good.
    pub fn enter(&self) -> Result<(), Error> {
        rustix::thread::move_into_link_name_space(
            self.file.as_fd(),
            Some(LinkNameSpaceType::Network),
        )
        .map_err(|errno| Error::system("enter the target's network namespace", errno))
    }
}
