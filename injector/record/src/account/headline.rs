//! What stands first: one word, how it is to be taken, and why.

use super::{Account, words};
use crate::{journal::RunState, measure::Verdict, report::Outcome};
use injector_spec::printable;

/// How a word is to be taken. A renderer shows it by colour, and never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It is as it should be.
    Good,
    /// It proves nothing, or ended early.
    Doubtful,
    /// It is not as it should be.
    Bad,
    /// It goes on.
    Open,
}

/// What stands first. Texts are on one line, with names escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// The verdict, or how the run stands where there is none.
    pub word: &'static str,
    /// How it is to be taken.
    pub tone: Tone,
    /// Why; absent where the word says it all.
    pub why: Option<String>,
    /// How the run went: `completed, armed for 30s`.
    pub course: String,
}

impl Account {
    /// What stands first.
    pub fn headline(&self) -> Headline {
        let (word, tone, why) = match (&self.state, self.judgement()) {
            (RunState::Running, _) => ("running", Tone::Open, None),
            (RunState::Aborted { why }, _) => ("aborted", Tone::Bad, Some(aborted(why.as_deref()))),
            (RunState::Ended { .. }, Some(judgement)) => of_verdict(&judgement.verdict),
            (RunState::Ended { outcome }, None) => of_outcome(outcome),
        };
        Headline {
            word,
            tone,
            why: why.map(|why| printable::line(&why).into_owned()),
            course: self.course(),
        }
    }

    /// How the run went, and for how long.
    fn course(&self) -> String {
        if let (RunState::Ended { outcome }, Some(report)) = (&self.state, &self.report) {
            let (word, ..) = of_outcome(outcome);
            return format!("{word}, armed for {}", words::millis(report.armed_for_ms));
        }
        let last = self.last_sign_us();
        match (self.armed_unix_ms, last) {
            (None, _) => "never armed".to_owned(),
            (Some(_), Some(last)) => {
                let last = words::micros(last.unsigned_abs());
                format!("armed; its last record came {last} after that")
            }
            (Some(_), None) => "armed".to_owned(),
        }
    }
}

fn aborted(why: Option<&str>) -> String {
    why.map_or_else(
        || "no process was left to say why".to_owned(),
        str::to_owned,
    )
}

fn of_verdict(verdict: &Verdict) -> (&'static str, Tone, Option<String>) {
    let tone = match verdict {
        Verdict::Held => Tone::Good,
        Verdict::Inconclusive(_) => Tone::Doubtful,
        Verdict::Deviated(_) | Verdict::Halted(_) | Verdict::Unsafe(_) => Tone::Bad,
    };
    (verdict.name(), tone, verdict.why().cloned())
}

fn of_outcome(outcome: &Outcome) -> (&'static str, Tone, Option<String>) {
    match outcome {
        Outcome::Completed => ("completed", Tone::Good, None),
        Outcome::Stopped => ("stopped", Tone::Doubtful, None),
        Outcome::TargetEnded { why } => {
            ("ended with its target", Tone::Doubtful, Some(why.clone()))
        }
        Outcome::Unsteady { why } => {
            let word = "ended before its first fault";
            (word, Tone::Doubtful, Some(why.clone()))
        }
        Outcome::Halted { why } => ("halted", Tone::Bad, Some(why.clone())),
        Outcome::Failed { why } => ("failed", Tone::Bad, Some(why.clone())),
    }
}
