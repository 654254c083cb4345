//! Faults on the plug-ins of a target: they die, stand still, or say half a line that they never said.
//!
//! Plug-ins are found anew at each look, by their pipes. One that is met is the agent's own child with all processes behind
//! it that hold the same pipes, and is hit as one. What outlives this process (a stop) is one of the run's changes; a held pipe
//! is a descriptor of this process's and goes with it.
//!
//! Invariants: what the host's owner protects is asked of plug-ins as of targets, before each is met; the target itself gets
//! no signal; what stands is let go on at its time by this process, else by the guardian. A plug-in may start processes while it is
//! being hit, so those that it has started since the look are looked for until there is none.
//!
//! Rejected: a process of its own to hold pipes, which would have to be watched, where the worker's death closes them in any
//! case.

mod deaths;
mod remembered;
mod stops;
mod watch;

use std::{collections::BTreeSet, os::fd::OwnedFd};

use injector_common::rule::Counters;
use injector_host::{
    kernel::clock::boot_ns,
    targets::{
        plugins::{self, Finder, Newborn, Plugin},
        process::{self, TaskKey},
    },
};
use injector_plan::PlannedRule;
use injector_record::report::PluginReaction;
use injector_spec::{error::Refusal, experiment::OnPlugins, quantity::duration::nanos};

use super::{
    Record,
    choice::{self, Choice},
    moment::Moment,
};
use deaths::Killed;
use remembered::Remembered;
use stops::Stops;

pub(super) use watch::Watch;

/// Of so many processes of a target at most plug-ins are looked for.
pub(super) const MOST_AGENTS: usize = 256;

/// So often at most is looked for what a plug-in has started while it was being hit.
const MOST_LOOKS: usize = 8;

/// So many plug-ins that were left alone are told.
const MOST_TOLD: usize = 8;

/// Half a message of JSON-RPC: a notification that every client of MCP may get, cut inside a string.
const HALF: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"half a li"#;

/// What is done. Times are in nanoseconds.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Once, to those that are there at this time since the fault began or, where there is none, to the first that come.
    Once { after: u64, how: Once },
    /// To each that has lived for so long.
    CrashLoop { lives: u64 },
    /// To each.
    Hang,
    /// To each that is started, for so long.
    SlowStart { latency: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Once {
    Kill,
    HoldAndKill,
    TearLine,
}

/// The state of one fault on plug-ins.
#[derive(Debug)]
pub(super) struct Plugger {
    act: Act,
    finder: Finder,
    watch: Watch,
    /// Whether what is done once was done.
    is_done: bool,
    /// Roots of plug-ins that had their chance.
    known: Remembered,
    /// Ends of pipes of plug-ins that are dead.
    held: Vec<OwnedFd>,
    stops: Stops,
    /// Whether plug-ins were looked for in this step already.
    has_looked: bool,
    /// What was left alone, and why.
    kept_out: BTreeSet<String>,
    pub(super) choice: Choice,
}

impl Plugger {
    pub(super) fn new(fault: OnPlugins<'_>) -> Self {
        let act = match fault {
            OnPlugins::Kill(fault) => Act::Once {
                after: nanos(fault.after),
                how: Once::Kill,
            },
            OnPlugins::PipeHeldDeath(fault) => Act::Once {
                after: nanos(fault.after),
                how: Once::HoldAndKill,
            },
            OnPlugins::TornLine(fault) => Act::Once {
                after: nanos(fault.after),
                how: Once::TearLine,
            },
            OnPlugins::CrashLoop(fault) => Act::CrashLoop {
                lives: nanos(fault.lives),
            },
            OnPlugins::Hang(_) => Act::Hang,
            OnPlugins::SlowStart(fault) => Act::SlowStart {
                latency: nanos(fault.latency),
            },
        };
        Self {
            act,
            finder: Finder::of(fault.plugins().names()),
            watch: Watch::default(),
            is_done: false,
            known: Remembered::default(),
            held: Vec::new(),
            stops: Stops::default(),
            has_looked: false,
            kept_out: BTreeSet::new(),
            choice: Choice::default(),
        }
    }

    /// Does what is due.
    pub(super) fn act(
        &mut self,
        rule: &PlannedRule,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        let now = boot_ns();
        self.stops.see(now, &mut self.choice.counters);
        self.let_go_on(record, now);
        let mut agents = choice::in_order(moment.members());
        agents.truncate(MOST_AGENTS);
        let mut plugins = self.finder.look(&agents);
        self.watch.look(now, &plugins);
        self.has_looked = true;
        // Oldest first, as processes are: the same seed then falls on the same plug-ins.
        plugins.sort_unstable_by_key(|plugin| (plugin.root.start_ticks, plugin.root.tgid));
        let mut chosen = Vec::new();
        let mut dead = Vec::new();
        for plugin in plugins {
            if boot_ns() >= moment.ends_at {
                break;
            }
            if !self.is_due(&plugin, moment, now) {
                continue;
            }
            self.known.insert(plugin.root);
            self.choice.counters.seen += 1;
            // Those that were told to stand still and do not yet count for the budget.
            let waiting = self.stops.unconfirmed().saturating_add(chosen.len() as u64);
            if !self.may_meet(&plugin, moment)
                || !self.choice.falls_on(&rule.compiled.rule, waiting)
            {
                continue;
            }
            if !moment.may_act() {
                return Ok(());
            }
            match self.act {
                Act::Once { how, .. } => dead.extend(self.once(how, plugin)),
                Act::CrashLoop { .. } => dead.extend(self.kill(plugin)),
                Act::Hang | Act::SlowStart { .. } => chosen.push(plugin),
            }
        }
        self.kill_what_they_start(dead, now, moment);
        let until = match self.act {
            Act::SlowStart { latency } => boot_ns().saturating_add(latency).min(moment.ends_at),
            Act::Hang | Act::CrashLoop { .. } | Act::Once { .. } => moment.ends_at,
        };
        self.stop(&chosen, (now, until), moment, record)?;
        let is_once = matches!(self.act, Act::Once { after, .. } if moment.since >= after);
        self.is_done = self.is_done || (is_once && !self.known.is_empty());
        self.known.forget_the_ended();
        Ok(())
    }

    /// Sees what has become of plug-ins, in a step in which nothing is done to them, too.
    pub(super) fn look_on(&mut self) {
        if std::mem::take(&mut self.has_looked) {
            return;
        }
        let agents = self.watch.agents();
        let plugins = self.finder.look(&agents);
        self.watch.look(boot_ns(), &plugins);
    }

    /// Sees it once more at the end, of those that are known.
    pub(super) fn look_last(&mut self) {
        self.watch.look(boot_ns(), &[]);
    }

    /// Lets everything go on, and lets go of everything.
    pub(super) fn lift(&mut self, record: &mut Record<'_>) {
        self.stops.see(boot_ns(), &mut self.choice.counters);
        self.let_go_on(record, u64::MAX);
        self.choice.counters.missed += self.stops.end();
        self.held.clear();
    }

    /// What a person should know.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        let kept_out = self.kept_out.iter().cloned();
        self.stops
            .remarks()
            .chain(kept_out)
            .chain(self.finder.unseen())
    }

    /// What was met, and what became of it.
    pub(super) const fn counters(&self) -> Counters {
        self.choice.counters
    }

    /// What the target did about it.
    pub(super) fn reaction(&self) -> Option<PluginReaction> {
        self.watch.reaction()
    }

    /// Whether this plug-in is to be met now.
    fn is_due(&mut self, plugin: &Plugin, moment: &Moment<'_>, now: u64) -> bool {
        if self.known.contains(&plugin.root) {
            return false;
        }
        let age = plugins::age(plugin.root, now);
        match self.act {
            Act::Once { after, .. } => !self.is_done && moment.since >= after,
            Act::CrashLoop { lives } => age >= lives,
            Act::Hang => true,
            Act::SlowStart { .. } => {
                let is_new = age < moment.since;
                if !is_new {
                    self.known.insert(plugin.root);
                }
                is_new
            }
        }
    }

    /// Whether it may be met, and does not stand still for reasons of its own.
    fn may_meet(&mut self, plugin: &Plugin, moment: &Moment<'_>) -> bool {
        let guarded = plugin.members.iter().find(|key| moment.is_protected(**key));
        if let Some(key) = guarded {
            // One that has ended is guarded by nothing.
            if key.is_alive() {
                let why = format!("its process {} is never a target", key.tgid);
                self.leave(plugin, &why);
            }
            return false;
        }
        let is_stop = matches!(self.act, Act::Hang | Act::SlowStart { .. });
        if is_stop && process::is_stopped(plugin.speaker.tgid) {
            return false;
        }
        let refusal = (moment.run.beside)(&moment.target.name, &plugin.members);
        if let Some(refusal) = &refusal {
            self.leave(plugin, &refusal.message);
        }
        refusal.is_none()
    }

    /// Writes down that it was left alone.
    fn leave(&mut self, plugin: &Plugin, why: &str) {
        if self.kept_out.len() < MOST_TOLD {
            self.kept_out.insert(format!(
                "the plug-in `{}` (process {}) was left alone: {why}",
                plugin.name, plugin.root.tgid
            ));
        }
    }

    /// Does it once; the plug-in, where it has died of it.
    fn once(&mut self, how: Once, plugin: Plugin) -> Option<Killed> {
        match how {
            Once::Kill => self.kill(plugin),
            Once::HoldAndKill => {
                let Some(copies) = plugins::copies(&plugin.ends) else {
                    // Its end would be seen all the same.
                    self.choice.counters.missed += 1;
                    return None;
                };
                let killed = self.kill(plugin)?;
                self.held.extend(copies);
                Some(killed)
            }
            Once::TearLine => {
                match plugins::say(&plugin.ends, HALF) {
                    Ok(()) => self.choice.counters.hit_at(boot_ns()),
                    // It is full, or gone.
                    Err(_) => self.choice.counters.missed += 1,
                }
                None
            }
        }
    }
}

/// Those of these that a plug-in has started, as far as they may be met.
fn born(plugin: &Plugin, newborn: &Newborn, moment: &Moment<'_>) -> Vec<TaskKey> {
    let mut born = newborn.of(plugin);
    born.retain(|key| {
        !moment.is_protected(*key) && (moment.run.beside)(&moment.target.name, &[*key]).is_none()
    });
    born
}
