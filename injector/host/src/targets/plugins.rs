//! Plug-ins: processes that another process, the agent, has started and speaks to over their standard input and output.
//!
//! They are known by their pipes: a descendant of the agent reads on its standard input from a pipe that the agent can write
//! to, and writes on its standard output to one that the agent can read. A tool whose output alone is captured is none. Runtimes
//! that take a pair of unix sockets instead, as Node does, are known by who made the pair. A plug-in begins with the agent's own child, whose exit status the agent has to
//! take, and has all descendants of it that hold such ends: a launcher as `npx` or a shell is a part of it.
//!
//! Recognised is a process that has executed a program and holds both ends. Its plug-in then has all of that child's
//! descendants that hold any of those ends, executed or not: a shell's subshell answers as well as the shell, and a child that has
//! inherited the output alone keeps it open.
//!
//! Invariants: a plug-in does not begin with a child that has executed nothing, since until then a fork of the agent holds all
//! that the agent holds, and the agent may wait for it in the kernel (vfork); a look costs what the agent's own children cost;
//! what could not be read is never taken for an answer.
//!
//! Rejected: children by name alone, which says nothing about whom they serve.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::{
    Error,
    process::{self, TaskKey},
};
use injector_spec::experiment::PluginNames;
use patience::Patience;

mod ends;
mod newborn;
mod patience;

pub use ends::{End, Held, copies, say};
pub use newborn::Newborn;

/// So many processes of one plug-in are looked at; what a plug-in starts without end is not followed.
const MOST: usize = 64;

/// So many processes are told of which something could not be read.
const MOST_UNSEEN: usize = 8;

/// `PF_FORKNOEXEC` of include/linux/sched.h: forked, and no program executed yet.
const NOT_EXECUTED: u32 = 0x40;

/// The kernel says start times in `USER_HZ`, which is 100 (include/asm-generic/param.h).
const TICK_NS: u64 = 10_000_000;

/// A plug-in of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The process that speaks to it.
    pub agent: TaskKey,
    /// The agent's own child that it begins with.
    pub root: TaskKey,
    /// Its process that speaks: the last that has executed a program and holds both ends. Behind a launcher it is the server.
    pub speaker: TaskKey,
    /// The root, and its descendants that hold ends of the agent's pipes.
    pub members: Vec<TaskKey>,
    /// The name of the first that was recognised, with odd bytes escaped.
    pub name: String,
    /// The words that the root executes, joined by blanks, as they were when they were last read; empty where there were none yet.
    pub line: String,
    /// The ends that they hold.
    pub ends: Vec<End>,
}

/// Finds plug-ins again and again, and remembers what it has found out about each process.
#[derive(Debug)]
pub struct Finder {
    names: PluginNames,
    known: BTreeMap<TaskKey, Known>,
    unseen: BTreeMap<TaskKey, Unseen>,
}

/// What of a process could not be read, so that plug-ins may be there that were not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unseen {
    /// The descriptors of an agent.
    Descriptors,
    /// Who made the sockets that a child speaks through.
    Sockets,
}

/// What is known of a process.
#[derive(Clone, Debug)]
struct Known {
    /// The program that it executed when that was found out.
    program: Program,
    /// Its standard streams then, and which of them are ends, where that could be seen.
    ends: Option<(Vec<ends::Stream>, Vec<End>)>,
    /// When is asked again who made its sockets, where that could not be seen.
    sockets: Patience,
    /// Whether it is meant, where it was asked.
    is_meant: Option<bool>,
    /// Its command line, as it was read last.
    line: String,
    /// When the line is read again: a process may write a title of its own there.
    reading: Patience,
}

/// What changes with each execution: the name, and the address of the stack, which the kernel chooses anew.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    name: String,
    stack: u64,
}

/// A process of an agent's tree.
struct Descendant {
    key: TaskKey,
    program: Program,
    has_executed: bool,
}

impl Finder {
    /// Finds those that are meant.
    pub const fn of(names: PluginNames) -> Self {
        Self {
            names,
            known: BTreeMap::new(),
            unseen: BTreeMap::new(),
        }
    }

    /// The plug-ins of these agents as they are now.
    pub fn look(&mut self, agents: &[TaskKey]) -> Vec<Plugin> {
        let mut seen = HashSet::new();
        let mut plugins = Vec::new();
        for agent in agents {
            let held = OnceCell::new();
            let before = plugins.len();
            for child in children(agent.tgid) {
                if let Some(plugin) = self.plugin(*agent, child, &held, &mut seen) {
                    plugins.push(plugin);
                }
            }
            // All of it was read by a process id, which may be another's by now.
            if has_ended(*agent) != Some(false) {
                plugins.truncate(before);
            }
        }
        self.known.retain(|key, _| seen.contains(key));
        // A process that is about to end has closed everything, and is not seen to have ended yet.
        self.unseen.retain(|key, _| has_ended(*key) == Some(false));
        plugins
    }

    /// What could not be read of processes that live when it was tried last, a sentence each: plug-ins may be there that were not
    /// found.
    pub fn unseen(&self) -> impl Iterator<Item = String> {
        self.unseen.iter().map(|(key, what)| match what {
            Unseen::Descriptors => format!(
                "the descriptors of process {} could not be listed, so no plug-in of it was found that speaks over pipes",
                key.tgid
            ),
            Unseen::Sockets => format!(
                "who made the sockets that process {} speaks through could not be asked, so it was taken for no plug-in",
                key.tgid
            ),
        })
    }

    /// Writes down what could not be read of a process that lives, or that it could be.
    fn tell(&mut self, key: TaskKey, unseen: Option<Unseen>) {
        match unseen {
            // One that ends while it is read shows nothing, and there is nothing to see.
            Some(what) if self.unseen.len() < MOST_UNSEEN && has_ended(key) == Some(false) => {
                self.unseen.insert(key, what);
            }
            Some(_) => {}
            None => {
                self.unseen.remove(&key);
            }
        }
    }

    /// The plug-in that begins with this child, where one that is meant does.
    fn plugin(
        &mut self,
        agent: TaskKey,
        child: u32,
        held: &OnceCell<Option<Held>>,
        seen: &mut HashSet<TaskKey>,
    ) -> Option<Plugin> {
        let tree = tree(child, agent.tgid);
        let root = tree.first().filter(|root| root.has_executed)?;
        let mut speakers = Vec::new();
        let mut found = Vec::new();
        for one in tree.iter().filter(|one| one.has_executed) {
            seen.insert(one.key);
            let ends = self.ends(agent, one, held);
            if !ends.is_empty() {
                speakers.push(one);
                found.extend(ends);
            }
        }
        let (first, last) = (speakers.first()?, speakers.last()?);
        let is_meant = speakers.iter().any(|one| self.means(one))
            || (first.key != root.key && self.means(root));
        if !is_meant {
            return None;
        }
        let mut members = vec![root.key];
        for one in tree.iter().skip(1) {
            if speakers.iter().any(|speaker| speaker.key == one.key) {
                members.push(one.key);
                continue;
            }
            let ends = ends::inherited(one.key, &found);
            if !ends.is_empty() {
                members.push(one.key);
                found.extend(ends);
            }
        }
        let line = self.line(root);
        Some(Plugin {
            agent,
            root: root.key,
            speaker: last.key,
            members,
            name: first.program.name.clone(),
            line,
            ends: found,
        })
    }

    /// The ends of the agent's pipes that a process holds.
    fn ends(
        &mut self,
        agent: TaskKey,
        one: &Descendant,
        held: &OnceCell<Option<Held>>,
    ) -> Vec<End> {
        let streams = ends::streams(one.key.tgid);
        let known = self.known(one);
        if let Some((seen, ends)) = &known.ends
            && *seen == streams
        {
            return ends.clone();
        }
        if streams.is_empty() {
            known.ends = Some((streams, Vec::new()));
            return Vec::new();
        }
        let is_through_sockets = streams.iter().any(ends::Stream::is_a_socket);
        if is_through_sockets && !known.sockets.is_over() {
            return Vec::new();
        }
        let held = held.get_or_init(|| Held::by(agent));
        self.tell(agent, held.is_none().then_some(Unseen::Descriptors));
        let Some(held) = held else {
            return Vec::new();
        };
        // What could not be seen is looked at again.
        let found = held.ends_of(one.key, &streams);
        self.tell(one.key, found.is_none().then_some(Unseen::Sockets));
        let known = self.known(one);
        known.ends = found.map(|ends| (streams, ends));
        if known.ends.is_some() {
            // What it holds later is looked at anew.
            known.sockets = Patience::default();
        }
        let ends = known.ends.as_ref();
        ends.map(|(_, ends)| ends.clone()).unwrap_or_default()
    }

    /// What is known of a process, by the program that it executes now.
    fn known(&mut self, one: &Descendant) -> &mut Known {
        let unknown = || Known {
            program: one.program.clone(),
            ends: None,
            sockets: Patience::default(),
            is_meant: None,
            line: String::new(),
            reading: Patience::default(),
        };
        let known = self.known.entry(one.key).or_insert_with(unknown);
        if known.program != one.program {
            *known = unknown();
        }
        known
    }

    fn means(&mut self, one: &Descendant) -> bool {
        if self.names.are_every() {
            return true;
        }
        if let Some(is_meant) = self.known(one).is_meant {
            return is_meant;
        }
        let program = fs::read_link(format!("/proc/{}/exe", one.key.tgid)).unwrap_or_default();
        let program = program.file_name().unwrap_or_default().to_string_lossy();
        let line = self.line(one);
        let is_meant = self.names.mean(&[&one.program.name, &program, &line]);
        // A new program's command line is there a moment after its start.
        self.known(one).is_meant = (is_meant || !line.is_empty()).then_some(is_meant);
        is_meant
    }

    /// The command line of a process, which is read less and less often: to read it may wait for the process.
    fn line(&mut self, one: &Descendant) -> String {
        let known = self.known(one);
        // A new program's is there a moment after its start.
        if known.line.is_empty() || known.reading.is_over() {
            let line = process::command_line(one.key.tgid);
            self.known(one).line.clone_from(&line);
            return line;
        }
        known.line.clone()
    }
}

/// Whether the exit status of a process that has died was not taken yet: it lives, or is a zombie of exactly this key. `None`
/// where that cannot be seen.
pub fn is_unreaped(key: TaskKey) -> Option<bool> {
    match process::stat(key.tgid) {
        Ok(stat) => Some(stat.starttime == key.start_ticks),
        Err(Error::NoProcess(_)) => Some(false),
        Err(_) => None,
    }
}

/// Whether a process has ended, a zombie included, with all its threads; `None` where that cannot be seen.
pub fn has_ended(key: TaskKey) -> Option<bool> {
    match process::stat(key.tgid) {
        Ok(stat) => Some(
            stat.starttime != key.start_ticks
                || stat.state == 'X'
                || (stat.state == 'Z' && stat.num_threads <= 1),
        ),
        Err(Error::NoProcess(_)) => Some(true),
        Err(_) => None,
    }
}

/// When a process was started at the earliest, in nanoseconds of the boot clock: the tick in which it was.
pub const fn started(key: TaskKey) -> u64 {
    key.start_ticks.saturating_mul(TICK_NS)
}

/// Whether a process may have been started at this time of the boot clock, in nanoseconds, or later.
pub const fn is_born_since(key: TaskKey, at: u64) -> bool {
    started(key).saturating_add(TICK_NS) >= at
}

/// How long a process has lived, in nanoseconds, at this time of the boot clock.
pub const fn age(key: TaskKey, now: u64) -> u64 {
    now.saturating_sub(started(key))
}

/// The words that a process was started with, joined by blanks; empty where there are none. It may wait for the process.
pub fn command_line(key: TaskKey) -> String {
    process::command_line(key.tgid)
}

/// A process and its descendants that live, itself first.
fn tree(root: u32, parent: u32) -> Vec<Descendant> {
    let mut found: Vec<Descendant> = descendant(root, parent).into_iter().collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|one| one.key.tgid) {
        next += 1;
        if found.len() >= MOST {
            break;
        }
        let children = children(parent).into_iter();
        found.extend(children.filter_map(|child| descendant(child, parent)));
    }
    found
}

/// A child of this parent that lives.
fn descendant(pid: u32, parent: u32) -> Option<Descendant> {
    let stat = process::stat(pid).ok()?;
    let lives = !matches!(stat.state, 'Z' | 'X') && stat.ppid.cast_unsigned() == parent;
    lives.then(|| Descendant {
        key: TaskKey {
            tgid: pid,
            start_ticks: stat.starttime,
        },
        program: Program {
            name: stat.comm.escape_default().to_string(),
            stack: stat.startstack,
        },
        has_executed: stat.flags & NOT_EXECUTED == 0,
    })
}

/// The children of a process, of all its threads. The kernel has a list of them (`CONFIG_PROC_CHILDREN`); where it has
/// none, all processes are asked for their parent.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => found.extend(
                text.split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            ),
            // The thread has ended, or there is no such list.
            Err(_) if has_list() => {}
            Err(_) => return by_parent(pid),
        }
    }
    found
}

fn has_list() -> bool {
    let own = std::process::id();
    Path::new(&format!("/proc/self/task/{own}/children")).exists()
}

fn by_parent(pid: u32) -> Vec<u32> {
    let all = process::all().unwrap_or_default();
    let children = all.into_iter().filter(|process| process.parent == pid);
    children.map(|process| process.pid).collect()
}

/// The number of a file's inode.
fn inode(link: &Path, kind: &str) -> Option<u64> {
    let inner = link.to_str()?.strip_prefix(kind)?.strip_prefix(":[")?;
    inner.strip_suffix(']')?.parse().ok()
}

/// What a descriptor of a process may be used for.
struct Modes {
    reads: bool,
    writes: bool,
}

/// By the modes of its link (fs/proc/fd.c, `tid_fd_update_inode`).
fn modes(link: &Path) -> Option<Modes> {
    let mode = fs::symlink_metadata(link).ok()?.mode();
    Some(Modes {
        reads: mode & 0o400 != 0,
        writes: mode & 0o200 != 0,
    })
}

#[cfg(test)]
mod tests;
