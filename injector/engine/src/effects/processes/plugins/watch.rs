//! What agents do about plug-ins that died, and what becomes of plug-ins whose agent has ended: looked at again and again.
//!
//! All of it is read from `/proc`, so a time is that of the look which saw it: up to a tick late, never early.

use std::collections::BTreeMap;

use injector_host::targets::{
    plugins::{self, End, Plugin},
    process::{self, TaskKey},
};
use injector_record::report::{MOST_ORPHANS, ORPHAN_MS, Orphan, PluginReaction, UNNOTICED_MS};

/// So many deaths are looked at; of a loop of crashes the rest is counted as too late for a judgement.
const MOST_DEATHS: usize = 256;

/// One tick of start times, in nanoseconds: what was started after a death may bear its tick.
const TICK_NS: u64 = 10_000_000;

const MS: u64 = 1_000_000;

/// All that is looked at for one fault.
#[derive(Debug, Default)]
pub(in super::super) struct Watch {
    deaths: Vec<Death>,
    /// Deaths beyond those.
    more: u64,
    agents: BTreeMap<TaskKey, Agent>,
    /// When was looked last, on the boot clock.
    looked: u64,
}

/// The death of a plug-in. Times are on the boot clock.
#[derive(Debug)]
struct Death {
    agent: TaskKey,
    root: TaskKey,
    name: String,
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
    /// Processes of its plug-ins, with their names.
    plugins: BTreeMap<TaskKey, String>,
    /// When it was seen to have ended.
    ended: Option<u64>,
    /// When each of those that lived then was seen to have ended.
    ended_with: Vec<u64>,
}

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

    fn see(&self, found: &[Plugin]) -> Seen {
        let open = |end: &End| plugins::holds(self.agent, end);
        let mut ends = self.ends.iter().filter_map(open).peekable();
        let is_another = |plugin: &Plugin| {
            let started = plugin.root.start_ticks.saturating_mul(TICK_NS);
            plugin.agent == self.agent
                && plugin.root != self.root
                && plugin.name == self.name
                && started.saturating_add(TICK_NS) >= self.at
        };
        Seen {
            has_agent_ended: plugins::has_ended(self.agent),
            // Where the agent ignores SIGCHLD the kernel takes the status for it, and nothing was noticed.
            is_reaped: !plugins::is_unreaped(self.root) && !process::ignores_children(self.agent),
            is_closed: ends.peek().is_some() && ends.all(|is_open| !is_open),
            is_restarted: found.iter().any(is_another),
        }
    }
}

impl Watch {
    /// Looks at all of it, at this time on the boot clock; these are the plug-ins that are there.
    pub(in super::super) fn look(&mut self, now: u64, found: &[Plugin]) {
        self.looked = now;
        for plugin in found {
            let agent = self.agents.entry(plugin.agent).or_default();
            let named = plugin.members.iter();
            agent
                .plugins
                .extend(named.map(|key| (*key, plugin.name.clone())));
        }
        // What is known of all three is known; what was seen is looked at no more.
        let open = |death: &&mut Death| {
            death.ended_behind.is_none()
                && (death.reaped.is_none() || death.closed.is_none() || death.restarted.is_none())
        };
        for death in self.deaths.iter_mut().filter(open) {
            let seen = death.see(found);
            death.look(now, seen);
        }
        for (key, agent) in &mut self.agents {
            agent.look(now, *key);
        }
    }

    /// A plug-in was killed at this time on the boot clock.
    pub(in super::super) fn died(&mut self, plugin: &Plugin, at: u64) {
        if let Some(agent) = self.agents.get_mut(&plugin.agent) {
            agent.plugins.retain(|key, _| !plugin.members.contains(key));
        }
        if self.deaths.len() >= MOST_DEATHS {
            self.more += 1;
            return;
        }
        self.deaths.push(Death {
            agent: plugin.agent,
            root: plugin.root,
            name: plugin.name.clone(),
            ends: plugin.ends.clone(),
            at,
            reaped: None,
            closed: None,
            restarted: None,
            ended_behind: None,
        });
    }

    /// What plug-ins do behind their agent's end counts from now on: until now they could not.
    pub(in super::super) fn begin_anew(&mut self, now: u64) {
        for agent in self.agents.values_mut() {
            agent.ended = agent.ended.map(|_| now);
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
        for at in &agent.ended_with {
            said.ended_with += 1;
            let outlived = Some(at.saturating_sub(ended) / MS);
            said.longest_outlived_ms = said.longest_outlived_ms.max(outlived);
        }
        let outlived_ms = self.looked.saturating_sub(ended) / MS;
        for (key, name) in &agent.plugins {
            if outlived_ms < ORPHAN_MS {
                said.orphans_unjudged += 1;
                continue;
            }
            said.orphans += 1;
            if said.orphans_named.len() < MOST_ORPHANS {
                said.orphans_named.push(Orphan {
                    pid: key.tgid,
                    name: name.clone(),
                    outlived_ms,
                });
            }
        }
    }
}

impl Agent {
    /// Forgets plug-ins that have ended; those that end behind the agent are counted.
    fn look(&mut self, now: u64, key: TaskKey) {
        if self.ended.is_none() && plugins::has_ended(key) {
            self.ended = Some(now);
        }
        let is_left = self.ended.is_some();
        let ended_with = &mut self.ended_with;
        self.plugins.retain(|plugin, _| {
            let lives = !plugins::has_ended(*plugin);
            // Both may have ended between two looks, and then in this order.
            if !lives && is_left {
                ended_with.push(now);
            }
            lives
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn key(tgid: u32) -> TaskKey {
        TaskKey {
            tgid,
            start_ticks: 1,
        }
    }

    fn death(at: u64) -> Death {
        Death {
            agent: key(1),
            root: key(2),
            name: "cat".into(),
            ends: Vec::new(),
            at,
            reaped: None,
            closed: None,
            restarted: None,
            ended_behind: None,
        }
    }

    fn said(death: Death, looked: u64) -> PluginReaction {
        let watch = Watch {
            deaths: vec![death],
            looked,
            ..Watch::default()
        };
        watch.reaction().unwrap()
    }

    #[test]
    fn each_answer_counts_from_the_death() {
        let mut one = death(SECOND);
        let reaped = Seen {
            is_reaped: true,
            ..Seen::default()
        };
        one.look(SECOND + 60 * MS, reaped);
        let closed = Seen {
            is_closed: true,
            ..reaped
        };
        one.look(SECOND + 110 * MS, closed);
        let reaction = said(one, 60 * SECOND);
        assert_eq!(
            (reaction.longest_reaped_ms, reaction.longest_closed_ms),
            (Some(60), Some(110))
        );
        assert_eq!((reaction.unnoticed, reaction.restarted), (0, 0));
    }

    #[test]
    fn nothing_for_long_enough_is_unnoticed_and_for_less_it_is_open() {
        let late = said(death(SECOND), 11 * SECOND);
        assert_eq!((late.unnoticed, late.unjudged), (1, 0));
        assert_eq!(late.longest_unnoticed_ms, Some(10_000));
        let early = said(death(SECOND), 11 * SECOND - MS);
        assert_eq!((early.unnoticed, early.unjudged), (0, 1));
    }

    #[test]
    fn an_agent_that_ends_behind_its_plug_in_has_answered_nothing() {
        let gone = Seen {
            has_agent_ended: true,
            // As it looks when all of it is gone.
            is_reaped: true,
            is_closed: true,
            is_restarted: false,
        };
        let mut one = death(SECOND);
        one.look(2 * SECOND, gone);
        let soon = said(one, 60 * SECOND);
        assert_eq!(
            (soon.ended_behind, soon.unnoticed, soon.reaped, soon.closed),
            (1, 0, 0, 0)
        );
        let mut one = death(SECOND);
        one.look(20 * SECOND, gone);
        assert_eq!(said(one, 60 * SECOND).unnoticed, 1);
    }

    #[test]
    fn what_lives_on_is_an_orphan_when_its_time_is_over() {
        let left = |looked| {
            let agent = Agent {
                plugins: BTreeMap::from([(key(7), "cat".to_owned())]),
                ended: Some(SECOND),
                ended_with: vec![SECOND + 40 * MS],
            };
            let watch = Watch {
                agents: BTreeMap::from([(key(1), agent)]),
                looked,
                ..Watch::default()
            };
            watch.reaction().unwrap()
        };
        let late = left(3 * SECOND);
        assert_eq!((late.orphans, late.orphans_unjudged), (1, 0));
        assert_eq!(
            (late.orphans_named[0].pid, late.orphans_named[0].outlived_ms),
            (7, 2_000)
        );
        assert_eq!((late.ended_with, late.longest_outlived_ms), (1, Some(40)));
        let early = left(3 * SECOND - MS);
        assert_eq!((early.orphans, early.orphans_unjudged), (0, 1));
    }

    #[test]
    fn a_time_of_standing_still_is_not_held_against_a_plug_in() {
        let agent = Agent {
            plugins: BTreeMap::from([(key(7), "cat".to_owned())]),
            ended: Some(SECOND),
            ended_with: Vec::new(),
        };
        let mut watch = Watch {
            agents: BTreeMap::from([(key(1), agent)]),
            looked: 9 * SECOND,
            ..Watch::default()
        };
        watch.begin_anew(9 * SECOND);
        let reaction = watch.reaction().unwrap();
        assert_eq!((reaction.orphans, reaction.orphans_unjudged), (0, 1));
    }
}
