//! What a search came to, as data.

use serde::Serialize;

use super::{Wanted, replay};
use injector_record::{
    search::{Bracket, Confidence, Next, Over, Search, Tried},
    trials::Trial,
};
use injector_spec::{error::Refusal, experiment::Amount};

/// A search that has ended.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) search: Search,
    /// Every run with its value.
    pub(super) trials: Vec<(Amount, Trial)>,
    /// Why no further run was made, where that was not the search's own end.
    pub(super) ended: Option<String>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Told<'m> {
    /// The experiment.
    pub(super) name: &'m str,
    /// What was varied, as it was named.
    pub(super) parameter: String,
    /// The same with its fault.
    pub(super) what: &'m str,
    pub(super) from: Amount,
    pub(super) to: Amount,
    pub(super) within: String,
    pub(super) repeat: usize,
    pub(super) max_runs: usize,
    /// How it ended.
    pub(super) result: Outcome,
    /// Why no further run was made, where that was not the search's own end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<&'m str>,
    /// Why there is nothing to find between the two ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// The mildest value that broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) breaks: Option<Tried>,
    /// The harshest value that held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) holds: Option<Tried>,
    /// How far these two are from each other, as `within` counts it: a share of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) width: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confidence: Option<Confidence>,
    /// The command that runs the mildest value that broke again, in words of a shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replay: Option<String>,
    #[serde(skip)]
    pub(super) replay_words: Vec<String>,
    pub(super) runs: usize,
    /// Every value in the order in which they were tried.
    pub(super) values: &'m [Tried],
    pub(super) trials: Vec<AtValue<'m>>,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub(super) enum Outcome {
    /// By what was found.
    Over(Over),
    /// Before that.
    BrokenOff(BrokenOff),
}

/// It ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum BrokenOff {
    /// By a signal, or a run after which none may follow.
    BrokenOff,
}

/// A run and its value.
#[derive(Debug, Serialize)]
pub(super) struct AtValue<'m> {
    value: Amount,
    #[serde(flatten)]
    trial: &'m Trial,
}

/// What `--dry-run --json` prints.
#[derive(Serialize)]
pub(super) struct Rehearsed {
    /// The end that would be refused now.
    pub(super) value: Option<Amount>,
    pub(super) refusal: Option<Refusal>,
    /// Runs that the search takes, about, at most.
    pub(super) most_runs: usize,
}

impl<'m> Told<'m> {
    pub(super) fn of(wanted: &'m Wanted, made: &'m Made) -> Self {
        let search = &made.search;
        let bracket = search.bracket();
        let breaks = bracket.map(|it| it.breaks);
        let holds = bracket.map(|it| it.holds);
        let between = |it: Bracket| [it.holds.value, it.breaks.value];
        let replay_words = breaks.map_or_else(Vec::new, |breaks| {
            replay::words(&wanted.words, &wanted.varied.at(breaks.value))
        });
        let mut told = Self {
            name: &wanted.ends.name,
            parameter: wanted.varied.to_string(),
            what: &wanted.ends.what,
            from: wanted.ends.scale.low(),
            to: wanted.ends.scale.high(),
            within: wanted.rules.within.to_string(),
            repeat: wanted.rules.repeat,
            max_runs: wanted.rules.most_runs,
            result: match (&made.ended, search.next()) {
                (None, Next::Over(over)) => Outcome::Over(over),
                (Some(_), _) | (None, Next::Run(_)) => Outcome::BrokenOff(BrokenOff::BrokenOff),
            },
            ended: made.ended.as_deref(),
            error: None,
            breaks,
            holds,
            width: bracket.map(|it| search.scale().width(between(it))),
            confidence: search.confidence(),
            replay: breaks.map(|_| replay_words.join(" ")),
            replay_words,
            runs: made.trials.len(),
            values: search.tried(),
            trials: made
                .trials
                .iter()
                .map(|(value, trial)| AtValue {
                    value: *value,
                    trial,
                })
                .collect(),
        };
        told.error = told.refusal().map(|refusal| refusal.message);
        told
    }

    /// Why there is nothing to find between the two ends, where that is so.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let end = self.values.last()?;
        let value = end.value;
        let verdicts = self.verdicts(value);
        let sentence = match self.result {
            Outcome::Over(Over::NothingBreaks) => {
                let first = self.values.first()?.value;
                format!(
                    "both ends hold: {first} ({}) and {value} ({verdicts}), so no value between them is the smallest \
                     that breaks; name a harsher end",
                    self.verdicts(first)
                )
            }
            Outcome::Over(Over::EverythingBreaks) => format!(
                "the mildest end, {value}, breaks already ({verdicts}), so all between the ends does; the harshest was \
                 not run; name a milder end"
            ),
            Outcome::Over(Over::Found | Over::Inconclusive | Over::OutOfRuns)
            | Outcome::BrokenOff(_) => return None,
        };
        Some(Refusal::usage(sentence))
    }

    /// What its runs at a value came to: `held, held, deviated`.
    fn verdicts(&self, value: Amount) -> String {
        let at = self.trials.iter().filter(|at| at.value == value);
        let words: Vec<&str> = at.map(|at| at.trial.word()).collect();
        words.join(", ")
    }
}
