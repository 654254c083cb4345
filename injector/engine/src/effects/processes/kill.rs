//! Sends the processes of a target a signal: once, every so often, and to those that come back.

use std::collections::HashSet;

use super::{
    choice::{self, Choice},
    moment::Moment,
    plugins::{MOST_AGENTS, Watch},
    schedule,
};
use injector_host::{
    kernel::{Error, clock::boot_ns},
    targets::{pidfd, plugins::Finder, process::TaskKey},
};
use injector_plan::PlannedRule;
use injector_record::report::PluginReaction;
use injector_spec::experiment::{Kill, Plugins, Respawn};

/// The state of one `proc.kill` fault.
#[derive(Debug)]
pub(super) struct Killer {
    kill: Kill,
    /// The last round of signals that was sent.
    round: u64,
    /// Processes that had their chance, as far as they live. Only those that are not in it have come back.
    known: HashSet<TaskKey>,
    /// Finds plug-ins of what is killed, which may live on.
    finder: Finder,
    watch: Watch,
    pub(super) choice: Choice,
}

impl Killer {
    pub(super) fn new(kill: Kill) -> Self {
        Self {
            kill,
            round: 0,
            known: HashSet::new(),
            finder: Finder::of(Plugins::default().names()),
            watch: Watch::default(),
            choice: Choice::default(),
        }
    }

    /// Sends what is due.
    pub(super) fn act(&mut self, rule: &PlannedRule, moment: &Moment<'_>) -> Result<(), Error> {
        let Some(round) = schedule::round(&self.kill, moment.since) else {
            return Ok(());
        };
        let is_new_round = round > self.round;
        let hunts = self.kill.respawn == Some(Respawn::KillAgain);
        if !is_new_round && !hunts {
            return Ok(());
        }
        if self.round == 0 {
            // Before the first signal, so that no program is started in between.
            (moment.run.bar)(rule)?;
        }
        // Before the first round a pattern means the processes that it meant at the start, as everything else does.
        let members = match self.round {
            0 => moment.members(),
            _ if hunts => moment.members_and_matches(),
            _ => moment.members(),
        };
        let members = choice::in_order(members);
        if is_new_round {
            let agents = &members[..members.len().min(MOST_AGENTS)];
            self.watch.look(boot_ns(), &self.finder.look(agents));
        }
        self.round = round;
        let is_due = |key: &&TaskKey| is_new_round || !self.known.contains(key);
        let due: Vec<TaskKey> = members.iter().filter(is_due).copied().collect();
        for key in due {
            if !self.signal(rule, key, moment) {
                return Ok(());
            }
        }
        let now: HashSet<TaskKey> = members.into_iter().collect();
        self.known.retain(|key| now.contains(key));
        Ok(())
    }

    /// Sees whether processes that had plug-ins have ended, and what became of the plug-ins.
    pub(super) fn look_on(&mut self) {
        let agents = self.watch.agents();
        self.watch.look(boot_ns(), &self.finder.look(&agents));
    }

    /// Sees it once more at the end, of those that are known.
    pub(super) fn look_last(&mut self) {
        self.watch.look(boot_ns(), &[]);
    }

    /// What became of plug-ins whose agent has ended.
    pub(super) fn left_behind(&self) -> Option<PluginReaction> {
        self.watch.reaction()
    }

    /// What a person should know.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        self.finder.unseen()
    }

    /// Considers one process; false where nothing may be sent any more.
    fn signal(&mut self, rule: &PlannedRule, key: TaskKey, moment: &Moment<'_>) -> bool {
        self.known.insert(key);
        self.choice.counters.seen += 1;
        if moment.is_protected(key) || !self.choice.falls_on(&rule.compiled.rule, 0) {
            return true;
        }
        if !moment.may_act() {
            return false;
        }
        match pidfd::signal(key, self.kill.signal.number()) {
            Ok(()) => {
                self.choice.counters.hit_at(boot_ns());
                // A plug-in that is a target itself does not show what becomes of one without its agent.
                self.watch.forget(key);
            }
            // It has ended meanwhile.
            Err(_) => self.choice.counters.missed += 1,
        }
        true
    }
}
