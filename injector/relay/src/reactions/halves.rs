//! Half an answer that is taken for the whole.
//!
//! It is taken for the whole where the target puts its text, and nothing behind it, into a request of another task: that is how an
//! agent tells its model what was said before. A target that keeps it to itself is not found out. Where the half is the last message,
//! the model is to go on with it: the target has noticed, and the task is closed.

use std::collections::HashSet;

use serde_json::Value;

use super::{Reactions, Task};

/// Answers at most that were cut and whose text is looked for.
const MOST_TRUNCATED: usize = 64;

/// Half an answer with less text than this, in characters, is not looked for: other texts may be the same.
const SHORTEST: usize = 6;

/// In so many requests behind it: an agent goes on with an answer or has left it.
pub(super) const MOST_REQUESTS: u32 = 16;

/// In none that is longer, in bytes.
const LONGEST_LOOKED_AT: usize = 1 << 20;

/// Half an answer that ended in good order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Truncated {
    rule: usize,
    scope: u32,
    pub(super) task: Task,
    text: String,
    /// Requests in which it was looked for.
    requests: u32,
}

impl Reactions {
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
        for rule in self.closes(task) {
            self.by_rule.entry(rule).or_default().gone_on += 1;
        }
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
