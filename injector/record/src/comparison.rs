//! Two runs of one experiment, held against each other: what is worse, what is better, and whether that means anything.
//!
//! A comparison means something where both runs were asked the same ([`Fingerprint`]) and were judged. Of a probe, what
//! became of it is compared by rank, from *absorbed* to *never*, and its RTA by the bounds: one is longer where it
//! cannot be shorter. Latencies are told and not ranked, for one run has no interval of its median.
//!
//! Rejected: a threshold in percent, which calls noise a regression on one host and hides one on another.

mod beside;
mod table;
#[cfg(test)]
mod tests;
mod words;

use serde::Serialize;

use crate::{
    account::{Account, Series},
    journal::{RunId, RunState},
    measure::{Fate, Judgement, Tally, Verdict},
    platform::Platform,
};
use injector_spec::experiment::{Fingerprint, ProbeRole};

pub use beside::Beside;
pub use table::markdown;
pub use words::Row;

/// Two runs beside each other.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The run that was named first.
    pub before: Side,
    /// The run that was named second.
    pub after: Side,
    /// Whether both were asked the same.
    pub experiment: Agreement,
    /// Whether both took place on the same kernel.
    pub kernel: Agreement,
    /// Whether both were made by the same version of this program.
    pub injector: Agreement,
    /// Why the two say nothing of each other; empty where they do.
    pub means_nothing: Vec<String>,
    /// What is worse in the second run; empty where the comparison means nothing.
    pub regressions: Vec<String>,
    /// What is better in the second run.
    pub improvements: Vec<String>,
    /// Each probe of either run.
    pub probes: Vec<Pair>,
    /// The detection and each ledger of either run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Beside>,
}

/// One of the two runs.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The run.
    pub run: RunId,
    /// Its experiment's name.
    pub name: String,
    /// When it started, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_unix_ms: Option<u64>,
    /// Its verdict, or how it ended where it was not judged.
    pub word: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// On what it took place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// Whether the two runs agree in something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "agreement", rename_all = "kebab-case")]
pub enum Agreement {
    /// They do.
    Same {
        /// In this.
        value: String,
    },
    /// They do not.
    Differs {
        /// The first run's.
        before: String,
        /// The second run's.
        after: String,
    },
    /// A journal does not say, as those of earlier versions.
    Unknown,
}

/// A probe in both runs.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// Its name.
    pub name: String,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<ProbeRole>,
    /// In the first run; absent where that has no such probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Measured>,
    /// In the second run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Measured>,
    /// By how much the RTA is longer in the second run, in milliseconds; absent where one of them has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rta_longer_by_ms: Option<i64>,
    /// What that comes to.
    pub change: Change,
}

/// What a run has measured of a probe.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What became of it; absent where the run was not judged.
    #[serde(flatten)]
    pub fate: Option<Fate>,
    /// In front of the first fault.
    pub baseline: Tally,
    /// While faults were on.
    pub under_fault: Tally,
    /// Behind the last fault.
    pub recovery: Tally,
    /// The median under the faults by that of the baseline, as `3.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_baseline: Option<String>,
}

/// What became of a probe in the second run, by what became of it in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It stands better.
    Better,
    /// The runs do not tell the two apart.
    Same,
    /// It stands worse.
    Worse,
    /// One of the runs does not tell.
    NotComparable,
}

impl Comparison {
    /// The first run beside the second.
    pub fn of(before: &Account, after: &Account) -> Self {
        let sides = (Side::of(before), Side::of(after));
        let experiment = agreement(sides.0.fingerprint, sides.1.fingerprint);
        let platform = |side: &Side| side.platform.clone();
        let kernels = [&sides.0, &sides.1].map(|side| platform(side).map(|it| it.kernel()));
        let versions = [&sides.0, &sides.1].map(|side| platform(side).map(|it| it.injector));
        let [[k_before, k_after], [v_before, v_after]] = [kernels, versions];
        let probes = pairs(before, after);
        let beside = beside::beside(judged(before), judged(after));
        let mut means_nothing = words::means_nothing(&experiment, before, after);
        if means_nothing.is_empty() && probes.iter().all(Pair::is_lost) {
            means_nothing.push("no probe was measured in both runs".to_owned());
        }
        let (mut regressions, mut improvements) = (Vec::new(), Vec::new());
        if means_nothing.is_empty() {
            let verdicts = verdict(before).zip(verdict(after));
            let verdicts = verdicts.into_iter().filter_map(words::verdicts);
            let told = probes.iter().filter_map(words::pair);
            let others = beside.iter().filter_map(Beside::told);
            for (change, sentence) in verdicts.chain(told).chain(others) {
                match change {
                    Change::Worse => regressions.push(sentence),
                    Change::Better => improvements.push(sentence),
                    Change::Same | Change::NotComparable => {}
                }
            }
        }
        Self {
            before: sides.0,
            after: sides.1,
            experiment,
            kernel: agreement(k_before, k_after),
            injector: agreement(v_before, v_after),
            means_nothing,
            regressions,
            improvements,
            probes,
            beside,
        }
    }

    /// What the comparison comes to.
    pub fn change(&self) -> Change {
        match (
            self.means_nothing.is_empty(),
            self.regressions.is_empty(),
            self.improvements.is_empty(),
        ) {
            (false, _, _) => Change::NotComparable,
            (true, false, _) => Change::Worse,
            (true, true, false) => Change::Better,
            (true, true, true) => Change::Same,
        }
    }
}

impl Side {
    fn of(account: &Account) -> Self {
        let headline = account.headline();
        Self {
            run: account.run.clone(),
            name: account.name.clone(),
            started_unix_ms: account.started_unix_ms,
            word: headline.word.to_owned(),
            why: headline.why,
            fingerprint: account.fingerprint,
            platform: account.platform.clone(),
        }
    }
}

fn agreement<T: ToString + PartialEq>(before: Option<T>, after: Option<T>) -> Agreement {
    match (before, after) {
        (Some(before), Some(after)) if before == after => Agreement::Same {
            value: before.to_string(),
        },
        (Some(before), Some(after)) => Agreement::Differs {
            before: before.to_string(),
            after: after.to_string(),
        },
        (None, _) | (_, None) => Agreement::Unknown,
    }
}

/// The judgement of a run that came to its end.
fn judged(account: &Account) -> Option<&Judgement> {
    match account.state {
        RunState::Ended { .. } => account.judgement(),
        RunState::Running | RunState::Aborted { .. } => None,
    }
}

fn verdict(account: &Account) -> Option<&Verdict> {
    judged(account).map(|judgement| &judgement.verdict)
}

/// The probes of the second run in its order, and then those of the first alone.
fn pairs(before: &Account, after: &Account) -> Vec<Pair> {
    let find = |account: &Account, name: &str| -> Option<Series> {
        let found = account.probes.iter().find(|series| series.name == name);
        found.cloned()
    };
    let mut names: Vec<&str> = Vec::new();
    for series in after.probes.iter().chain(&before.probes) {
        if !names.contains(&series.name.as_str()) {
            names.push(&series.name);
        }
    }
    names
        .into_iter()
        .map(|name| Pair::of(name, find(before, name), find(after, name)))
        .collect()
}

impl Pair {
    fn of(name: &str, before: Option<Series>, after: Option<Series>) -> Self {
        let role = after.as_ref().or(before.as_ref());
        let role = role.and_then(|series| series.role);
        let [before, after] = [before, after].map(|series| series.map(Measured::of));
        let rta = |side: &Option<Measured>| {
            let took = side.as_ref()?.fate.as_ref()?.recovery()?;
            i64::try_from(took.rta_ms).ok()
        };
        let rta_longer_by_ms = rta(&before)
            .zip(rta(&after))
            .map(|(before, after)| after.saturating_sub(before));
        let change = match (&before, &after) {
            (Some(before), Some(after)) => change(role, before, after),
            (None, _) | (_, None) => Change::NotComparable,
        };
        Self {
            name: name.to_owned(),
            role,
            before,
            after,
            rta_longer_by_ms,
            change,
        }
    }

    fn is_lost(&self) -> bool {
        self.change == Change::NotComparable
    }
}

impl Measured {
    fn of(series: Series) -> Self {
        Self {
            by_baseline: series.under_fault.by(series.baseline),
            fate: series.fate,
            baseline: series.baseline,
            under_fault: series.under_fault,
            recovery: series.recovery,
        }
    }

    /// Bad answers from the first fault on.
    fn bad(&self) -> u64 {
        self.under_fault.bad.saturating_add(self.recovery.bad)
    }
}

fn change(role: Option<ProbeRole>, before: &Measured, after: &Measured) -> Change {
    let ranks = before.fate.as_ref().and_then(rank);
    let Some((before_rank, after_rank)) = ranks.zip(after.fate.as_ref().and_then(rank)) else {
        return Change::NotComparable;
    };
    if role == Some(ProbeRole::Control) {
        // One bad answer of a bystander is too many, and a few more or less say nothing.
        return by((before.bad() > 0).cmp(&(after.bad() > 0)));
    }
    let bounds = |side: &Measured| {
        let took = side.fate.as_ref()?.recovery()?;
        Some((took.least_ms, took.most_ms))
    };
    match before_rank.cmp(&after_rank) {
        std::cmp::Ordering::Equal => match (bounds(before), bounds(after)) {
            (Some((_, before_most)), Some((after_least, _))) if after_least > before_most => {
                Change::Worse
            }
            (Some((before_least, _)), Some((_, after_most))) if after_most < before_least => {
                Change::Better
            }
            _ => Change::Same,
        },
        other => by(other),
    }
}

const fn by(before_to_after: std::cmp::Ordering) -> Change {
    match before_to_after {
        std::cmp::Ordering::Less => Change::Worse,
        std::cmp::Ordering::Equal => Change::Same,
        std::cmp::Ordering::Greater => Change::Better,
    }
}

/// How bad it is; nothing where the answers do not tell.
const fn rank(fate: &Fate) -> Option<u8> {
    match fate {
        Fate::Absorbed => Some(0),
        Fate::Adapted(_) => Some(1),
        Fate::Recovered(_) => Some(2),
        Fate::Late(_) => Some(3),
        Fate::Never { .. } => Some(4),
        Fate::NotMet | Fate::NotMeasurable { .. } => None,
    }
}
