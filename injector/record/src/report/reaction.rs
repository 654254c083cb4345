//! What a target did about requests that a fault has met: tries, waits, and what became of it.
//!
//! A *try* is a request; tries that have the same path and the same body, each behind one that failed, are for one *task*. Two
//! tasks that are worded alike, of which the first failed, cannot be told from a try and its next.

use std::fmt::Write as _;

use injector_spec::{
    experiment::Flaw,
    quantity::{count, duration},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a target did about one fault on requests. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reaction {
    /// Tasks that the fault has met.
    pub tasks: u64,
    /// Tries of all of them.
    pub tries: u64,
    /// Tries of the task that had the most.
    pub most_tries: u64,
    /// From the end of a failed try to the next one, the shortest.
    pub shortest_gap_ms: Option<u64>,
    /// The same, the longest.
    pub longest_gap_ms: Option<u64>,
    /// Next tries behind an answer that named a time to wait.
    pub told_to_wait: u64,
    /// Those that came before that time was over.
    pub too_early: u64,
    /// Tasks that were answered well by a later try.
    pub made_good: u64,
    /// Tasks without another try behind the last one that the fault met.
    pub given_up: u64,
    /// Answers that were held back until the target closed the connection.
    pub let_go: u64,
    /// How long the target waited for one of these, the longest.
    pub longest_wait_ms: Option<u64>,
    /// Answers that were held back for as long as the fault was on: the target has not let go of them.
    pub never_let_go: u64,
    /// For how long one of these was held back when the fault ended, the longest.
    pub longest_held_ms: Option<u64>,
    /// Answers that were cut in good order, with enough text to be known again in a later request.
    pub halves: u64,
    /// Those of them that the target has put into a later request as whole ones.
    pub accepted_truncations: u64,
    /// Calls of tools that got an answer which was of no use: empty, wrong or old. A task is a tool and its arguments there.
    pub of_no_use: u64,
    /// Tasks that got an answer behind which clients are to try again.
    pub retryable: u64,
    /// Those of them that were left behind such an answer, for so long that no other try was to come.
    pub gave_up: Left,
    /// Those of them that were left and perhaps not for good: the run ended too soon to tell.
    pub undecided: Left,
    /// Tasks that were left behind an answer which invites no other try, for too short to tell that none comes.
    pub resting: u64,
    /// Tasks that got an answer behind which clients are to try again, and of which a try goes on or is held back.
    pub going_on: u64,
    /// Tasks whose half answer the target has had the model go on with: they need no other try.
    pub gone_on: u64,
    /// Tasks that got their answer when the fault ended, which had held it back.
    pub late: u64,
    /// For how long the answer is held back by now that has been for longest, where that is longer than [`HUNG_MS`], to the second.
    pub holding_ms: Option<u64>,
    /// Requests that their server has carried out and whose answer the target did not get.
    pub unacknowledged: u64,
    /// Further tries of these that the server has carried out again, and that it could not know again: without a key, or with another.
    pub duplicates: u64,
    /// Further ones with the key of the first.
    pub keyed: u64,
    /// Further ones of requests to models, which have answered again: what is twice there is an answer that is paid for.
    pub paid_twice: u64,
}

/// Tasks without another try, by how many they have had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Left {
    /// Behind the first.
    pub at_once: u64,
    /// Behind a later one.
    pub later: u64,
    /// Tries of the one that had the most.
    pub most_tries: u64,
}

impl Left {
    /// One more, behind so many tries.
    pub fn add(&mut self, tries: u64) {
        match tries {
            0 | 1 => self.at_once += 1,
            2.. => self.later += 1,
        }
        self.most_tries = self.most_tries.max(tries);
    }

    /// All of them.
    pub const fn tasks(self) -> u64 {
        self.at_once + self.later
    }
}

/// So many tries of one task are a storm: clients of providers make three. So many calls of one tool with the same arguments
/// make no progress.
pub const STORM: u64 = 6;

/// A target that waits for less, in milliseconds, is not taken to hang. A fault that is on for less cannot show it.
pub const HUNG_MS: u64 = 10_000;

/// A task that has rested for less, in milliseconds, is not taken to be given up: the SDKs of providers let 8 s pass between two
/// tries at most (`openai-python`, `_constants.py`, `MAX_RETRY_DELAY`). One that has seen longer gaps is waited for three times as
/// long as the longest, since they double from try to try.
pub const REST_MS: u64 = 10_000;

fn shown(ms: u64) -> String {
    duration::measured(Duration::from_millis(ms))
}

impl Reaction {
    /// What many tries of one task are, and why.
    fn again(&self) -> (Flaw, String) {
        if self.of_no_use == 0 {
            let tries = count(self.most_tries, "try", "tries");
            return (Flaw::RetryStorm, format!("{tries} for one task"));
        }
        let why = format!(
            "{} of one tool with the same arguments, behind answers that were of no use",
            count(self.most_tries, "call", "calls")
        );
        (Flaw::NoProgress, why)
    }

    /// Whether an answer was held back for so long that a target with a deadline had let go of it: for more than [`HUNG_MS`],
    /// and longer than it has waited for any other.
    fn hangs(&self) -> bool {
        let patience = self.longest_wait_ms.unwrap_or(0).max(HUNG_MS);
        let held = self.longest_held_ms.max(self.holding_ms);
        held.is_some_and(|held| held > patience)
    }

    /// No other try of any task can come: the target has ended.
    pub fn target_has_ended(&mut self) {
        let Left {
            at_once,
            later,
            most_tries,
        } = std::mem::take(&mut self.undecided);
        self.resting = 0;
        self.gave_up.at_once += at_once;
        self.gave_up.later += later;
        self.gave_up.most_tries = self.gave_up.most_tries.max(most_tries);
    }

    /// Tasks that ended without an answer, for all that can be told.
    pub const fn failed_for_good(&self) -> u64 {
        if self.of_no_use > 0 {
            return 0;
        }
        self.given_up
            .saturating_sub(self.undecided.tasks() + self.resting)
    }

    /// Whether each task that the fault has met was answered well by a later try.
    pub const fn is_made_good(&self) -> bool {
        self.tasks > 0 && self.made_good == self.tasks && self.of_no_use == 0
    }

    /// Whether the target was brought into a place where it could show this flaw.
    pub(super) const fn could_show(&self, flaw: Flaw) -> bool {
        match flaw {
            Flaw::IgnoredRetryAfter | Flaw::RetryStorm | Flaw::NoProgress => self.tasks > 0,
            Flaw::Hung => self.let_go + self.never_let_go > 0,
            Flaw::AcceptedTruncation => self.halves > 0,
            // It could still come again for the others, or had no reason to.
            Flaw::GaveUp => self.retryable > self.undecided.tasks() + self.late + self.going_on,
            Flaw::DuplicateEffect => self.unacknowledged > 0,
            // Signs tell of these, and what becomes of plug-ins.
            Flaw::Silent | Flaw::FalseSuccess | Flaw::DeathUnnoticed | Flaw::Orphans => false,
        }
    }

    /// What it did wrong.
    pub fn flaws(&self) -> Vec<Flaw> {
        let shown = self.wrongs().into_iter();
        shown.map(|(flaw, _)| flaw).collect()
    }

    /// What it did wrong, and why it is said to have done so.
    fn wrongs(&self) -> Vec<(Flaw, String)> {
        let flaws = [
            (self.too_early > 0).then(|| {
                let why = format!(
                    "{} of {} that an answer had told to wait came before that time was over",
                    self.too_early,
                    count(self.told_to_wait, "try", "tries")
                );
                (Flaw::IgnoredRetryAfter, why)
            }),
            (self.most_tries >= STORM).then(|| self.again()),
            self.hangs().then(|| {
                let why = format!(
                    "the target has not let go of {} that never came while the fault was on, {} at most",
                    count(self.never_let_go.max(1), "answer", "answers"),
                    shown(self.longest_held_ms.max(self.holding_ms).unwrap_or(0))
                );
                (Flaw::Hung, why)
            }),
            (self.accepted_truncations > 0).then(|| {
                let why = format!(
                    "{} that had ended half-way came back as whole in what the target asked next",
                    count(self.accepted_truncations, "answer", "answers")
                );
                (Flaw::AcceptedTruncation, why)
            }),
            (self.gave_up.at_once > 0).then(|| {
                let why = format!(
                    "{} of {} had no other try behind an answer that clients are to try again",
                    self.gave_up.at_once,
                    count(self.retryable, "task", "tasks"),
                );
                (Flaw::GaveUp, why)
            }),
            (self.duplicates > 0).then(|| {
                let why = format!(
                    "{} of {} that had been carried out and not answered {} carried out again, with no key to know {} by",
                    count(self.duplicates, "try", "tries"),
                    count(self.unacknowledged, "request", "requests"),
                    if self.duplicates == 1 { "was" } else { "were" },
                    if self.duplicates == 1 { "it" } else { "them" },
                );
                (Flaw::DuplicateEffect, why)
            }),
        ];
        flaws.into_iter().flatten().collect()
    }

    /// How often the target has tried, and what has become of its tasks.
    fn tries(&self) -> String {
        let mut tries = match self.of_no_use {
            0 => format!(
                "{} for {}",
                count(self.tries, "try", "tries"),
                count(self.tasks, "task", "tasks")
            ),
            // What a target makes of such an answer is not seen, but for the same call again.
            _ => format!(
                "{} with {}",
                count(self.tries, "call", "calls"),
                count(self.tasks, "set of arguments", "sets of arguments")
            ),
        };
        if self.most_tries > 1 {
            let _ = write!(tries, ", {} at most for one", self.most_tries);
        }
        if let (Some(shortest), Some(longest)) = (self.shortest_gap_ms, self.longest_gap_ms) {
            let (shortest, longest) = (shown(shortest), shown(longest));
            let gaps = if shortest == longest {
                shortest
            } else {
                format!("{shortest} to {longest}")
            };
            let _ = write!(tries, ", {gaps} apart");
        }
        if self.of_no_use == 0 {
            let _ = write!(
                tries,
                "; {} made good, {} given up",
                self.made_good, self.given_up
            );
        }
        if self.gave_up.later > 0 {
            let _ = write!(
                tries,
                " ({} after {} at most)",
                self.gave_up.later,
                count(self.gave_up.most_tries, "try", "tries")
            );
        }
        if self.late > 0 {
            let _ = write!(tries, ", {} answered when the fault ended", self.late);
        }
        if self.gone_on > 0 {
            let _ = write!(tries, ", {} gone on with behind the half", self.gone_on);
        }
        tries
    }

    /// All of it in words, a sentence each; the flaws first.
    pub fn words(&self) -> Vec<String> {
        let flaws = self.wrongs().into_iter();
        let mut lines: Vec<String> = flaws
            .map(|(flaw, why)| format!("{}: {why}", flaw.name()))
            .collect();
        if self.is_made_good() {
            let tasks = match self.tasks {
                1 => "the task was".to_owned(),
                tasks => format!("all {tasks} tasks were"),
            };
            lines.push(format!("made-good: {tasks} answered well by a later try"));
        }
        if self.tasks == 0 {
            return lines;
        }
        lines.push(self.tries());
        if self.keyed > 0 {
            lines.push(format!(
                "{} of {} that had been carried out bore the key of the first",
                count(self.keyed, "other try", "other tries"),
                count(self.unacknowledged, "request", "requests")
            ));
        }
        if self.paid_twice > 0 {
            lines.push(format!(
                "{} of {} that the model had answered and the target had not got {} answered again, and paid for twice",
                count(self.paid_twice, "other try", "other tries"),
                count(self.unacknowledged, "request", "requests"),
                if self.paid_twice == 1 { "was" } else { "were" },
            ));
        }
        if let (1.., Some(longest)) = (self.let_go, self.longest_wait_ms) {
            lines.push(format!(
                "it let go of {} after {} at most",
                count(self.let_go, "held answer", "held answers"),
                shown(longest)
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests;
