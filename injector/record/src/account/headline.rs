//! What stands first: one word, how it is to be taken, and why.

use super::{Account, words};
use crate::{
    journal::RunState,
    measure::Verdict,
    report::{Outcome, Tone},
};
use injector_spec::printable;

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
        let (word, tone, why) = match (&self.state, self.verdict()) {
            (RunState::Running, _) => ("running", Tone::Open, None),
            (RunState::Aborted { why }, _) => ("aborted", Tone::Bad, Some(aborted(why.as_deref()))),
            (RunState::Ended { .. }, Some(verdict)) => of_verdict(verdict),
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
    (verdict.name(), verdict.tone(), verdict.why().cloned())
}

fn of_outcome(outcome: &Outcome) -> (&'static str, Tone, Option<String>) {
    (outcome.word(), outcome.tone(), outcome.why().cloned())
}
