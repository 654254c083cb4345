//! The ends of pipes and pairs of sockets that lie between an agent and a plug-in.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::{self, Write as _},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    net::{AddressFamily, SendFlags, send, sockopt},
    process::{PidfdGetfdFlags, pidfd_getfd},
};

use super::{inode, modes};
use crate::targets::{pidfd, process::TaskKey};

/// A standard stream, by what it is to the plug-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standard {
    /// What it hears.
    Input,
    /// What it says.
    Output,
    /// What it says of itself.
    Errors,
}

impl Standard {
    const ALL: [Self; 3] = [Self::Input, Self::Output, Self::Errors];

    /// Its descriptor.
    const fn number(self) -> i32 {
        match self {
            Self::Input => 0,
            Self::Output => 1,
            Self::Errors => 2,
        }
    }
}

/// A standard stream of a process, where it is a pipe or a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) which: Standard,
    pub(super) what: Between,
}

impl Stream {
    /// Whether it is a socket's.
    pub(super) const fn is_a_socket(&self) -> bool {
        matches!(self.what, Between::Socket(_))
    }

    /// Whether the process hears or says something by it that is not of itself.
    const fn speaks(self) -> bool {
        match self.which {
            Standard::Input | Standard::Output => true,
            Standard::Errors => false,
        }
    }
}

/// What lies between two processes, by its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Between {
    Pipe(u64),
    /// This end of a pair: the other has another inode.
    Socket(u64),
}

impl Between {
    /// The inode of the end that the plug-in holds.
    const fn inode(self) -> u64 {
        let (Self::Pipe(inode) | Self::Socket(inode)) = self;
        inode
    }
}

/// An end that a plug-in holds, whose other end is the agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Who holds it.
    pub(super) holder: TaskKey,
    pub(super) stream: Stream,
}

impl End {
    /// Whether the two speak by it, and it is a pipe's, of which it is seen whether the agent holds the other end. What a plug-in
    /// says of itself often goes to one pipe of many.
    pub const fn shows_who_listens(&self) -> bool {
        self.stream.speaks() && !self.stream.is_a_socket()
    }
}

/// What an agent holds: the pipes that it can write to and read from.
#[derive(Debug)]
pub struct Held {
    agent: TaskKey,
    writes: HashSet<u64>,
    reads: HashSet<u64>,
}

impl Held {
    /// What this process holds now; `None` where that cannot be seen.
    pub fn by(agent: TaskKey) -> Option<Self> {
        let process = PathBuf::from(format!("/proc/{}", agent.tgid));
        // Where the first thread has ended the kernel shows no descriptor of the process by it, and by the others it does.
        Self::listed(agent, &process).or_else(|| {
            let threads = fs::read_dir(process.join("task")).ok()?;
            let mut threads = threads.flatten();
            threads.find_map(|thread| Self::listed(agent, &thread.path()))
        })
    }

    /// What a thread's folder in `/proc` shows; `None` where it shows no descriptor, which is no answer.
    fn listed(agent: TaskKey, folder: &Path) -> Option<Self> {
        let mut held = Self {
            agent,
            writes: HashSet::new(),
            reads: HashSet::new(),
        };
        let mut is_empty = true;
        for entry in fs::read_dir(folder.join("fd")).ok()? {
            let path = entry.ok()?.path();
            is_empty = false;
            let link = match fs::read_link(&path) {
                Ok(link) => link,
                // It was closed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => return None,
            };
            let Some(pipe) = inode(&link, "pipe") else {
                continue;
            };
            let Some(modes) = modes(&path) else {
                continue;
            };
            if modes.reads {
                held.reads.insert(pipe);
            }
            if modes.writes {
                held.writes.insert(pipe);
            }
        }
        (!is_empty).then_some(held)
    }

    /// Which of a process's streams have their other end here; `None` where that cannot be seen of one.
    pub(super) fn ends_of(&self, holder: TaskKey, streams: &[Stream]) -> Option<Vec<End>> {
        let mut ends = Vec::new();
        for stream in streams {
            let is_ours = match (stream.what, stream.which) {
                (Between::Pipe(pipe), Standard::Input) => self.writes.contains(&pipe),
                (Between::Pipe(pipe), Standard::Output | Standard::Errors) => {
                    self.reads.contains(&pipe)
                }
                (Between::Socket(socket), which) => {
                    made_by(holder, which, socket)? == Maker::Process(self.agent.tgid)
                }
            };
            if is_ours {
                ends.push(End {
                    holder,
                    stream: *stream,
                });
            }
        }
        // A tool whose output is captured hears nothing, and is no plug-in.
        let has = |which| ends.iter().any(|end| end.stream.which == which);
        if has(Standard::Input) && has(Standard::Output) {
            Some(ends)
        } else {
            Some(Vec::new())
        }
    }

    /// Whether the other end of this one is among them; `None` for a pair of sockets, whose other end has a number of its own.
    pub fn has(&self, end: &End) -> Option<bool> {
        match end.stream.what {
            Between::Pipe(pipe) => Some(self.reads.contains(&pipe) || self.writes.contains(&pipe)),
            Between::Socket(_) => None,
        }
    }
}

/// The standard streams of a process that are pipes or sockets.
pub(super) fn streams(pid: u32) -> Vec<Stream> {
    let stream = |which: Standard| {
        let link = fs::read_link(format!("/proc/{pid}/fd/{}", which.number())).ok()?;
        let pipe = inode(&link, "pipe").map(Between::Pipe);
        let what = pipe.or_else(|| inode(&link, "socket").map(Between::Socket))?;
        Some(Stream { which, what })
    };
    Standard::ALL.into_iter().filter_map(stream).collect()
}

/// Those of these ends that a process holds as well, as a standard stream of its own.
pub(super) fn inherited(holder: TaskKey, ends: &[End]) -> Vec<End> {
    let is_one = |stream: &Stream| ends.iter().any(|end| end.stream.what == stream.what);
    let streams = streams(holder.tgid).into_iter().filter(is_one);
    streams.map(|stream| End { holder, stream }).collect()
}

/// Whether any of these streams is one of these ends, on whatever side.
pub(super) fn has_any(streams: &[Stream], ends: &[End]) -> bool {
    let mut streams = streams.iter();
    streams.any(|stream| ends.iter().any(|end| end.stream.what == stream.what))
}

/// Whether by any of these streams a process hears or says what the holders of these ends do, on the same side.
pub(super) fn speaks_by(streams: &[Stream], ends: &[End]) -> bool {
    let mut streams = streams.iter().filter(|stream| stream.speaks());
    streams.any(|stream| ends.iter().any(|end| end.stream == *stream))
}

/// Who made what a descriptor of a process is one end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Process(u32),
    /// It is no unix socket, or its maker has no number here.
    Unknown,
}

/// Who made the pair of unix sockets that a descriptor of a process is one of: both ends of a pair are told who did
/// (`net/unix/af_unix.c`, `unix_socketpair`). `None` where that cannot be asked.
fn made_by(holder: TaskKey, which: Standard, socket: u64) -> Option<Maker> {
    let copy = copy(holder, which, socket)?;
    if sockopt::socket_domain(&copy).ok()? != AddressFamily::UNIX {
        return Some(Maker::Unknown);
    }
    let maker = sockopt::socket_peercred(&copy).ok().and_then(|by| {
        let pid = by.pid.as_raw_nonzero().get();
        u32::try_from(pid).ok()
    });
    Some(maker.map_or(Maker::Unknown, Maker::Process))
}

/// A copy of a descriptor of exactly this process, where it is this inode's still.
fn copy(holder: TaskKey, which: Standard, inode: u64) -> Option<OwnedFd> {
    let pidfd = pidfd::open(holder).ok()?;
    let copy = pidfd_getfd(pidfd, which.number(), PidfdGetfdFlags::empty()).ok()?;
    let stat = rustix::fs::fstat(&copy).ok()?;
    (stat.st_ino == inode).then_some(copy)
}

/// Copies of these ends, one of each, as descriptors that are closed on exec: as long as they are open, the agent reads no end of
/// what its ends belong to. `None` where there is one of which no holder is left.
pub fn copies(ends: &[End]) -> Option<Vec<OwnedFd>> {
    let mut copied = BTreeMap::new();
    for end in ends {
        let place = copied.entry(end.stream.what.inode()).or_insert(None);
        if place.is_none() {
            *place = copy(end.holder, end.stream.which, end.stream.what.inode());
        }
    }
    copied.into_values().collect()
}

/// Writes what the plug-in did not say to where its agent reads, at once and as a whole (`bytes` are at most `PIPE_BUF`, 4096).
///
/// # Errors
/// `WouldBlock` where the pipe is full: nothing is written then. `NotFound` where the plug-in says nothing by a pipe of the
/// agent's, or has ended.
pub fn say(ends: &[End], bytes: &[u8]) -> io::Result<()> {
    let says = ends.iter();
    let mut says = says.filter(|end| end.stream.which == Standard::Output);
    let end = says.next().ok_or(io::ErrorKind::NotFound)?;
    // By a copy of exactly this end: a path in the plug-in's descriptors may be another file by now, and opening that may wait.
    let copy = copy(end.holder, end.stream.which, end.stream.what.inode());
    let copy = copy.ok_or(io::ErrorKind::NotFound)?;
    match end.stream.what {
        // An open file of our own: the plug-in's may wait, and this one must not.
        Between::Pipe(_) => {
            let mut pipe = fs::OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(format!("/proc/self/fd/{}", copy.as_raw_fd()))?;
            let written = pipe.write(bytes)?;
            whole(written, bytes)
        }
        Between::Socket(_) => {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            whole(send(copy.as_fd(), bytes, flags)?, bytes)
        }
    }
}

fn whole(written: usize, bytes: &[u8]) -> io::Result<()> {
    if written == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}
