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
}

/// So many tries of one task are a storm: clients of providers make three. So many calls of one tool with the same arguments
/// make no progress.
pub const STORM: u64 = 6;

/// A target that waits for less, in milliseconds, is not taken to hang. A fault that is on for less cannot show it.
pub const HUNG_MS: u64 = 10_000;

fn shown(ms: u64) -> String {
    duration::measured(Duration::from_millis(ms))
}

impl Reaction {
    /// What many tries of one task are.
    const fn again(&self) -> Flaw {
        match self.of_no_use {
            0 => Flaw::RetryStorm,
            _ => Flaw::NoProgress,
        }
    }

    /// Whether an answer was held back for so long that a target with a deadline had let go of it: for more than [`HUNG_MS`],
    /// and longer than it has waited for any other.
    fn hangs(&self) -> bool {
        let patience = self.longest_wait_ms.unwrap_or(0).max(HUNG_MS);
        self.longest_held_ms.is_some_and(|held| held > patience)
    }

    /// Whether the target was brought into a place where it could show this flaw.
    pub(super) const fn could_show(&self, flaw: Flaw) -> bool {
        match flaw {
            Flaw::IgnoredRetryAfter | Flaw::RetryStorm | Flaw::NoProgress => self.tasks > 0,
            Flaw::Hung => self.let_go + self.never_let_go > 0,
            Flaw::AcceptedTruncation => self.halves > 0,
            // These are shown by what becomes of plug-ins.
            Flaw::DeathUnnoticed | Flaw::Orphans => false,
        }
    }

    /// What it did wrong.
    pub fn flaws(&self) -> Vec<Flaw> {
        let flaws = [
            (self.too_early > 0, Flaw::IgnoredRetryAfter),
            (self.most_tries >= STORM, self.again()),
            (self.hangs(), Flaw::Hung),
            (self.accepted_truncations > 0, Flaw::AcceptedTruncation),
        ];
        let flaws = flaws.into_iter().filter(|(is_one, _)| *is_one);
        flaws.map(|(_, flaw)| flaw).collect()
    }

    /// All of it in words, a sentence each; the flaws first.
    pub fn words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for flaw in self.flaws() {
            let why = match flaw {
                Flaw::IgnoredRetryAfter => format!(
                    "{} of {} that an answer had told to wait came before that time was over",
                    self.too_early,
                    count(self.told_to_wait, "try", "tries")
                ),
                Flaw::RetryStorm => {
                    format!("{} for one task", count(self.most_tries, "try", "tries"))
                }
                Flaw::NoProgress => format!(
                    "{} of one tool with the same arguments, behind answers that were of no use",
                    count(self.most_tries, "call", "calls")
                ),
                Flaw::Hung => format!(
                    "the target has not let go of {} that never came while the fault was on, {} at most",
                    count(self.never_let_go, "answer", "answers"),
                    shown(self.longest_held_ms.unwrap_or(0))
                ),
                Flaw::AcceptedTruncation => format!(
                    "{} that had ended half-way came back as whole in what the target asked next",
                    count(self.accepted_truncations, "answer", "answers")
                ),
                // `flaws` names neither.
                Flaw::DeathUnnoticed | Flaw::Orphans => continue,
            };
            lines.push(format!("{}: {why}", flaw.name()));
        }
        if self.tasks == 0 {
            return lines;
        }
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
        lines.push(tries);
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
mod tests {
    use super::*;

    #[test]
    fn a_patient_target_has_no_flaw() {
        let reaction = Reaction {
            tasks: 2,
            tries: 5,
            most_tries: 3,
            shortest_gap_ms: Some(1_000),
            longest_gap_ms: Some(2_000),
            told_to_wait: 3,
            made_good: 2,
            ..Reaction::default()
        };
        assert!(reaction.flaws().is_empty());
        let said =
            "5 tries for 2 tasks, 3 at most for one, 1s to 2s apart; 2 made good, 0 given up";
        assert_eq!(reaction.words(), [said]);
    }

    #[test]
    fn each_flaw_is_named_with_its_evidence() {
        let reaction = Reaction {
            tasks: 1,
            tries: 7,
            most_tries: 7,
            shortest_gap_ms: Some(10),
            longest_gap_ms: Some(10),
            told_to_wait: 6,
            too_early: 5,
            given_up: 1,
            never_let_go: 1,
            longest_held_ms: Some(HUNG_MS + 1),
            accepted_truncations: 2,
            ..Reaction::default()
        };
        let words = reaction.words();
        assert!(
            words[0].starts_with("ignored-retry-after: 5 of 6 tries"),
            "{words:?}"
        );
        assert!(words[1].starts_with("retry-storm: 7 tries"), "{words:?}");
        assert!(words[2].starts_with("hung: "), "{words:?}");
        assert!(
            words[3].starts_with("accepted-truncation: 2 answers"),
            "{words:?}"
        );
        assert!(
            words[4].contains("10ms apart") && words[4].contains("1 given up"),
            "{words:?}"
        );
    }

    #[test]
    fn the_same_call_again_and_again_makes_no_progress() {
        let reaction = Reaction {
            tasks: 2,
            tries: 7,
            most_tries: STORM,
            of_no_use: 7,
            given_up: 2,
            ..Reaction::default()
        };
        assert_eq!(reaction.flaws(), [Flaw::NoProgress]);
        let words = reaction.words();
        assert!(words[0].starts_with("no-progress: 6 calls"), "{words:?}");
        assert_eq!(
            words[1],
            "7 calls with 2 sets of arguments, 6 at most for one"
        );
    }

    #[test]
    fn an_answer_that_is_still_waited_for_at_the_end_is_no_flaw() {
        let waits = Reaction {
            let_go: 5,
            longest_wait_ms: Some(20_000),
            never_let_go: 1,
            longest_held_ms: Some(15_000),
            ..Reaction::default()
        };
        assert!(waits.flaws().is_empty());
        let short = Reaction {
            never_let_go: 1,
            longest_held_ms: Some(900),
            ..Reaction::default()
        };
        assert!(short.flaws().is_empty());
        let hangs = Reaction {
            longest_held_ms: Some(20_001),
            ..waits
        };
        assert_eq!(hangs.flaws(), [Flaw::Hung]);
    }

    #[test]
    fn a_target_that_lets_go_early_once_may_wait_later() {
        let reaction = Reaction {
            let_go: 1,
            longest_wait_ms: Some(200),
            never_let_go: 1,
            longest_held_ms: Some(HUNG_MS),
            ..Reaction::default()
        };
        assert!(reaction.flaws().is_empty());
    }

    #[test]
    fn nothing_met_is_nothing_said() {
        assert!(Reaction::default().words().is_empty());
    }
}
