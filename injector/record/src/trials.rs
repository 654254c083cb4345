//! What several runs of one experiment say together: verdicts, recovery times, and what so many runs can prove. Pure.
//!
//! | term | meaning |
//! | --- | --- |
//! | trial | one run of several of the same experiment |
//! | judged | a trial with a verdict other than inconclusive; only these count in shares |
//! | RTA of several | the median of the trials in which the probe was bad at all, with the least and the most. A trial without a recovery is longer than all others, and never left out |
//! | level of a range | how sure it is that least and most enclose the true median: `1 - 2 x 0.5^n` of n trials, whatever the distribution (David and Nagaraja, Order Statistics, 7.1) |
//! | share that holds | with n of n held, at least `0.05^(1/n)` with 95 % confidence (the exact bound, Clopper and Pearson); else Wilson's interval for 95 % |
//! | score | [`Score`] |
//!
//! Rejected: a mean of recovery times. One trial that never recovered has no time, and a mean would have to leave it
//! out.

mod bootstrap;
pub(crate) mod proof;
mod recoveries;
mod score;
#[cfg(test)]
pub(crate) mod tests;
mod words;

use serde::{Deserialize, Serialize};

pub use proof::Proof;
pub use recoveries::{Bad, Recoveries};
pub use score::{Score, UNSAFE_CAP};
pub use words::percent;

use crate::{
    measure::Verdict,
    report::{Outcome, RunReport, Tone},
};
use injector_spec::error::{Exit, Refusal};

/// One run of several: its report, or why there was no run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Trial {
    /// It has a report.
    Ran(Box<RunReport>),
    /// It was refused, or broke off without a report.
    Refused(Refusal),
}

/// How many trials came to which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// The hypothesis held.
    pub held: usize,
    /// It did not.
    pub deviated: usize,
    /// A condition or a person ended the run.
    pub halted: usize,
    /// A bystander was hurt.
    #[serde(rename = "unsafe")]
    pub harmful: usize,
    /// The run does not tell.
    pub inconclusive: usize,
    /// There was no steady state to judge.
    pub unjudged: usize,
    /// There was no run.
    pub refused: usize,
}

/// What they say together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trials {
    /// How many there were.
    pub runs: usize,
    /// What came of them.
    pub verdicts: Verdicts,
    /// Each probe, in the order of the experiment.
    pub probes: Vec<Recoveries>,
    /// What so many runs can prove; absent where none was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// How well the target stood it; absent where no run can be scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
}

impl Trial {
    /// What it says, of the hypothesis or of flaws, where it says anything.
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Ran(report) => report.verdict(),
            Self::Refused(_) => None,
        }
    }

    /// What came of it, in one word.
    pub fn word(&self) -> &'static str {
        match (self, self.verdict()) {
            (Self::Refused(_), _) => "refused",
            (_, Some(verdict)) => verdict.name(),
            (Self::Ran(report), None) => report.outcome.word(),
        }
    }

    /// How that is to be taken.
    pub fn tone(&self) -> Tone {
        match (self, self.verdict()) {
            (Self::Refused(_), _) => Tone::Bad,
            (_, Some(verdict)) => verdict.tone(),
            (Self::Ran(report), None) => report.outcome.tone(),
        }
    }

    /// The exit code of a command that did this alone.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Ran(report) => report.exit(),
            Self::Refused(refusal) => refusal.exit,
        }
    }

    /// Why it came to that, where there is a reason to give.
    pub fn why(&self) -> Option<String> {
        let why = match (self, self.verdict()) {
            (Self::Refused(refusal), _) => Some(&refusal.message),
            (_, Some(verdict)) => verdict.why(),
            (Self::Ran(report), None) => report.outcome.why(),
        };
        why.cloned()
    }

    /// Why nothing may be done after it: something was hurt, or not put back, or the end was asked for.
    pub fn forbids_more(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.message.clone()),
            Self::Ran(report) if !report.undo_errors.is_empty() => {
                Some("not everything was put back; run `injector sweep`".to_owned())
            }
            Self::Ran(report) => match (&report.outcome, self.verdict()) {
                (_, Some(Verdict::Unsafe(why)))
                | (Outcome::Halted { why } | Outcome::Failed { why }, _) => Some(why.clone()),
                (Outcome::Stopped, _) => Some("the run was stopped before its time".to_owned()),
                (
                    Outcome::Completed
                    | Outcome::TargetEnded { .. }
                    | Outcome::Unsteady { .. }
                    | Outcome::GateShut { .. },
                    _,
                ) => None,
            },
        }
    }
}

impl Trials {
    /// What these trials say together.
    pub fn of(trials: &[Trial]) -> Self {
        let verdicts = Verdicts::of(&trials.iter().collect::<Vec<_>>());
        Self {
            runs: trials.len(),
            verdicts,
            probes: recoveries::of(trials),
            proof: Proof::of(verdicts.held, verdicts.judged()),
            score: Score::of(&[trials]),
        }
    }
}

impl Verdicts {
    /// Counts.
    pub fn of(trials: &[&Trial]) -> Self {
        let mut counts = Self::default();
        for trial in trials {
            let count = match (*trial, trial.verdict()) {
                (Trial::Refused(_), _) => &mut counts.refused,
                (Trial::Ran(_), None) => &mut counts.unjudged,
                (_, Some(Verdict::Held)) => &mut counts.held,
                (_, Some(Verdict::Deviated(_))) => &mut counts.deviated,
                (_, Some(Verdict::Halted(_))) => &mut counts.halted,
                (_, Some(Verdict::Unsafe(_))) => &mut counts.harmful,
                (_, Some(Verdict::Inconclusive(_))) => &mut counts.inconclusive,
            };
            *count += 1;
        }
        counts
    }

    /// Those that count in shares.
    pub const fn judged(&self) -> usize {
        self.held + self.deviated + self.halted + self.harmful
    }
}

/// The exit code of a command that did all of them.
pub fn exit(trials: &[Trial]) -> Exit {
    worst(trials.iter().map(Trial::exit))
}

/// The exit code of what had all of these: never 0 on nothing. What was refused comes first, for it says what to do
/// about it.
pub fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    let worst = exits.into_iter().max_by_key(|exit| badness(*exit));
    worst.unwrap_or(Exit::Inconclusive)
}

/// How bad an exit code is among several.
pub(crate) const fn badness(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Inconclusive => 1,
        Exit::Failed => 2,
        Exit::Usage => 3,
        Exit::Unsafe => 4,
    }
}
