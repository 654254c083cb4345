//! Faults on the plug-ins of a target: they die, stand still, or say half a line that they never said.
//!
//! Plug-ins are found anew at each look, by their pipes. One that is met is the agent's own child with all processes behind
//! it that hold the same pipes, and is hit as one. What outlives this process (a stop) is one of the run's changes; a held pipe
//! is a descriptor of this process's and goes with it.
//!
//! Invariants: what the host's owner protects is asked of plug-ins as of targets, before each is met; the target itself gets
//! no signal; what stands is let go on at its time by this process, else by the guardian.
//!
//! Rejected: a process of its own to hold pipes, which would have to be watched, where the worker's death closes them in any
//! case.

mod watch;

use std::{
    collections::{BTreeSet, HashSet},
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use injector_common::rule::Counters;
use injector_host::{
    kernel::clock::boot_ns,
    targets::{
        pidfd,
        plugins::{self, Finder, Plugin},
        process::{self, TaskKey},
    },
};
use injector_plan::PlannedRule;
use injector_record::report::PluginReaction;
use injector_spec::{error::Refusal, experiment::OnPlugins, quantity::duration::nanos};

use super::{
    Record,
    choice::Choice,
    moment::Moment,
    standing::{Standing, Subject},
};
use crate::changes::{Asked, ChangeId};

pub(super) use watch::Watch;

/// Of so many processes of a target at most plug-ins are looked for.
pub(super) const MOST_AGENTS: usize = 256;

/// How long a stand is waited for at once; one that takes longer is seen later.
const SEEN_WITHIN: Duration = Duration::from_millis(20);

/// How often is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// So many plug-ins that were left alone are told.
const MOST_TOLD: usize = 8;

/// From so many plug-ins on that had their chance those that have ended are forgotten.
const MANY: usize = 64;

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

/// A stop that is to be undone.
#[derive(Debug)]
struct Stop {
    id: ChangeId,
    /// When, on the boot clock.
    until: u64,
    subject: Subject,
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
    known: HashSet<TaskKey>,
    /// Ends of pipes of plug-ins that are dead.
    held: Vec<OwnedFd>,
    stops: Vec<Stop>,
    standing: Standing,
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
            known: HashSet::new(),
            held: Vec::new(),
            stops: Vec::new(),
            standing: Standing::default(),
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
        self.look_at_stands(now);
        self.let_go_on(record, |stop| stop.until <= now);
        let mut agents = moment.members();
        agents.truncate(MOST_AGENTS);
        let mut plugins = self.finder.look(&agents);
        self.watch.look(now, &plugins);
        // Oldest first, as processes are: the same seed then falls on the same plug-ins.
        plugins.sort_unstable_by_key(|plugin| (plugin.root.start_ticks, plugin.root.tgid));
        for plugin in plugins {
            if !self.is_due(&plugin, moment, now) {
                continue;
            }
            self.known.insert(plugin.root);
            self.choice.counters.seen += 1;
            if !self.may_meet(&plugin, moment) || !self.choice.falls_on(&rule.compiled.rule, 0) {
                continue;
            }
            if !moment.may_act() {
                return Ok(());
            }
            self.meet(&plugin, moment, record)?;
        }
        if self.known.len() > MANY {
            self.known.retain(TaskKey::is_alive);
        }
        let is_once = matches!(self.act, Act::Once { after, .. } if moment.since >= after);
        self.is_done = self.is_done || (is_once && !self.known.is_empty());
        Ok(())
    }

    /// Sees what has become of plug-ins, in a step in which nothing is done to them, too.
    pub(super) fn look_on(&mut self) {
        let agents = self.watch.agents();
        let plugins = self.finder.look(&agents);
        self.watch.look(boot_ns(), &plugins);
    }

    /// Lets everything go on, and lets go of everything.
    pub(super) fn lift(&mut self, record: &mut Record<'_>) {
        self.look_at_stands(boot_ns());
        let stood = !self.stops.is_empty();
        self.let_go_on(record, |_| true);
        self.choice.counters.missed += self.standing.end();
        self.held.clear();
        if stood {
            // What stood still could not end with its agent.
            self.watch.begin_anew(boot_ns());
        }
    }

    /// What a person should know.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        self.standing.remarks().chain(self.kept_out.iter().cloned())
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
        let is_out = |key: &TaskKey| moment.is_protected(*key);
        if plugin.members.iter().any(is_out) {
            return false;
        }
        let is_stop = matches!(self.act, Act::Hang | Act::SlowStart { .. });
        if is_stop && process::is_stopped(speaker(plugin).tgid) {
            return false;
        }
        let refusal = (moment.run.beside)(&moment.target.name, &plugin.members);
        if let Some(refusal) = &refusal
            && self.kept_out.len() < MOST_TOLD
        {
            self.kept_out.insert(format!(
                "the plug-in `{}` (process {}) was left alone: {}",
                plugin.name, plugin.root.tgid, refusal.message
            ));
        }
        refusal.is_none()
    }

    fn meet(
        &mut self,
        plugin: &Plugin,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        match self.act {
            Act::Once {
                how: Once::Kill, ..
            }
            | Act::CrashLoop { .. } => self.kill(plugin),
            Act::Once {
                how: Once::HoldAndKill,
                ..
            } => {
                let copies = plugins::copies(&plugin.ends);
                if copies.len() < plugin.ends.len() {
                    // Its end would be seen all the same.
                    self.choice.counters.missed += 1;
                } else {
                    self.held.extend(copies);
                    self.kill(plugin);
                }
            }
            Act::Once {
                how: Once::TearLine,
                ..
            } => match plugins::say(&plugin.ends, HALF) {
                Ok(()) => self.choice.counters.hit_at(boot_ns()),
                // It is full, or gone.
                Err(_) => self.choice.counters.missed += 1,
            },
            Act::Hang => self.stop(plugin, moment.ends_at, moment, record)?,
            Act::SlowStart { latency } => {
                let until = boot_ns().saturating_add(latency).min(moment.ends_at);
                self.stop(plugin, until, moment, record)?;
            }
        }
        Ok(())
    }

    /// Kills all of it, the agent's own child first: a launcher must not see its server die and start another.
    fn kill(&mut self, plugin: &Plugin) {
        // Before the signal: a quick agent has another before this thread runs again.
        let at = boot_ns();
        let mut signals = plugin
            .members
            .iter()
            .map(|key| pidfd::signal(*key, libc::SIGKILL));
        let root = signals.next();
        // Those behind it may have ended by themselves.
        signals.for_each(drop);
        if matches!(root, Some(Ok(()))) {
            self.choice.counters.hit_at(boot_ns());
            self.watch.died(plugin, at);
        } else {
            self.choice.counters.missed += 1;
        }
    }

    fn stop(
        &mut self,
        plugin: &Plugin,
        until: u64,
        moment: &Moment<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Refusal> {
        let may_go_on = || moment.may_act();
        let members = &plugin.members;
        match record
            .changes
            .stop(members, until, &may_go_on, record.journal)
        {
            Asked::Made(id) => {
                let subject = Subject::Process(speaker(plugin));
                self.standing.watch(subject.clone());
                self.stops.push(Stop { id, until, subject });
                self.await_stand();
            }
            Asked::AlreadySo => {}
            // The first that could not be put on record ends the run; a later one is left out.
            Asked::NotOnRecord(refusal) if self.choice.counters.hit == 0 => return Err(refusal),
            Asked::NotOnRecord(_) => self.choice.counters.missed += 1,
        }
        Ok(())
    }

    /// Undoes the stops that are due.
    fn let_go_on(&mut self, record: &mut Record<'_>, is_due: impl Fn(&Stop) -> bool) {
        let (due, stay): (Vec<Stop>, Vec<Stop>) = self.stops.drain(..).partition(is_due);
        self.stops = stay;
        for stop in due {
            self.choice.counters.missed += self.standing.let_go(&stop.subject);
            record.changes.undo(stop.id, record.journal);
        }
    }

    /// Counts as hits what stands now and did not before.
    fn look_at_stands(&mut self, now: u64) {
        let seen = self.standing.look(now);
        for _ in 0..seen.stand {
            self.choice.counters.hit_at(now);
        }
        self.choice.counters.missed += seen.never;
    }

    /// Waits a moment for what was just told to stand still.
    fn await_stand(&mut self) {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            self.look_at_stands(boot_ns());
            if self.standing.unconfirmed() == 0 || Instant::now() >= deadline {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Plugger {
    /// What was met, and what became of it.
    pub(super) const fn counters(&self) -> Counters {
        self.choice.counters
    }
}

/// The process that speaks: behind a launcher it is the last.
fn speaker(plugin: &Plugin) -> TaskKey {
    plugin.members.last().copied().unwrap_or(plugin.root)
}
