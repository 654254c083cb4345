//! Sends the processes of a target a signal: once, every so often, and to those that come back.

use std::collections::HashSet;

use super::{
    choice::{self, Choice},
    moment::Moment,
    schedule,
};
use injector_host::{
    kernel::{Error, clock::boot_ns},
    targets::{pidfd, process::TaskKey},
};
use injector_plan::PlannedRule;
use injector_spec::experiment::{Kill, Respawn};

/// The state of one `proc.kill` fault.
#[derive(Debug)]
pub(super) struct Killer {
    kill: Kill,
    /// The last round of signals that was sent.
    round: u64,
    /// Processes that had their chance, as far as they live. Only those that are not in it have come back.
    known: HashSet<TaskKey>,
    pub(super) choice: Choice,
}

impl Killer {
    pub(super) fn new(kill: Kill) -> Self {
        Self {
            kill,
            round: 0,
            known: HashSet::new(),
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
        self.round = round;
        let members = choice::in_order(members);
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
            Ok(()) => self.choice.counters.hit_at(boot_ns()),
            // It has ended meanwhile.
            Err(_) => self.choice.counters.missed += 1,
        }
        true
    }
}
