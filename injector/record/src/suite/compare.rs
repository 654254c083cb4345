//! What got worse since an earlier suite, and what got better.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use serde::Serialize;

use super::{Suite, Tried};
use crate::trials::{Bad, Recoveries};
use injector_spec::{error::Exit, experiment::Fingerprint};

/// How two suites differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What got worse.
    pub regressions: Vec<Change>,
    /// What got better.
    pub improvements: Vec<Change>,
    /// Experiments that ask for something else than the earlier ones of the same file; they are not compared.
    pub changed: Vec<String>,
    /// Experiments that the earlier one does not have.
    pub new: Vec<String>,
    /// Experiments that this one does not have.
    pub gone: Vec<String>,
    /// The earlier score and this one.
    pub scores: Scores,
}

/// Whether two scores say anything beside each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// Experiments, kernel and build agree.
    Comparable {
        /// The earlier one.
        before: f64,
        /// This one.
        now: f64,
    },
    /// They do not.
    NotComparable {
        /// What differs.
        why: String,
    },
}

/// A difference of one experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The experiment's file.
    pub file: String,
    /// What differs.
    pub what: Difference,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// The worst verdict of its runs.
    Verdict {
        /// It was this.
        before: String,
        /// It is this.
        now: String,
    },
    /// How long a probe was bad: all runs of one suite lie on one side of all runs of the other.
    Rta {
        /// The probe.
        probe: String,
        /// The median of the earlier runs; absent where the probe stayed good in all of them.
        before: Option<Bad>,
        /// The median of these.
        now: Option<Bad>,
    },
}

/// Compares a suite with an earlier one.
pub fn compare(before: &Suite, now: &Suite) -> Comparison {
    let mut told = Comparison {
        regressions: Vec::new(),
        improvements: Vec::new(),
        changed: Vec::new(),
        new: missing(now, before),
        gone: missing(before, now),
        scores: scores(before, now),
    };
    for tried in &now.experiments {
        let Some(earlier) = before.experiments.iter().find(|it| it.file == tried.file) else {
            continue;
        };
        if earlier.fingerprint != tried.fingerprint {
            told.changed.push(tried.file.clone());
            continue;
        }
        let mut note = |order: Order, what: Difference| {
            let list = match order {
                Order::Worse => &mut told.regressions,
                Order::Better => &mut told.improvements,
            };
            let file = tried.file.clone();
            list.push(Change { file, what });
        };
        if let Some(order) = verdicts(earlier, tried) {
            let [before, now] = [earlier, tried].map(|it| it.word().to_owned());
            note(order, Difference::Verdict { before, now });
        }
        let (old, new) = (earlier.together(), tried.together());
        for probe in &new.probes {
            let Some(was) = old.probes.iter().find(|it| it.name == probe.name) else {
                continue;
            };
            if let Some(order) = times(was, probe) {
                let what = Difference::Rta {
                    probe: probe.name.clone(),
                    before: was.median,
                    now: probe.median,
                };
                note(order, what);
            }
        }
    }
    told
}

impl Comparison {
    /// The experiments that are not compared, and why, each as a sentence that begins with the file.
    pub fn incomparable(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let all = [
            (
                &self.changed,
                "asks for something else now and is not compared",
            ),
            (&self.gone, "is not there any more"),
            (&self.new, "is new"),
        ];
        all.into_iter()
            .flat_map(|(files, what)| files.iter().map(move |file| (file.as_str(), what)))
    }
}

#[derive(Clone, Copy)]
enum Order {
    Worse,
    Better,
}

fn missing(of: &Suite, from: &Suite) -> Vec<String> {
    let files = of.experiments.iter().map(|tried| &tried.file);
    files
        .filter(|file| !from.experiments.iter().any(|tried| tried.file == **file))
        .cloned()
        .collect()
}

/// What does not tell is neither better nor worse than another.
fn verdicts(before: &Tried, now: &Tried) -> Option<Order> {
    let rank = |tried: &Tried| match tried.worst()?.exit() {
        Exit::Done => Some(0),
        Exit::Failed | Exit::Unsafe => Some(1),
        Exit::Usage | Exit::Inconclusive => None,
    };
    match (rank(before)?, rank(now)?) {
        (before, now) if now > before => Some(Order::Worse),
        (before, now) if now < before => Some(Order::Better),
        _ => None,
    }
}

/// All runs here took longer than all runs there, by more than the [`SHARE`] that noise makes.
fn times(before: &Recoveries, now: &Recoveries) -> Option<Order> {
    if before.told == 0 || now.told == 0 {
        return None;
    }
    if is_longer(now, before) {
        return Some(Order::Worse);
    }
    is_longer(before, now).then_some(Order::Better)
}

/// Times that differ by less are called equal: a fifth of them.
const SHARE: u64 = 5;

fn is_longer(one: &Recoveries, other: &Recoveries) -> bool {
    // A run in which it stayed good took no time.
    let least = if one.bad < one.told { None } else { one.least };
    match (least, other.most) {
        (None, _) | (Some(_), Some(Bad::AtLeastMs(_))) => false,
        (Some(_), None) | (Some(Bad::AtLeastMs(_)), Some(Bad::ForMs(_))) => true,
        (Some(Bad::ForMs(least)), Some(Bad::ForMs(most))) => {
            least > most.saturating_add(most / SHARE)
        }
    }
}

fn scores(before: &Suite, now: &Suite) -> Scores {
    let not = |why: &str| Scores::NotComparable {
        why: why.to_owned(),
    };
    let (here, there) = (&now.conditions, &before.conditions);
    let asked = |suite: &Suite| -> BTreeMap<String, Fingerprint> {
        let experiments = suite.experiments.iter();
        experiments
            .map(|tried| (tried.file.clone(), tried.fingerprint))
            .collect()
    };
    if asked(before) != asked(now) {
        return not("the experiments differ");
    }
    if class(&here.platform.kernel) != class(&there.platform.kernel) {
        return not("the kernels differ");
    }
    if here.build != there.build {
        return not("the builds of the target differ");
    }
    match (before.score(), now.score()) {
        (Some(before), Some(now)) => Scores::Comparable {
            before: before.score,
            now: now.score,
        },
        _ => not("one of them has none"),
    }
}

/// The first two numbers of a release: `6.12` of `6.12.48-cloud-amd64`.
fn class(release: &str) -> &str {
    let end = release
        .match_indices(['.', '-'])
        .nth(1)
        .map_or(release.len(), |(at, _)| at);
    &release[..end]
}

impl Display for Change {
    /// `late.yaml`: held before, deviated now.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "`{}`: ", self.file)?;
        match &self.what {
            Difference::Verdict { before, now } => write!(out, "{before} before, {now} now"),
            Difference::Rta { probe, before, now } => {
                let time = |bad: &Option<Bad>| {
                    bad.map_or_else(|| "stayed good".to_owned(), |bad| format!("RTA {bad}"))
                };
                write!(
                    out,
                    "probe `{probe}`: {} before, {} now",
                    time(before),
                    time(now)
                )
            }
        }
    }
}

impl Display for Scores {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comparable { before, now } => {
                write!(out, "score {before:.0} before, {now:.0} now")
            }
            Self::NotComparable { why } => write!(out, "the scores cannot be compared: {why}"),
        }
    }
}
