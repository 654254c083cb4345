//! What targets do about the faults that they meet: which requests are tries of one task, how they are spaced, and what
//! becomes of the task, and whether half an answer is taken for the whole. Pure: times are told to it.
//!
//! A task is open from the first try that a fault met to one that is answered well. While it is open, a request of the same
//! target with the same path and body is its next try.
//!
//! An effect comes twice where the server has carried out a try whose answer the target did not get, and carries out another. A
//! request that was answered has had its effect; one by a method that is idempotent has it once, however often it is sent.
//!
//! Whether half an answer is taken for the whole is in [`halves`].
//!
//! A try whose answer is held back has not ended, and its task is not given up: the same request beside it is no next try. One to
//! which no answer comes, whatever the reason, has ended when the relay lets go of it.

mod halves;

use std::collections::{BTreeMap, HashMap, VecDeque};

use injector_record::report::{HUNG_MS, REST_MS, Reaction};

use self::halves::Truncated;
use crate::repeat::{Repeat, Twice};

/// Open tasks at most; further ones are not followed.
const MOST: usize = 4096;

/// A clock that is this much off still counts as kept, in percent of the time to wait.
const KEPT: u64 = 95;

/// What a request is told apart by: its target, path and body.
pub(crate) type Task = u64;

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// How long the answer told to wait.
    pub(crate) wait_ms: Option<u64>,
    pub(crate) next: Next,
    pub(crate) effect: Effect,
}

/// Whether clients are to try again behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// They are.
    Invited,
    /// It helps nothing, or nothing says that it would.
    Open,
}

/// What a request has come to at its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing, as far as is known.
    None,
    /// It was carried out, and the target has not got the answer.
    Unacknowledged(Repeat),
}

impl Failed {
    /// By an answer that came and was of no use.
    const IN_VAIN: Self = Self {
        wait_ms: None,
        next: Next::Open,
        effect: Effect::None,
    };

    /// By one that is held back: the target may still get it.
    const NEVER_CAME: Self = Self {
        wait_ms: None,
        next: Next::Invited,
        effect: Effect::None,
    };
}

/// What a try is told by that goes on, and an answer that is held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(u64);

/// What becomes of the last try of an open task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// It goes on.
    GoesOn(Number),
    /// Its answer is held back, or that of another beside it.
    Held,
    /// It ended at this time, in milliseconds.
    Ended(u64),
}

/// A task that is open.
#[derive(Clone, Debug)]
struct Opened {
    last: Last,
    /// The rules that have met it: a few at most, each once.
    by: Vec<(usize, Open)>,
}

/// An open task, as a rule has met it.
#[derive(Clone, Copy, Debug)]
struct Open {
    tries: u64,
    /// How long the last answer told to wait.
    wait_ms: Option<u64>,
    /// The longest time that has passed between two of its tries.
    longest_gap_ms: u64,
    /// What the last answer of this rule was.
    next: Next,
    /// Whether one of its answers was, and it is counted.
    is_retryable: bool,
    /// What the server has carried out and the target not heard of.
    effect: Effect,
}

impl Open {
    /// How long it has to rest for no other try to be waited for.
    fn patience_ms(&self) -> u64 {
        let gap = self.longest_gap_ms.saturating_mul(3);
        REST_MS.max(gap).max(self.wait_ms.unwrap_or(0))
    }
}

/// An answer that is held back now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holding {
    /// By which rule.
    rule: usize,
    /// Of a try of this task, which has not ended: the target waits for it.
    task: Task,
    since_ms: u64,
}

/// How an answer came to its end that was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The target closed the connection, and will not hear of this.
    LetGo(Effect),
    /// The fault ended first, and the target gets the answer.
    UntilTheEnd,
}

/// All tasks.
#[derive(Default)]
pub(crate) struct Reactions {
    /// Those that are open.
    open: HashMap<Task, Opened>,
    by_rule: BTreeMap<usize, Reaction>,
    /// As it was told last.
    told: BTreeMap<usize, Reaction>,
    /// The newest at the end.
    truncated: VecDeque<Truncated>,
    /// Answers that are held back now.
    holding: BTreeMap<Number, Holding>,
    /// The last one.
    numbered: Number,
}

impl Reactions {
    fn number(&mut self) -> Number {
        self.numbered.0 += 1;
        self.numbered
    }

    /// A request comes. It is the next try of its task where that is open; its number, by which it ends.
    pub(crate) fn comes(&mut self, task: Task, now_ms: u64) -> Number {
        let number = self.number();
        let Some(opened) = self.open.get_mut(&task) else {
            return number;
        };
        // One beside a try that goes on is another request at the same time.
        let Last::Ended(ended) = opened.last else {
            return number;
        };
        opened.last = Last::GoesOn(number);
        for (rule, open) in &mut opened.by {
            let reaction = self.by_rule.entry(*rule).or_default();
            let gap = now_ms.saturating_sub(ended);
            open.tries += 1;
            open.longest_gap_ms = open.longest_gap_ms.max(gap);
            reaction.tries += 1;
            reaction.most_tries = reaction.most_tries.max(open.tries);
            let shortest = reaction.shortest_gap_ms.map_or(gap, |known| known.min(gap));
            let longest = reaction.longest_gap_ms.map_or(gap, |known| known.max(gap));
            (reaction.shortest_gap_ms, reaction.longest_gap_ms) = (Some(shortest), Some(longest));
            if let Some(wait) = open.wait_ms.take() {
                reaction.told_to_wait += 1;
                reaction.too_early += u64::from(gap * 100 < wait * KEPT);
            }
        }
        number
    }

    /// A task is open no more; by which rules it was met.
    fn closes(&mut self, task: Task) -> impl Iterator<Item = usize> + use<> {
        let opened = self.open.remove(&task).into_iter();
        opened.flat_map(|one| one.by).map(|(rule, _)| rule)
    }

    /// The server has carried a try out. Where it did so before and the target has not heard of it, that is once too often, unless
    /// it can know the one from the other.
    pub(crate) fn is_carried_out(&mut self, task: Task, repeat: Repeat) {
        let opened = self.open.get(&task).into_iter();
        for (rule, open) in opened.flat_map(|one| &one.by) {
            let Effect::Unacknowledged(first) = open.effect else {
                continue;
            };
            let reaction = self.by_rule.entry(*rule).or_default();
            match first.with(repeat) {
                Twice::Harmless => {}
                Twice::Known => reaction.keyed += 1,
                Twice::Paid => reaction.paid_twice += 1,
                Twice::Anew => reaction.duplicates += 1,
            }
        }
    }

    /// The target will not hear of what the server has carried out for this try, which a rule has met.
    fn is_unacknowledged(&mut self, rule: usize, task: Task, repeat: Repeat) {
        let opened = self.open.get_mut(&task).into_iter();
        let opens = opened.flat_map(|one| &mut one.by);
        for (_, open) in opens.filter(|(of, _)| *of == rule) {
            if repeat != Repeat::Idempotent && open.effect == Effect::None {
                self.by_rule.entry(rule).or_default().unacknowledged += 1;
                open.effect = Effect::Unacknowledged(repeat);
            }
        }
    }

    /// A rule has made a try fail, which ends now. To other rules that have met the task before it has failed as well.
    pub(crate) fn fails(&mut self, rule: usize, task: Task, failed: Failed, now_ms: u64) {
        let last = self.ended(task, now_ms);
        self.meets(rule, task, failed, last);
    }

    /// A rule begins to hold an answer to a try of this task back, which goes on meanwhile; its number, by which that ends.
    pub(crate) fn holds(&mut self, rule: usize, task: Task, now_ms: u64) -> Number {
        let number = self.number();
        let holding = Holding {
            rule,
            task,
            since_ms: now_ms,
        };
        self.holding.insert(number, holding);
        self.meets(rule, task, Failed::NEVER_CAME, Last::Held);
        number
    }

    /// What becomes of a try that ends now: while another answer to the same request is held back, the task goes on.
    fn ended(&self, task: Task, now_ms: u64) -> Last {
        if self.holding.values().any(|one| one.task == task) {
            Last::Held
        } else {
            Last::Ended(now_ms)
        }
    }

    /// A rule has met a try of this task so.
    fn meets(&mut self, rule: usize, task: Task, failed: Failed, last: Last) {
        let is_full = self.open.len() >= MOST;
        if is_full && !self.open.contains_key(&task) {
            return;
        }
        let by = Vec::new();
        let opened = self.open.entry(task).or_insert(Opened { last, by });
        opened.last = last;
        let rules = &mut opened.by;
        let reaction = self.by_rule.entry(rule).or_default();
        let place = rules.iter().position(|(of, _)| *of == rule);
        let place = place.unwrap_or_else(|| {
            let open = Open {
                tries: 1,
                wait_ms: None,
                longest_gap_ms: 0,
                next: Next::Open,
                is_retryable: false,
                effect: Effect::None,
            };
            rules.push((rule, open));
            reaction.tasks += 1;
            reaction.tries += 1;
            reaction.most_tries = reaction.most_tries.max(1);
            rules.len() - 1
        });
        let (_, open) = &mut rules[place];
        (open.wait_ms, open.next) = (failed.wait_ms, failed.next);
        if failed.next == Next::Invited && !open.is_retryable {
            open.is_retryable = true;
            reaction.retryable += 1;
        }
        if let Effect::Unacknowledged(repeat) = failed.effect {
            self.is_unacknowledged(rule, task, repeat);
        }
    }

    /// A rule has given a try an answer that came and was of no use: empty, wrong or old.
    pub(crate) fn is_of_no_use(&mut self, rule: usize, task: Task, now_ms: u64) {
        self.fails(rule, task, Failed::IN_VAIN, now_ms);
        // One that is not followed counts as no task, and so not as one that this has met.
        if self.is_open(task) {
            self.by_rule.entry(rule).or_default().of_no_use += 1;
        }
    }

    /// Whether a task is open: what comes of its next try counts.
    pub(crate) fn is_open(&self, task: Task) -> bool {
        self.open.contains_key(&task)
    }

    /// A try that no fault has met was answered well: its task is done.
    pub(crate) fn goes_well(&mut self, task: Task) {
        // It has got the rest.
        self.truncated.retain(|one| one.task != task);
        for rule in self.closes(task) {
            self.by_rule.entry(rule).or_default().made_good += 1;
        }
    }

    /// This try has ended without an answer that is of use, where it went on until now.
    pub(crate) fn goes_wrong(&mut self, task: Task, number: Number, now_ms: u64) {
        if let Some(opened) = self.open.get_mut(&task)
            && opened.last == Last::GoesOn(number)
        {
            opened.last = Last::Ended(now_ms);
        }
    }

    /// An answer was held back until the fault ended, and goes on now: its task needs no other try.
    fn comes_late(&mut self, task: Task) {
        for rule in self.closes(task) {
            self.by_rule.entry(rule).or_default().late += 1;
        }
    }

    /// An answer was held back, by this number, and is no more.
    pub(crate) fn was_held(&mut self, number: Number, held: Held, now_ms: u64) {
        let Some(holding) = self.holding.remove(&number) else {
            return;
        };
        let Holding {
            rule,
            task,
            since_ms,
        } = holding;
        let after_ms = Some(now_ms.saturating_sub(since_ms));
        let reaction = self.by_rule.entry(rule).or_default();
        match held {
            Held::LetGo(effect) => {
                reaction.let_go += 1;
                reaction.longest_wait_ms = reaction.longest_wait_ms.max(after_ms);
                if let Effect::Unacknowledged(repeat) = effect {
                    self.is_unacknowledged(rule, task, repeat);
                }
                let last = self.ended(task, now_ms);
                // A task that another try has made good meanwhile is none any more.
                if let Some(opened) = self.open.get_mut(&task) {
                    opened.last = last;
                }
            }
            Held::UntilTheEnd => {
                reaction.never_let_go += 1;
                reaction.longest_held_ms = reaction.longest_held_ms.max(after_ms);
                self.comes_late(task);
            }
        }
    }

    /// What differs from what was told last.
    pub(crate) fn news(&mut self, now_ms: u64) -> Vec<(usize, Reaction)> {
        let now = self.so_far(now_ms);
        let told = std::mem::replace(&mut self.told, now.clone());
        let news = now.into_iter();
        news.filter(|(rule, reaction)| told.get(rule) != Some(reaction))
            .collect()
    }

    /// What has come of it so far; tasks that are open and rest count as given up.
    pub(crate) fn so_far(&self, now_ms: u64) -> BTreeMap<usize, Reaction> {
        let mut all = self.by_rule.clone();
        for opened in self.open.values() {
            for (rule, open) in &opened.by {
                let reaction = all.entry(*rule).or_default();
                let Last::Ended(ended) = opened.last else {
                    reaction.going_on += u64::from(open.is_retryable);
                    continue;
                };
                reaction.given_up += 1;
                let has_rested = now_ms.saturating_sub(ended) > open.patience_ms();
                match (open.next, has_rested) {
                    (Next::Invited, true) => reaction.gave_up.add(open.tries),
                    (Next::Invited, false) => reaction.undecided.add(open.tries),
                    (Next::Open, true) => {}
                    (Next::Open, false) => reaction.resting += 1,
                }
            }
        }
        for Holding { rule, since_ms, .. } in self.holding.values() {
            let held_ms = now_ms.saturating_sub(*since_ms);
            if held_ms > HUNG_MS {
                let reaction = all.entry(*rule).or_default();
                // Whole seconds, so that it is told once in each; it is longer than the bound all the same.
                let told_ms = (held_ms / 1_000 * 1_000).max(HUNG_MS + 1);
                reaction.holding_ms = reaction.holding_ms.max(Some(told_ms));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
