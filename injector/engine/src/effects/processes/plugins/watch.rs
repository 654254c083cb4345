//! What agents do about plug-ins that died, and what becomes of plug-ins whose agent has ended: looked at again and again.
//!
//! All of it is read from `/proc`, so a time is that of the look which saw it: up to a tick late, never early. What could not be
//! read is no answer: the next look asks again.

use std::collections::{BTreeMap, BTreeSet};

use super::Remembered;
use injector_host::targets::{
    plugins::{self, End, Held, Plugin},
    process::{self, TaskKey},
};
use injector_record::report::{MOST_ORPHANS, ORPHAN_MS, Orphan, PluginReaction, UNNOTICED_MS};

/// So many deaths are looked at; of a loop of crashes the rest is counted as too late for a judgement.
const MOST_DEATHS: usize = 256;

/// So many plug-ins of an agent that was signalled and lives are remembered that have ended since.
const MOST_ENDED: usize = 1024;

const MS: u64 = 1_000_000;

/// All that is looked at for one fault.
#[derive(Debug, Default)]
pub(in super::super) struct Watch {
    deaths: Vec<Death>,
    /// Deaths beyond those.
    more: u64,
    agents: BTreeMap<TaskKey, Agent>,
    /// Processes that the fault itself has signalled.
    hit: Remembered,
    /// Roots of plug-ins that were there before a death, or stand for one already: one start answers one death.
    taken: Remembered,
    /// When was looked last, on the boot clock.
    looked: u64,
}

/// The death of a plug-in. Times are on the boot clock.
#[derive(Debug)]
struct Death {
    agent: TaskKey,
    root: TaskKey,
    name: String,
    /// The words that it was started with.
    line: String,
    ends: Vec<End>,
    at: u64,
    reaped: Option<u64>,
    closed: Option<u64>,
    restarted: Option<u64>,
    ended_behind: Option<u64>,
}

/// A process that has plug-ins.
#[derive(Debug, Default)]
struct Agent {
    /// Its plug-ins, by their roots.
    plugins: BTreeMap<TaskKey, Owned>,
    /// When it was seen to have ended.
    ended: Option<u64>,
    /// How long each of those that lived then has lived on.
    ended_with: Vec<u64>,
    /// Whether the fault has signalled it.
    is_told: bool,
    /// Of those that were seen to have ended since it was signalled, when they were let go on; where it was not, of those of the last
    /// look alone. The threads of an agent end one after the other, and its plug-in may be gone before the last of them.
    lately: Vec<u64>,
}

/// A plug-in of an agent's. It lives as long as one of its processes does.
#[derive(Debug, Default)]
struct Owned {
    name: String,
    members: BTreeSet<TaskKey>,
    /// When the fault let it go on; until then it could not end.
    free_since: u64,
}

impl Owned {
    /// Since when it has lived on behind its agent, which ended at this time.
    fn alone_since(&self, ended: u64) -> u64 {
        ended.max(self.free_since)
    }
}

/// What agents hold, read once for each in a look.
type HeldBy = BTreeMap<TaskKey, Option<Held>>;

/// What a look at a death has shown.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them may hold beside the others"
)]
struct Seen {
    has_agent_ended: bool,
    is_reaped: bool,
    is_closed: bool,
    is_restarted: bool,
}

impl Death {
    fn look(&mut self, now: u64, seen: Seen) {
        let since = |place: &mut Option<u64>, is: bool| {
            if is {
                place.get_or_insert(now);
            }
        };
        if self.ended_behind.is_some() {
            return;
        }
        // All that an agent has is gone with it: that is no answer to the death of a plug-in.
        if seen.has_agent_ended {
            self.ended_behind = Some(now);
            return;
        }
        since(&mut self.reaped, seen.is_reaped);
        since(&mut self.closed, seen.is_closed);
        since(&mut self.restarted, seen.is_restarted);
    }

    const fn is_noticed(&self) -> bool {
        self.reaped.is_some() || self.closed.is_some() || self.restarted.is_some()
    }

    /// What there is to see of it; nothing where its agent cannot be seen.
    fn see(&self, is_restarted: bool, held: &mut HeldBy) -> Option<Seen> {
        // Where the agent ignores SIGCHLD the kernel takes the status for it, and nothing was noticed.
        let is_reaped = self.reaped.is_none()
            && plugins::is_unreaped(self.root) == Some(false)
            && !process::ignores_children(self.agent);
        let is_closed = self.closed.is_none() && self.is_closed(held);
        // Last: what was read before belongs to an agent that lives still, or is no answer.
        let has_agent_ended = plugins::has_ended(self.agent)?;
        Some(Seen {
            has_agent_ended,
            is_reaped,
            is_closed,
            is_restarted,
        })
    }

    /// Whether the agent holds none of the pipes any more.
    fn is_closed(&self, held: &mut HeldBy) -> bool {
        let pipes = self.ends.iter().filter(|end| end.shows_who_listens());
        let mut pipes = pipes.peekable();
        if pipes.peek().is_none() {
            return false;
        }
        let held = held
            .entry(self.agent)
            .or_insert_with(|| Held::by(self.agent));
        held.as_ref()
            .is_some_and(|held| pipes.all(|end| held.has(end) == Some(false)))
    }

    /// The plug-in that was started for it, where one was.
    fn successor(&self, found: &[Plugin], taken: &Remembered) -> Option<TaskKey> {
        let is_another = |plugin: &&Plugin| {
            plugin.agent == self.agent
                && plugin.root != self.root
                && plugin.name == self.name
                && plugins::is_born_since(plugin.root, self.at)
                && !taken.contains(&plugin.root)
                && plugin.line == self.line
        };
        found.iter().find(is_another).map(|plugin| plugin.root)
    }
}

impl Watch {
    /// Looks at all of it, at this time on the boot clock; these are the plug-ins that are there.
    pub(in super::super) fn look(&mut self, now: u64, found: &[Plugin]) {
        self.looked = now;
        for plugin in found {
            let living = plugin.members.iter().filter(|key| !self.hit.contains(key));
            let members: BTreeSet<TaskKey> = living.copied().collect();
            if members.is_empty() {
                continue;
            }
            let agent = self.agents.entry(plugin.agent).or_default();
            let owned = agent.plugins.entry(plugin.root).or_default();
            owned.name.clone_from(&plugin.name);
            owned.members.extend(members);
        }
        // What is known of all three is known; what was seen is looked at no more.
        let open = |death: &&mut Death| {
            death.ended_behind.is_none()
                && (death.reaped.is_none() || death.closed.is_none() || death.restarted.is_none())
        };
        let mut held = HeldBy::new();
        for death in self.deaths.iter_mut().filter(open) {
            let successor = match death.restarted {
                Some(_) => None,
                None => death.successor(found, &self.taken),
            };
            self.taken.extend(successor);
            if let Some(seen) = death.see(successor.is_some(), &mut held) {
                death.look(now, seen);
            }
        }
        for (key, agent) in &mut self.agents {
            agent.look(now, *key);
        }
        self.hit.forget_the_ended();
        self.taken.forget_the_ended();
    }

    /// The fault has signalled this process: what becomes of it is the fault's doing. What becomes of plug-ins that it has is its own,
    /// from now on: one that is told to end may end them first.
    pub(in super::super) fn forget(&mut self, key: TaskKey) {
        self.hit.insert(key);
        if let Some(agent) = self.agents.get_mut(&key) {
            agent.is_told = true;
        }
        for agent in self.agents.values_mut() {
            agent.plugins.retain(|_, owned| {
                owned.members.remove(&key);
                !owned.members.is_empty()
            });
        }
    }

    /// A plug-in was killed at this time on the boot clock.
    pub(in super::super) fn died(&mut self, plugin: &Plugin, at: u64) {
        if let Some(agent) = self.agents.get(&plugin.agent) {
            self.taken.extend(agent.plugins.keys().copied());
        }
        for key in &plugin.members {
            self.forget(*key);
        }
        if self.deaths.len() >= MOST_DEATHS {
            self.more += 1;
            return;
        }
        self.deaths.push(Death {
            agent: plugin.agent,
            root: plugin.root,
            name: plugin.name.clone(),
            line: plugin.line.clone(),
            ends: plugin.ends.clone(),
            at,
            reaped: None,
            closed: None,
            restarted: None,
            ended_behind: None,
        });
    }

    /// The plug-in with this root goes on from this time on the boot clock. What it does behind its agent's end counts from now on:
    /// until now it could do nothing.
    pub(in super::super) fn let_go(&mut self, root: TaskKey, now: u64) {
        for agent in self.agents.values_mut() {
            if let Some(owned) = agent.plugins.get_mut(&root) {
                owned.free_since = now;
            }
        }
    }

    /// The processes that have plug-ins and live.
    pub(in super::super) fn agents(&self) -> Vec<TaskKey> {
        let living = self
            .agents
            .iter()
            .filter(|(_, agent)| agent.ended.is_none());
        living.map(|(key, _)| *key).collect()
    }

    /// What is to be said of it; nothing where no plug-in died and no agent ended.
    pub(in super::super) fn reaction(&self) -> Option<PluginReaction> {
        let mut said = PluginReaction {
            deaths: self.more,
            unjudged: self.more,
            ..PluginReaction::default()
        };
        for death in &self.deaths {
            self.say_death(death, &mut said);
        }
        for agent in self.agents.values() {
            self.say_agent(agent, &mut said);
        }
        (!said.is_empty()).then_some(said)
    }

    fn say_death(&self, death: &Death, said: &mut PluginReaction) {
        said.deaths += 1;
        let since = |at: u64| at.saturating_sub(death.at) / MS;
        let counted = |times: &mut u64, longest: &mut Option<u64>, at: Option<u64>| {
            if let Some(at) = at {
                *times += 1;
                *longest = (*longest).max(Some(since(at)));
            }
        };
        counted(&mut said.reaped, &mut said.longest_reaped_ms, death.reaped);
        counted(&mut said.closed, &mut said.longest_closed_ms, death.closed);
        counted(
            &mut said.restarted,
            &mut said.longest_restarted_ms,
            death.restarted,
        );
        if death.is_noticed() {
            return;
        }
        // Until its agent ended, or the last look.
        let watched = since(death.ended_behind.unwrap_or(self.looked));
        if watched >= UNNOTICED_MS {
            said.unnoticed += 1;
            said.longest_unnoticed_ms = said.longest_unnoticed_ms.max(Some(watched));
        } else if death.ended_behind.is_some() {
            said.ended_behind += 1;
        } else {
            said.unjudged += 1;
        }
    }

    fn say_agent(&self, agent: &Agent, said: &mut PluginReaction) {
        let Some(ended) = agent.ended else {
            return;
        };
        said.agents_ended += 1;
        for lived_on in &agent.ended_with {
            said.ended_with += 1;
            said.longest_outlived_ms = said.longest_outlived_ms.max(Some(lived_on / MS));
        }
        for (root, owned) in &agent.plugins {
            let since = owned.alone_since(ended);
            let outlived_ms = self.looked.saturating_sub(since) / MS;
            if outlived_ms < ORPHAN_MS {
                said.orphans_unjudged += 1;
                continue;
            }
            said.orphans += 1;
            if said.orphans_named.len() < MOST_ORPHANS {
                // One that lives: behind a launcher that has ended it is the server.
                let is_there = owned.members.contains(root);
                let other = owned.members.first().filter(|_| !is_there);
                let named = other.unwrap_or(root);
                said.orphans_named.push(Orphan {
                    pid: named.tgid,
                    name: owned.name.clone(),
                    outlived_ms,
                });
            }
        }
    }
}

impl Agent {
    /// Forgets plug-ins that have ended; those that end behind the agent are counted.
    fn look(&mut self, now: u64, key: TaskKey) {
        let mut over = Vec::new();
        self.plugins.retain(|_, owned| {
            let ended = |member: &TaskKey| plugins::has_ended(*member) == Some(true);
            owned.members.retain(|member| !ended(member));
            let lives = !owned.members.is_empty();
            if !lives {
                over.push(owned.free_since);
            }
            lives
        });
        // Asked last: both may have ended between two looks, and then in this order.
        if self.ended.is_none() && plugins::has_ended(key) == Some(true) {
            self.ended = Some(now);
        }
        let before = std::mem::take(&mut self.lately);
        if let Some(ended) = self.ended {
            let over = over.into_iter().chain(before);
            let since = over.map(|free_since| ended.max(free_since));
            self.ended_with
                .extend(since.map(|since| now.saturating_sub(since)));
            return;
        }
        self.lately = over;
        if self.is_told {
            let left = MOST_ENDED.saturating_sub(self.lately.len());
            self.lately.extend(before.into_iter().take(left));
        }
    }
}

#[cfg(test)]
mod tests;
