//! What targets do about the faults that they meet: which requests are tries of one task, how they are spaced, and what
//! becomes of the task, and whether half an answer is taken for the whole. Pure: times are told to it.
//!
//! A task is open from the first try that a fault met to one that is answered well. While it is open, a request of the same
//! target with the same path and body is its next try.
//!
//! Half an answer is taken for the whole where the target puts its text, and nothing behind it, into a request of another
//! task: that is how an agent tells its model what was said before. A target that keeps it to itself is not found out.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use injector_record::report::Reaction;
use serde_json::Value;

/// Open tasks at most; further ones are not followed.
const MOST: usize = 4096;

/// A clock that is this much off still counts as kept, in percent of the time to wait.
const KEPT: u64 = 95;

/// What a request is told apart by: its target, path and body.
pub(crate) type Task = u64;

/// An open task, as a rule has met it.
#[derive(Clone, Copy, Debug)]
struct Open {
    tries: u64,
    /// When its last try ended, in milliseconds; `None` while it goes on.
    ended_ms: Option<u64>,
    /// How long the last answer told to wait.
    wait_ms: Option<u64>,
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

    /// A rule has made a try fail, which ends now; the answer told to wait so long. To other rules that have met the task
    /// before it has failed as well.
    pub(crate) fn fails(&mut self, rule: usize, task: Task, wait_ms: Option<u64>, now_ms: u64) {
        let is_full = self.open.len() >= MOST;
        if is_full && !self.open.contains_key(&task) {
            return;
        }
        self.goes_wrong(task, now_ms);
        let rules = self.open.entry(task).or_default();
        if let Some((_, open)) = rules.iter_mut().find(|(of, _)| *of == rule) {
            open.wait_ms = wait_ms;
            return;
        }
        let open = Open {
            tries: 1,
            ended_ms: Some(now_ms),
            wait_ms,
        };
        rules.push((rule, open));
        let reaction = self.by_rule.entry(rule).or_default();
        reaction.tasks += 1;
        reaction.tries += 1;
        reaction.most_tries = reaction.most_tries.max(1);
    }

    /// A rule has given a try an answer that came and was of no use: empty, wrong or old.
    pub(crate) fn is_of_no_use(&mut self, rule: usize, task: Task, now_ms: u64) {
        self.fails(rule, task, None, now_ms);
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

    /// An answer was held back, and is no more.
    pub(crate) fn was_held(&mut self, rule: usize, held: Held) {
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
        let answers = answers(&said);
        let by_rule = &mut self.by_rule;
        self.truncated.retain_mut(|truncated| {
            if !is_sought(truncated) {
                return true;
            }
            let is_taken = answers.contains(truncated.text.as_str());
            if is_taken {
                let reaction = by_rule.entry(truncated.rule).or_default();
                reaction.accepted_truncations += 1;
            }
            truncated.requests += 1;
            !is_taken && truncated.requests < MOST_REQUESTS
        });
    }

    /// What differs from what was told last.
    pub(crate) fn news(&mut self) -> Vec<(usize, Reaction)> {
        let now = self.so_far();
        let told = std::mem::replace(&mut self.told, now.clone());
        let news = now.into_iter();
        news.filter(|(rule, reaction)| told.get(rule) != Some(reaction))
            .collect()
    }

    /// What has come of it so far; tasks that are open and rest count as given up.
    pub(crate) fn so_far(&self) -> BTreeMap<usize, Reaction> {
        let mut all = self.by_rule.clone();
        for (rule, open) in self.open.values().flatten() {
            let reaction = all.entry(*rule).or_default();
            reaction.given_up += u64::from(open.ended_ms.is_some());
        }
        all
    }
}

/// The texts that a request tells the model as its own answers, each with something behind it: an answer that is the last message is
/// what the model is to go on with, as an agent does that has noticed.
fn answers(said: &Value) -> HashSet<&str> {
    let mut texts = HashSet::new();
    let lists = ["messages", "contents", "input"];
    let lists = lists.iter().filter_map(|list| said.get(list)?.as_array());
    let earlier = lists.filter_map(|messages| messages.split_last());
    for message in earlier.flat_map(|(_, earlier)| earlier) {
        let role = message.get("role").and_then(Value::as_str);
        if matches!(role, Some("assistant" | "model")) {
            gather(message, &mut texts);
        }
    }
    texts
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(reactions: &Reactions) -> Reaction {
        reactions.so_far().get(&0).copied().unwrap_or_default()
    }

    #[test]
    fn a_client_that_waits_and_comes_again_makes_good() {
        let mut reactions = Reactions::default();
        reactions.comes(7, 0);
        reactions.fails(0, 7, Some(1_000), 0);
        reactions.comes(7, 990);
        reactions.fails(0, 7, Some(1_000), 1_000);
        reactions.comes(7, 1_500);
        assert_eq!(one(&reactions).given_up, 0);
        reactions.goes_well(7);
        let reaction = one(&reactions);
        assert_eq!(
            (reaction.tasks, reaction.tries, reaction.most_tries),
            (1, 3, 3)
        );
        assert_eq!((reaction.told_to_wait, reaction.too_early), (2, 1));
        assert_eq!(
            (reaction.shortest_gap_ms, reaction.longest_gap_ms),
            (Some(500), Some(990))
        );
        assert_eq!((reaction.made_good, reaction.given_up), (1, 0));
        // The same words again are another task.
        reactions.comes(7, 5_000);
        reactions.fails(0, 7, None, 5_000);
        let reaction = one(&reactions);
        assert_eq!(
            (reaction.tasks, reaction.most_tries, reaction.given_up),
            (2, 3, 1)
        );
    }

    #[test]
    fn answers_of_no_use_are_counted_where_their_tasks_are() {
        let mut reactions = Reactions::default();
        for task in 0..=MOST as u64 {
            reactions.is_of_no_use(0, task, 0);
        }
        let reaction = one(&reactions);
        assert_eq!((reaction.tasks, reaction.of_no_use), (4096, 4096));
    }

    #[test]
    fn what_is_held_is_let_go_of_or_not() {
        let mut reactions = Reactions::default();
        reactions.was_held(0, Held::LetGo(600));
        reactions.was_held(0, Held::LetGo(400));
        reactions.was_held(0, Held::UntilTheEnd(700));
        let reaction = one(&reactions);
        assert_eq!(
            (
                reaction.let_go,
                reaction.longest_wait_ms,
                reaction.never_let_go
            ),
            (2, Some(600), 1)
        );
    }

    #[test]
    fn half_an_answer_is_taken_for_the_whole_where_it_comes_back_as_one() {
        const HALF: &str = "All is well, but";
        let said = |messages: Value| serde_json::json!({ "messages": messages }).to_string();
        let body = |text: &str| {
            let block = serde_json::json!([{"type": "text", "text": text}]);
            said(serde_json::json!([
                {"role": "assistant", "content": block},
                {"role": "user", "content": "go on"},
            ]))
        };
        let last = said(serde_json::json!([{"role": "assistant", "content": HALF}]));
        let of_user =
            said(serde_json::json!([{"role": "user", "content": HALF}, {"role": "user"}]));
        let accepted = |reactions: &Reactions| one(reactions).accepted_truncations;
        let mut reactions = Reactions::default();
        // Two tries that were both cut are one answer.
        reactions.truncated(0, 1, 7, "All is well, but ");
        reactions.truncated(0, 1, 7, "All is well, but ");
        // The same request again is a try, and others of another target are another's.
        reactions.says(1, 7, body(HALF).as_bytes());
        reactions.says(2, 8, body(HALF).as_bytes());
        // It has got the rest by another way, has the model go on, or was told so by its user.
        for other in [&body("All is well, but not here"), HALF, &last, &of_user] {
            reactions.says(1, 8, other.as_bytes());
        }
        assert_eq!(accepted(&reactions), 0);
        for _ in 0..2 {
            reactions.says(1, 8, body(HALF).as_bytes());
            assert_eq!(accepted(&reactions), 1);
        }
        // Too short, made good by another try, and long ago.
        reactions.truncated(0, 1, 9, "ok");
        reactions.says(1, 10, body("ok").as_bytes());
        reactions.truncated(0, 1, 9, HALF);
        reactions.goes_well(9);
        reactions.says(1, 10, body(HALF).as_bytes());
        reactions.truncated(0, 1, 9, HALF);
        for _ in 0..MOST_REQUESTS {
            reactions.says(1, 10, body("else").as_bytes());
        }
        reactions.says(1, 10, body(HALF).as_bytes());
        assert_eq!(accepted(&reactions), 1);
    }

    proptest! {
        /// Each task that a rule has met is made good, given up or goes on, once.
        #[test]
        fn every_task_is_accounted_for(acts in proptest::collection::vec((0u64..4, 0u8..4), 0..60)) {
            let mut reactions = Reactions::default();
            for (now, (task, act)) in (0..).zip(acts) {
                match act {
                    0 => reactions.comes(task, now),
                    1 => reactions.fails(0, task, None, now),
                    2 => reactions.goes_well(task),
                    _ => reactions.goes_wrong(task, now),
                }
            }
            let open = reactions.open.values().flatten();
            let going_on = open.filter(|(_, open)| open.ended_ms.is_none()).count() as u64;
            let reaction = one(&reactions);
            prop_assert_eq!(reaction.tasks, reaction.made_good + reaction.given_up + going_on);
            prop_assert!(reaction.tries >= reaction.tasks && reaction.most_tries <= reaction.tries);
        }
    }
}
