//! Plug-ins: processes that another process, the agent, has started and speaks to over their standard input and output.
//!
//! They are known by their pipes: a descendant of the agent reads on its standard input from a pipe that the agent can write
//! to, and writes on its standard output to one that the agent can read. A tool whose output alone is captured is none. Runtimes that take a pair of unix sockets instead, as
//! Node does, are known by who made the pair. A plug-in begins with the agent's own child, whose exit status the agent has to
//! take, and has all descendants of it that hold such ends: a launcher as `npx` or a shell is a part of it.
//!
//! Invariants: a process is no plug-in before it has executed a program, since until then a fork of the agent holds all that
//! the agent holds, and the agent may wait for it in the kernel (vfork); a look costs what the agent's own children cost.
//!
//! Rejected: children by name alone, which says nothing about whom they serve.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::process::{self, TaskKey};
use injector_spec::experiment::PluginNames;

mod ends;

pub use ends::{End, copies, say};

/// So many processes of one plug-in are looked at; what a plug-in starts without end is not followed.
const MOST: usize = 64;

/// `PF_FORKNOEXEC` of include/linux/sched.h: forked, and no program executed yet.
const NOT_EXECUTED: u32 = 0x40;

/// A plug-in of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The process that speaks to it.
    pub agent: TaskKey,
    /// The agent's own child that it begins with.
    pub root: TaskKey,
    /// Its processes that hold ends of the agent's pipes, and the root.
    pub members: Vec<TaskKey>,
    /// The name of the first that holds some, with odd bytes escaped.
    pub name: String,
    /// The ends that they hold.
    pub ends: Vec<End>,
}

/// Finds plug-ins again and again, and remembers what it has found out about each process.
#[derive(Debug)]
pub struct Finder {
    names: PluginNames,
    known: BTreeMap<TaskKey, Known>,
}

/// What is known of a process.
#[derive(Clone, Debug)]
struct Known {
    /// Its standard streams when that was found out.
    streams: Vec<ends::Stream>,
    ends: Vec<End>,
}

/// A process of an agent's tree.
struct Descendant {
    key: TaskKey,
    name: String,
    has_executed: bool,
}

impl Finder {
    /// Finds those that are meant.
    pub const fn of(names: PluginNames) -> Self {
        Self {
            names,
            known: BTreeMap::new(),
        }
    }

    /// The plug-ins of these agents as they are now.
    pub fn look(&mut self, agents: &[TaskKey]) -> Vec<Plugin> {
        let mut seen = HashSet::new();
        let mut plugins = Vec::new();
        for agent in agents {
            let mut held = None;
            for child in children(agent.tgid) {
                if let Some(plugin) = self.plugin(*agent, child, &mut held, &mut seen) {
                    plugins.push(plugin);
                }
            }
        }
        self.known.retain(|key, _| seen.contains(key));
        plugins
    }

    /// The plug-in that begins with this child, where one that is meant does.
    fn plugin(
        &mut self,
        agent: TaskKey,
        child: u32,
        held: &mut Option<ends::Held>,
        seen: &mut HashSet<TaskKey>,
    ) -> Option<Plugin> {
        let tree = tree(child);
        let root = tree.first()?.key;
        let mut found = Plugin {
            agent,
            root,
            members: vec![root],
            name: String::new(),
            ends: Vec::new(),
        };
        let mut is_meant = false;
        for one in &tree {
            seen.insert(one.key);
            let ends = self.ends(agent, one, held);
            if ends.is_empty() {
                continue;
            }
            if found.name.is_empty() {
                found.name.clone_from(&one.name);
            }
            if one.key != root {
                found.members.push(one.key);
            }
            found.ends.extend(ends);
            is_meant = is_meant || self.means(one);
        }
        let is_one = !found.ends.is_empty() && (is_meant || self.means(tree.first()?));
        is_one.then_some(found)
    }

    /// The ends of the agent's pipes that a process holds.
    fn ends(
        &mut self,
        agent: TaskKey,
        one: &Descendant,
        held: &mut Option<ends::Held>,
    ) -> Vec<End> {
        if !one.has_executed {
            return Vec::new();
        }
        let streams = ends::streams(one.key.tgid);
        if let Some(known) = self.known.get(&one.key)
            && known.streams == streams
        {
            return known.ends.clone();
        }
        let ends = if streams.is_empty() {
            Vec::new()
        } else {
            let held = held.get_or_insert_with(|| ends::Held::by(agent));
            held.ends_of(one.key, &streams)
        };
        let known = Known {
            streams,
            ends: ends.clone(),
        };
        self.known.insert(one.key, known);
        ends
    }

    fn means(&self, one: &Descendant) -> bool {
        let program = fs::read_link(format!("/proc/{}/exe", one.key.tgid)).unwrap_or_default();
        let program = program.file_name().unwrap_or_default().to_string_lossy();
        let line = process::command_line(one.key.tgid);
        self.names.mean(&[&one.name, &program, &line])
    }
}

/// Whether the exit status of a process that has died was not taken yet: it is a zombie of exactly this key.
pub fn is_unreaped(key: TaskKey) -> bool {
    process::stat(key.tgid).is_ok_and(|stat| stat.starttime == key.start_ticks)
}

/// Whether a process has ended, a zombie included.
pub fn has_ended(key: TaskKey) -> bool {
    !key.is_alive()
}

/// How long a process has lived, in nanoseconds, at this time of the boot clock.
pub fn age(key: TaskKey, now: u64) -> u64 {
    // The kernel says start times in USER_HZ, which is 100 (include/asm-generic/param.h).
    const TICK_NS: u64 = 10_000_000;
    now.saturating_sub(key.start_ticks.saturating_mul(TICK_NS))
}

/// Whether a process holds any end of this pipe still; `None` where that cannot be seen.
pub fn holds(agent: TaskKey, end: &End) -> Option<bool> {
    ends::Held::by(agent).has(end)
}

/// A process and its descendants that live, itself first.
fn tree(root: u32) -> Vec<Descendant> {
    let mut found: Vec<Descendant> = descendant(root).into_iter().collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|one| one.key.tgid) {
        next += 1;
        if found.len() >= MOST {
            break;
        }
        found.extend(children(parent).into_iter().filter_map(descendant));
    }
    found
}

fn descendant(pid: u32) -> Option<Descendant> {
    let stat = process::stat(pid).ok()?;
    let lives = !matches!(stat.state, 'Z' | 'X');
    lives.then(|| Descendant {
        key: TaskKey {
            tgid: pid,
            start_ticks: stat.starttime,
        },
        name: stat.comm.escape_default().to_string(),
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

/// What a descriptor of a process may be used for, by the modes of its link (fs/proc/fd.c, `tid_fd_update_inode`).
fn modes(link: &Path) -> Option<(bool, bool)> {
    let mode = fs::symlink_metadata(link).ok()?.mode();
    Some((mode & 0o400 != 0, mode & 0o200 != 0))
}

#[cfg(test)]
mod tests;
