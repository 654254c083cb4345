//! A request that a rule has taken, until it is known what came of it.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use injector_spec::{experiment::Provider, quantity::duration};

use crate::{
    asked::Asked,
    process::Shared,
    reactions::{Effect, Failed, Held, Next, Task},
    repeat::Repeat,
    rules::{Outcome, Taken},
};

/// How often what holds an answer back asks whether it still may.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A request that a rule has taken, until it is known what came of it. Dropped before, nothing did.
pub(crate) struct Claim {
    shared: Rc<Shared>,
    taken: Taken,
    task: Task,
    /// What the request is to its server.
    repeat: Repeat,
    /// Whether the server has carried it out.
    effect: Effect,
    pub(super) outcome: Option<Outcome>,
    /// Since when an answer is held back and by which number, while it is.
    held_since: Option<(Instant, u64)>,
}

impl Claim {
    /// Of what a rule has taken.
    pub(super) fn of(shared: &Rc<Shared>, taken: Taken, (task, repeat): (Task, Repeat)) -> Self {
        Self {
            shared: Rc::clone(shared),
            taken,
            task,
            repeat,
            effect: Effect::None,
            outcome: None,
            held_since: None,
        }
    }

    /// What the request is a try of, and what it is to its server.
    pub(super) const fn asked(&self) -> (Task, Repeat) {
        (self.task, self.repeat)
    }

    /// The server has carried the request out.
    pub(super) fn is_carried_out(&mut self) {
        self.effect = Effect::Unacknowledged(self.repeat);
    }

    /// Counts that the rule has acted; once.
    pub(super) fn hit(&mut self) {
        if self.outcome.is_none() {
            self.outcome = Some(Outcome::Hit);
            let mut rules = self.shared.rules.borrow_mut();
            rules.settle(&self.taken, Outcome::Hit);
        }
    }

    /// The same, where the target has no answer that it could use; the answer told it to wait so long.
    pub(super) fn fail(&mut self, next: Next, wait: Option<Duration>) {
        self.fails(next, wait, self.effect);
    }

    fn fails(&mut self, next: Next, wait: Option<Duration>, effect: Effect) {
        self.hit();
        let (rule, now_ms) = (self.taken.rule, self.shared.now_ms());
        let failed = Failed {
            wait_ms: wait.map(duration::millis),
            next,
            effect,
        };
        let mut reactions = self.shared.reactions.borrow_mut();
        reactions.fails(rule, self.task, failed, now_ms);
    }

    /// The same, where the target has got an answer that is of no use to it.
    pub(super) fn answer_in_vain(&mut self) {
        self.hit();
        let (rule, now_ms) = (self.taken.rule, self.shared.now_ms());
        let mut reactions = self.shared.reactions.borrow_mut();
        reactions.is_of_no_use(rule, self.task, now_ms);
    }

    /// The same, where the answer to this target ends in good order behind this text, which is the half of it.
    pub(super) fn truncated(&self, scope: u32, text: &str) {
        let mut reactions = self.shared.reactions.borrow_mut();
        reactions.truncated(self.taken.rule, scope, self.task, text);
    }

    /// Whether the rule may act now.
    pub(super) fn may_act(&self) -> bool {
        self.shared.memory.is_live() && self.shared.rules.borrow().is_on(self.taken.rule)
    }

    /// Returns when the rule may act no more, or at this time.
    pub(super) async fn hold(&self, until: Option<Instant>) {
        while self.may_act() {
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return;
            }
            let next = now + LOOK_EVERY;
            tokio::time::sleep_until(until.map_or(next, |until| next.min(until)).into()).await;
        }
    }

    /// Holds an answer back for as long as the rule may act. Dropped meanwhile, the target has let go of it.
    pub(super) async fn withhold(&mut self) {
        // It may still get the answer.
        self.fails(Next::Invited, None, Effect::None);
        let (rule, now_ms) = (self.taken.rule, self.shared.now_ms());
        let number = {
            let mut reactions = self.shared.reactions.borrow_mut();
            reactions.holds(rule, self.task, now_ms)
        };
        let since = Instant::now();
        self.held_since = Some((since, number));
        self.hold(None).await;
        self.held_since = None;
        let held = Held::UntilTheEnd(duration::millis(since.elapsed()));
        let mut reactions = self.shared.reactions.borrow_mut();
        reactions.was_held(rule, number, held);
        reactions.comes_late(self.task);
    }

    /// Whose words an answer is made up in.
    pub(super) fn provider(&self, asked: &Asked) -> Provider {
        self.taken.provider.unwrap_or(asked.dialect)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            let mut rules = self.shared.rules.borrow_mut();
            rules.settle(&self.taken, Outcome::Missed);
        }
        if let Some((since, number)) = self.held_since {
            let (rule, now_ms) = (self.taken.rule, self.shared.now_ms());
            let mut reactions = self.shared.reactions.borrow_mut();
            let held = Held::LetGo(duration::millis(since.elapsed()));
            reactions.was_held(rule, number, held);
            if let Effect::Unacknowledged(repeat) = self.effect {
                reactions.is_unacknowledged(rule, self.task, repeat);
            }
            // A task that another try has made good meanwhile is none any more.
            reactions.goes_wrong(self.task, now_ms);
        }
    }
}
