//! What targets do about the faults that they meet: which requests are tries of one task, how they are spaced, and what
//! becomes of the task, and whether half an answer is taken for the whole. Pure: times are told to it.
//!
//! A task is open from the first try that a fault met to one that is answered well. While it is open, a request of the same
//! target with the same path and body is its next try.
//!
//! An effect comes twice where the server has carried out a try whose answer the target did not get, and carries out another. A
//! request that was answered has had its effect; one by a method that is idempotent has it once, however often it is sent.
//!
//! Half an answer is taken for the whole where the target puts its text, and nothing behind it, into a request of another
//! task: that is how an agent tells its model what was said before. A target that keeps it to itself is not found out. Where the half
//! is the last message, the model is to go on with it: the target has noticed, and the task is closed.
//!
//! A try whose answer is held back has not ended, and its task is not given up.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use injector_record::report::{HUNG_MS, REST_MS, Reaction};
use serde_json::Value;

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
}

/// An open task, as a rule has met it.
#[derive(Clone, Copy, Debug)]
struct Open {
    tries: u64,
    /// When its last try ended, in milliseconds; `None` while it goes on.
    ended_ms: Option<u64>,
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

/// Answers at most that were cut and whose text is looked for.
const MOST_TRUNCATED: usize = 64;

/// Half an answer with less text than this, in characters, is not looked for: other texts may be the same.
const SHORTEST: usize = 6;

/// In so many requests behind it: an agent goes on with an answer or has left it.
const MOST_REQUESTS: u32 = 16;

/// In none that is longer, in bytes.
const LONGEST_LOOKED_AT: usize = 1 << 20;

/// Half an answer that ended in good order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Truncated {
    rule: usize,
    scope: u32,
    task: Task,
    text: String,
    /// Requests in which it was looked for.
    requests: u32,
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
    /// The target closed the connection after so many milliseconds.
    LetGo(u64),
    /// The fault ended first, after so many milliseconds.
    UntilTheEnd(u64),
}

/// All tasks.
#[derive(Default)]
pub(crate) struct Reactions {
    /// Those that are open, with the rules that have met them: a few at most, each once.
    open: HashMap<Task, Vec<(usize, Open)>>,
    by_rule: BTreeMap<usize, Reaction>,
    /// As it was told last.
    told: BTreeMap<usize, Reaction>,
    /// The newest at the end.
    truncated: VecDeque<Truncated>,
    /// Answers that are held back now, by a number each.
    holding: BTreeMap<u64, Holding>,
    /// The number of the last one.
    held: u64,
}

impl Reactions {
    /// A request comes. It is the next try of each rule's open task that it belongs to.
    pub(crate) fn comes(&mut self, task: Task, now_ms: u64) {
        for (rule, open) in self.open.get_mut(&task).into_iter().flatten() {
            // A try beside one that goes on is another request at the same time.
            let Some(ended) = open.ended_ms.take() else {
                continue;
            };
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
    }

    /// The server has carried a try out. Where it did so before and the target has not heard of it, that is once too often, unless
    /// it can know the one from the other.
    pub(crate) fn is_carried_out(&mut self, task: Task, repeat: Repeat) {
        for (rule, open) in self.open.get(&task).into_iter().flatten() {
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
    pub(crate) fn is_unacknowledged(&mut self, rule: usize, task: Task, repeat: Repeat) {
        let opens = self.open.get_mut(&task).into_iter().flatten();
        for (_, open) in opens.filter(|(of, _)| *of == rule) {
            if repeat != Repeat::Idempotent && open.effect == Effect::None {
                self.by_rule.entry(rule).or_default().unacknowledged += 1;
                open.effect = Effect::Unacknowledged(repeat);
            }
        }
    }

    /// A rule has made a try fail, which ends now. To other rules that have met the task before it has failed as well.
    pub(crate) fn fails(&mut self, rule: usize, task: Task, failed: Failed, now_ms: u64) {
        let is_full = self.open.len() >= MOST;
        if is_full && !self.open.contains_key(&task) {
            return;
        }
        self.goes_wrong(task, now_ms);
        let rules = self.open.entry(task).or_default();
        let reaction = self.by_rule.entry(rule).or_default();
        let place = rules.iter().position(|(of, _)| *of == rule);
        let place = place.unwrap_or_else(|| {
            let open = Open {
                tries: 1,
                ended_ms: Some(now_ms),
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
        for (rule, _) in self.open.remove(&task).into_iter().flatten() {
            self.by_rule.entry(rule).or_default().made_good += 1;
        }
    }

    /// A try of an open task failed, by a fault or by itself.
    pub(crate) fn goes_wrong(&mut self, task: Task, now_ms: u64) {
        for (_, open) in self.open.get_mut(&task).into_iter().flatten() {
            open.ended_ms = Some(now_ms);
        }
    }

    /// A rule begins to hold an answer to a try of this task back; its number, by which it ends.
    pub(crate) fn holds(&mut self, rule: usize, task: Task, now_ms: u64) -> u64 {
        self.held += 1;
        let holding = Holding {
            rule,
            task,
            since_ms: now_ms,
        };
        self.holding.insert(self.held, holding);
        self.held
    }

    /// An answer was held back until the fault ended, and goes on now: its task needs no other try.
    pub(crate) fn comes_late(&mut self, task: Task) {
        for (rule, _) in self.open.remove(&task).into_iter().flatten() {
            self.by_rule.entry(rule).or_default().late += 1;
        }
    }

    /// An answer was held back, by this number, and is no more.
    pub(crate) fn was_held(&mut self, rule: usize, number: u64, held: Held) {
        self.holding.remove(&number);
        let reaction = self.by_rule.entry(rule).or_default();
        match held {
            Held::LetGo(after_ms) => {
                reaction.let_go += 1;
                let longest = reaction.longest_wait_ms.unwrap_or(0);
                reaction.longest_wait_ms = Some(longest.max(after_ms));
            }
            Held::UntilTheEnd(after_ms) => {
                reaction.never_let_go += 1;
                let longest = reaction.longest_held_ms.unwrap_or(0);
                reaction.longest_held_ms = Some(longest.max(after_ms));
            }
        }
    }

    /// An answer ended in good order behind this text, which is the half of it.
    pub(crate) fn truncated(&mut self, rule: usize, scope: u32, task: Task, text: &str) {
        self.truncated
            .retain(|one| one.rule != rule || one.task != task);
        if text.trim().chars().count() < SHORTEST {
            return;
        }
        self.by_rule.entry(rule).or_default().halves += 1;
        if self.truncated.len() >= MOST_TRUNCATED {
            self.truncated.pop_front();
        }
        self.truncated.push_back(Truncated {
            rule,
            scope,
            task,
            text: text.trim().to_owned(),
            requests: 0,
        });
    }

    /// A target says this in a request. Where it has half an answer in it as the whole, that is counted, once.
    pub(crate) fn says(&mut self, scope: u32, task: Task, body: &[u8]) {
        let is_sought = |truncated: &Truncated| truncated.scope == scope && truncated.task != task;
        if body.len() > LONGEST_LOOKED_AT || !self.truncated.iter().any(is_sought) {
            return;
        }
        let Ok(said) = serde_json::from_slice::<Value>(body) else {
            return;
        };
        let Answers { whole, last } = Answers::of(&said);
        let mut gone_on = Vec::new();
        let by_rule = &mut self.by_rule;
        self.truncated.retain_mut(|truncated| {
            if !is_sought(truncated) {
                return true;
            }
            if last.contains(truncated.text.as_str()) {
                gone_on.push(truncated.task);
                return false;
            }
            let is_taken = whole.contains(truncated.text.as_str());
            if is_taken {
                let reaction = by_rule.entry(truncated.rule).or_default();
                reaction.accepted_truncations += 1;
            }
            truncated.requests += 1;
            !is_taken && truncated.requests < MOST_REQUESTS
        });
        for task in gone_on {
            self.goes_on(task);
        }
    }

    /// The target has the model go on behind half an answer: its task needs no other try.
    fn goes_on(&mut self, task: Task) {
        for (rule, _) in self.open.remove(&task).into_iter().flatten() {
            self.by_rule.entry(rule).or_default().gone_on += 1;
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
        let held: HashSet<Task> = self.holding.values().map(|one| one.task).collect();
        for (task, rules) in &self.open {
            for (rule, open) in rules {
                let reaction = all.entry(*rule).or_default();
                let ended = open.ended_ms.filter(|_| !held.contains(task));
                let Some(ended) = ended else {
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

/// The texts that a request tells the model as its own answers.
#[derive(Default)]
struct Answers<'v> {
    /// Those with something behind them.
    whole: HashSet<&'v str>,
    /// That which is the last message: the model is to go on with it, as an agent asks that has noticed.
    last: HashSet<&'v str>,
}

impl<'v> Answers<'v> {
    fn of(said: &'v Value) -> Self {
        let mut answers = Self::default();
        let lists = ["messages", "contents", "input"];
        let lists = lists.iter().filter_map(|list| said.get(list)?.as_array());
        for (last, earlier) in lists.filter_map(|messages| messages.split_last()) {
            for message in earlier.iter().filter(|message| is_an_answer(message)) {
                gather(message, &mut answers.whole);
            }
            if is_an_answer(last) {
                gather(last, &mut answers.last);
            }
        }
        answers
    }
}

/// Whether a message is one of the model's.
fn is_an_answer(message: &Value) -> bool {
    let role = message.get("role").and_then(Value::as_str);
    matches!(role, Some("assistant" | "model"))
}

/// The texts of a document.
fn gather<'v>(value: &'v Value, texts: &mut HashSet<&'v str>) {
    match value {
        Value::String(text) => {
            texts.insert(text.trim());
        }
        Value::Array(all) => all.iter().for_each(|one| gather(one, texts)),
        Value::Object(all) => all.values().for_each(|one| gather(one, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
