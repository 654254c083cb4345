//! A request that a rule has taken, until it is known what came of it.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use injector_spec::{experiment::Provider, quantity::duration};

use crate::{
    asked::Asked,
    process::Shared,
    reactions::{Effect, Failed, Held, Next, Number, Task},
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
    /// The answer that is held back, while one is.
    held: Option<Number>,
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
            held: None,
        }
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
        self.hit();
        let (rule, now_ms) = (self.taken.rule, self.shared.now_ms());
        let failed = Failed {
            wait_ms: wait.map(duration::millis),
            next,
            effect: self.effect,
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
        self.begins_to_hold();
        self.hold(None).await;
        self.has_held();
    }

    /// Begins to hold an answer back. Dropped before it [has held](Self::has_held) it, the target has let go of it.
    pub(super) fn begins_to_hold(&mut self) {
        self.hit();
        let (rule, now_ms) = (self.taken.rule, self.shared.now_ms());
        let mut reactions = self.shared.reactions.borrow_mut();
        self.held = Some(reactions.holds(rule, self.task, now_ms));
    }

    /// The fault has ended, and what was held back goes on.
    pub(super) fn has_held(&mut self) {
        self.lets_go(Held::UntilTheEnd);
    }

    fn lets_go(&mut self, held: Held) {
        if let Some(number) = self.held.take() {
            let now_ms = self.shared.now_ms();
            let mut reactions = self.shared.reactions.borrow_mut();
            reactions.was_held(number, held, now_ms);
        }
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
        self.lets_go(Held::LetGo(self.effect));
    }
}
