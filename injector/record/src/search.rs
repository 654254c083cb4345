//! Which value of a parameter breaks a hypothesis: what to try next, and what all tries together say. Pure.
//!
//! The mildest end is run first, and the harshest only where that held. Then the middle between the harshest value that
//! held and the mildest that broke is tried, until the two are near each other ([`Scale`] says how near).
//!
//! | term | meaning |
//! | --- | --- |
//! | run that breaks | its verdict is deviated or unsafe, or a condition halted it |
//! | value that breaks | more than half of its judged runs did |
//! | value that holds | every other one with all its runs |
//! | bracket | the harshest value that held, and the mildest that broke |
//! | confidence | [`Confidence`] |
//!
//! Invariants: each value has the same number of judged runs, whatever the first of them say, for a number that depends
//! on what was seen would make the confidence wrong. An inconclusive run is made again, [`MOST_AGAIN`] times for a value
//! at most. Between the ends no value is tried twice.
//!
//! Rejected: a curve through all values (a logistic fit). It says what lies between the runs by a shape that nothing
//! warrants, and for a victim with a hard limit it has no shape to fit.

mod confidence;
mod scale;
#[cfg(test)]
mod tests;
mod within;

use serde::Serialize;

pub use confidence::Confidence;
pub use scale::{Scale, ScaleError};
pub use within::{Within, WithinError};

use crate::{measure::Verdict, report::Outcome, trials::Trial};
use injector_spec::experiment::Amount;

/// How many inconclusive runs of one value are made again.
pub const MOST_AGAIN: usize = 2;

/// How a search is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The bracket is narrow enough where its values are as near as that.
    pub within: Within,
    /// Judged runs at each value; one at least.
    pub repeat: usize,
    /// Runs altogether at most.
    pub most_runs: usize,
}

/// A search, as far as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    scale: Scale,
    rules: Rules,
    tried: Vec<Tried>,
}

/// A value and what came of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The value.
    pub value: Amount,
    /// Runs that held.
    pub held: usize,
    /// Runs that broke.
    pub broke: usize,
    /// Runs that did not tell, and were made again.
    pub inconclusive: usize,
}

/// What a run says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The hypothesis held.
    Held,
    /// It did not.
    Broke,
    /// The run does not tell.
    Inconclusive,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A run at this value.
    Run(Amount),
    /// Nothing more.
    Over(Over),
}

/// How a search ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// The bracket is narrow enough.
    Found,
    /// Even the harshest end held.
    NothingBreaks,
    /// Even the mildest end broke.
    EverythingBreaks,
    /// The runs at one value do not tell.
    Inconclusive,
    /// As many runs were made as there may be.
    OutOfRuns,
}

/// The two values between which the hypothesis begins to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// The harshest that held.
    pub holds: Tried,
    /// The mildest that broke.
    pub breaks: Tried,
}

impl Tried {
    /// Judged runs.
    pub const fn judged(&self) -> usize {
        self.held + self.broke
    }

    /// All runs.
    pub const fn runs(&self) -> usize {
        self.judged() + self.inconclusive
    }

    /// Whether more than half of the judged runs broke.
    pub const fn breaks(&self) -> bool {
        self.broke > self.held
    }
}

impl Search {
    /// A search that has not begun.
    pub const fn new(scale: Scale, rules: Rules) -> Self {
        Self {
            scale,
            rules,
            tried: Vec::new(),
        }
    }

    /// What is to be done now.
    pub fn next(&self) -> Next {
        match self.wanted() {
            Next::Run(_) if self.runs() >= self.rules.most_runs => Next::Over(Over::OutOfRuns),
            next => next,
        }
    }

    fn wanted(&self) -> Next {
        let Some(last) = self.tried.last() else {
            return Next::Run(self.scale.mildest());
        };
        if last.inconclusive > MOST_AGAIN {
            return Next::Over(Over::Inconclusive);
        }
        if last.judged() < self.rules.repeat {
            return Next::Run(last.value);
        }
        match (self.tried.len(), last.breaks()) {
            (1, true) => return Next::Over(Over::EverythingBreaks),
            (1, false) => return Next::Run(self.scale.harshest()),
            (2, false) => return Next::Over(Over::NothingBreaks),
            _ => {}
        }
        let middle = self.bracket().and_then(|Bracket { holds, breaks }| {
            let between = [holds.value, breaks.value];
            let is_narrow = self.scale.is_narrow(between, self.rules.within);
            (!is_narrow).then(|| self.scale.middle(between)).flatten()
        });
        middle.map_or(Next::Over(Over::Found), Next::Run)
    }

    /// Takes what a run said at the value that [`Search::next`] had asked for.
    pub fn told(&mut self, value: Amount, answer: Answer) {
        if self.tried.last().is_none_or(|last| last.value != value) {
            self.tried.push(Tried {
                value,
                held: 0,
                broke: 0,
                inconclusive: 0,
            });
        }
        if let Some(last) = self.tried.last_mut() {
            let count = match answer {
                Answer::Held => &mut last.held,
                Answer::Broke => &mut last.broke,
                Answer::Inconclusive => &mut last.inconclusive,
            };
            *count += 1;
        }
    }

    /// The values between which it begins to break; `None` before both ends were judged, or where they agree.
    pub fn bracket(&self) -> Option<Bracket> {
        let whole = |tried: &&Tried| tried.judged() >= self.rules.repeat;
        let done = || self.tried.iter().filter(whole);
        // Each value lies between those before it, so the last of a kind is the innermost.
        Some(Bracket {
            holds: *done().rfind(|tried| !tried.breaks())?,
            breaks: *done().rfind(|tried| tried.breaks())?,
        })
    }

    /// Every value in the order in which they were tried.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// How many runs were made.
    pub fn runs(&self) -> usize {
        self.tried.iter().map(Tried::runs).sum()
    }

    /// How many values there can be, and so runs where each of them tells.
    pub fn most_values(&self) -> usize {
        self.scale.most_values(self.rules.within)
    }

    /// What the runs of the bracket say of all such runs.
    pub fn confidence(&self) -> Option<Confidence> {
        let values = self.most_values().max(self.tried.len());
        Some(Confidence::of(&self.bracket()?, values))
    }

    /// Its scale.
    pub const fn scale(&self) -> &Scale {
        &self.scale
    }
}

impl Answer {
    /// What a run says; the sentence of an error is why no run may follow it.
    pub fn of(trial: &Trial) -> Result<Self, String> {
        let report = match trial {
            Trial::Refused(refusal) => return Err(refusal.message.clone()),
            Trial::Ran(report) => report,
        };
        let forbids = || trial.forbids_more().unwrap_or_else(|| trial.to_string());
        if !report.undo_errors.is_empty() {
            return Err(forbids());
        }
        let by_condition = report
            .halt
            .as_ref()
            .is_some_and(|it| it.condition.is_some());
        match (&report.outcome, trial.verdict()) {
            (Outcome::Failed { .. } | Outcome::Stopped, _) => Err(forbids()),
            // A person, or the injector for a reason of its own: that is no word about the value.
            (Outcome::Halted { .. }, _) if !by_condition => Err(forbids()),
            (_, None) => {
                Err("the experiment has neither a steady state nor `fail-on`, so no run of it is judged".to_owned())
            }
            (_, Some(Verdict::Held)) => Ok(Self::Held),
            (_, Some(Verdict::Deviated(_) | Verdict::Halted(_) | Verdict::Unsafe(_))) => {
                Ok(Self::Broke)
            }
            (_, Some(Verdict::Inconclusive(_))) => Ok(Self::Inconclusive),
        }
    }
}
