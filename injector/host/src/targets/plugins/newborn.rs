//! Processes that were started lately, and which of them belong to a plug-in that is being hit.
//!
//! Invariants: a process that is below the agent by another way than through the plug-in is none of it, since it may be another
//! plug-in; one that has lost its parents is none by what it says of itself (standard error), which plug-ins of one agent often
//! share, and only by what it hears or says itself, on the same side as the plug-in.

use std::collections::HashMap;

use super::{Plugin, ends, is_born_since};
use crate::targets::process::{self, TaskKey};

/// So many parents of a process are asked for their own.
const MOST_PARENTS: usize = 64;

/// One look at all processes.
#[derive(Clone, Debug, Default)]
pub struct Newborn {
    /// Each process and its parent, by its id.
    parents: HashMap<u32, (TaskKey, u32)>,
    /// Those that were started lately, with their standard streams.
    born: Vec<(TaskKey, Vec<ends::Stream>)>,
}

/// Where a process is, as its parents say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Below a process of the plug-in.
    Below,
    /// Below the agent, and not by the plug-in; or it cannot be told.
    Another,
    /// Below neither: its parents have ended.
    Orphan,
}

impl Newborn {
    /// Those that were started at this time of the boot clock or later.
    pub fn since(at: u64) -> Self {
        let mut look = Self::default();
        for stat in process::stats().unwrap_or_default() {
            let key = TaskKey {
                tgid: stat.pid.cast_unsigned(),
                start_ticks: stat.starttime,
            };
            let parent = stat.ppid.cast_unsigned();
            look.parents.insert(key.tgid, (key, parent));
            if !matches!(stat.state, 'Z' | 'X') && is_born_since(key, at) {
                look.born.push((key, ends::streams(key.tgid)));
            }
        }
        look
    }

    /// Those of them that hold ends of a plug-in and are no known member of it.
    pub fn of(&self, plugin: &Plugin) -> Vec<TaskKey> {
        let is_one = |(key, streams): &&(TaskKey, Vec<ends::Stream>)| {
            *key != plugin.agent
                && !plugin.members.contains(key)
                && match self.place(*key, plugin) {
                    Place::Below => ends::has_any(streams, &plugin.ends),
                    Place::Orphan => ends::speaks_by(streams, &plugin.ends),
                    Place::Another => false,
                }
        };
        let born = self.born.iter().filter(is_one);
        born.map(|(key, _)| *key).collect()
    }

    fn place(&self, key: TaskKey, plugin: &Plugin) -> Place {
        let mut of = key.tgid;
        for _ in 0..MOST_PARENTS {
            let Some((_, parent)) = self.parents.get(&of) else {
                return Place::Orphan;
            };
            let parent_key = self.parents.get(parent).map(|(key, _)| *key);
            if parent_key.is_some_and(|parent| plugin.members.contains(&parent)) {
                return Place::Below;
            }
            if *parent == plugin.agent.tgid {
                return Place::Another;
            }
            of = *parent;
        }
        Place::Another
    }
}

#[cfg(test)]
mod tests;
