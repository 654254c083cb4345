//! The ends of pipes and pairs of sockets that lie between an agent and a plug-in.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
};

use rustix::{
    net::{AddressFamily, SendFlags, send, sockopt},
    process::{PidfdGetfdFlags, pidfd_getfd},
};

use super::{inode, modes};
use crate::targets::{pidfd, process::TaskKey};

/// What the plug-in hears, and what it says.
const INPUT: i32 = 0;
const OUTPUT: i32 = 1;

/// A standard stream of a process, where it is a pipe or a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    number: i32,
    what: Between,
}

/// What lies between two processes, by its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Between {
    Pipe(u64),
    /// This end of a pair: the other has another inode.
    Socket(u64),
}

/// An end that a plug-in holds, whose other end is the agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Who holds it.
    holder: TaskKey,
    stream: Stream,
}

/// What an agent holds: the pipes that it can write to and read from.
#[derive(Debug)]
pub(super) struct Held {
    agent: TaskKey,
    writes: HashSet<u64>,
    reads: HashSet<u64>,
}

impl Held {
    /// What this process holds now.
    pub(super) fn by(agent: TaskKey) -> Self {
        let mut held = Self {
            agent,
            writes: HashSet::new(),
            reads: HashSet::new(),
        };
        let entries = fs::read_dir(format!("/proc/{}/fd", agent.tgid));
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            let pipe = fs::read_link(&path).ok();
            let Some(pipe) = pipe.as_deref().and_then(|link| inode(link, "pipe")) else {
                continue;
            };
            let (reads, writes) = modes(&path).unwrap_or_default();
            if reads {
                held.reads.insert(pipe);
            }
            if writes {
                held.writes.insert(pipe);
            }
        }
        held
    }

    /// Which of a process's streams have their other end here.
    pub(super) fn ends_of(&self, holder: TaskKey, streams: &[Stream]) -> Vec<End> {
        let is_ours = |stream: &&Stream| match (stream.what, stream.number) {
            (Between::Pipe(pipe), INPUT) => self.writes.contains(&pipe),
            (Between::Pipe(pipe), _) => self.reads.contains(&pipe),
            (Between::Socket(socket), number) => {
                made_by(holder, number, socket) == Some(self.agent.tgid)
            }
        };
        let found = streams.iter().filter(is_ours);
        let ends: Vec<End> = found
            .map(|stream| End {
                holder,
                stream: *stream,
            })
            .collect();
        // A tool whose output is captured hears nothing, and is no plug-in.
        let has = |number| ends.iter().any(|end| end.stream.number == number);
        if has(INPUT) && has(OUTPUT) {
            ends
        } else {
            Vec::new()
        }
    }

    /// Whether the other end of this one is among them; `None` for a pair of sockets, whose other end has a number of its own.
    pub(super) fn has(&self, end: &End) -> Option<bool> {
        match end.stream.what {
            Between::Pipe(pipe) => Some(self.reads.contains(&pipe) || self.writes.contains(&pipe)),
            Between::Socket(_) => None,
        }
    }
}

/// The standard streams of a process that are pipes or sockets.
pub(super) fn streams(pid: u32) -> Vec<Stream> {
    let stream = |number: i32| {
        let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        let pipe = inode(&link, "pipe").map(Between::Pipe);
        let what = pipe.or_else(|| inode(&link, "socket").map(Between::Socket))?;
        Some(Stream { number, what })
    };
    [INPUT, OUTPUT, 2].into_iter().filter_map(stream).collect()
}

/// Who made the pair of unix sockets that a descriptor of a process is one of: both ends of a pair are told who did
/// (`net/unix/af_unix.c`, `unix_socketpair`).
fn made_by(holder: TaskKey, number: i32, socket: u64) -> Option<u32> {
    let copy = copy(holder, number, socket)?;
    if sockopt::socket_domain(&copy).ok()? != AddressFamily::UNIX {
        return None;
    }
    let credentials = sockopt::socket_peercred(&copy).ok()?;
    u32::try_from(credentials.pid.as_raw_nonzero().get()).ok()
}

/// A copy of a descriptor of exactly this process, where it is this inode's still.
fn copy(holder: TaskKey, number: i32, inode: u64) -> Option<OwnedFd> {
    let pidfd = pidfd::open(holder).ok()?;
    let copy = pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).ok()?;
    let stat = rustix::fs::fstat(&copy).ok()?;
    (stat.st_ino == inode).then_some(copy)
}

/// Copies of all these ends, as descriptors that are closed on exec: as long as one of them is open, the agent reads no end of
/// what its end belongs to. Of a holder that has ended there is none.
pub fn copies(ends: &[End]) -> Vec<OwnedFd> {
    let one = |end: &End| {
        let (Between::Pipe(inode) | Between::Socket(inode)) = end.stream.what;
        copy(end.holder, end.stream.number, inode)
    };
    ends.iter().filter_map(one).collect()
}

/// Writes what the plug-in did not say to where its agent reads, at once and as a whole (`bytes` are at most `PIPE_BUF`, 4096).
///
/// # Errors
/// `WouldBlock` where the pipe is full: nothing is written then. `NotFound` where the plug-in says nothing by a pipe of the
/// agent's, or has ended.
pub fn say(ends: &[End], bytes: &[u8]) -> io::Result<()> {
    let says = ends.iter().find(|end| end.stream.number == OUTPUT);
    let end = says.ok_or(io::ErrorKind::NotFound)?;
    let number = end.stream.number;
    match end.stream.what {
        // An open file of our own: the plug-in's may wait, and this one must not.
        Between::Pipe(inode) => {
            let path = format!("/proc/{}/fd/{number}", end.holder.tgid);
            let mut pipe = fs::OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(path)?;
            if pipe.metadata()?.ino() != inode || !end.holder.is_alive() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let written = pipe.write(bytes)?;
            whole(written, bytes)
        }
        Between::Socket(inode) => {
            let socket = copy(end.holder, number, inode).ok_or(io::ErrorKind::NotFound)?;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            whole(send(socket.as_fd(), bytes, flags)?, bytes)
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
