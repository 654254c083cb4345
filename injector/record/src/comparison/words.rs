//! A comparison in words.

use super::{Agreement, Change, Comparison, Measured, Pair, Side, verdict};
use crate::{
    account::{Account, words},
    journal::RunState,
    measure::{Fate, Verdict},
};
use injector_spec::{experiment::ProbeRole, printable};

/// A probe in the table: its name, the recovery and the median by the baseline before and after, and the difference.
pub type Row = [String; 6];

impl Change {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "no difference",
            Self::Worse => "worse",
            Self::NotComparable => "not comparable",
        }
    }
}

impl Agreement {
    /// `same (6.18)`, `6.18, then 6.19`, on one line.
    pub fn in_words(&self) -> String {
        let said = match self {
            Self::Same { value } => format!("same ({value})"),
            Self::Differs { before, after } => format!("{before}, then {after}"),
            Self::Unknown => "not on record in both".to_owned(),
        };
        printable::line(&said).into_owned()
    }
}

impl Side {
    /// `r65f0c2a19b3e held`.
    pub fn in_words(&self) -> String {
        format!("{} {}", self.run, self.word)
    }
}

impl Comparison {
    /// What a reader should know before the numbers, each on one line.
    pub fn caveats(&self) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        let why = self.means_nothing.iter();
        said.extend(why.map(|why| format!("the comparison means nothing: {why}")));
        for (what, agreement) in [("kernels", &self.kernel), ("versions", &self.injector)] {
            if let Agreement::Differs { .. } = agreement {
                said.push(format!(
                    "the {what} differ, so a difference may be theirs: {}",
                    agreement.in_words()
                ));
            }
        }
        let times = self.before.started_unix_ms.zip(self.after.started_unix_ms);
        if times.is_some_and(|(before, after)| before > after) {
            said.push("the run that was named first is the newer one".to_owned());
        }
        said
    }

    /// The probes as rows of a table.
    pub fn rows(&self) -> Vec<Row> {
        self.probes.iter().map(row).collect()
    }
}

/// The names of the columns.
pub(super) const HEAD: [&str; 6] = [
    "probe",
    "RTA before",
    "RTA after",
    "difference",
    "× baseline before",
    "× baseline after",
];

fn row(pair: &Pair) -> Row {
    let name = words::named(&pair.name, pair.role);
    let none = || words::NONE.to_owned();
    let fate = |side: &Option<Measured>| {
        let side = side.as_ref();
        side.map_or_else(none, |side| words::fate_of(side.fate.as_ref()))
    };
    let by_baseline = |side: &Option<Measured>| {
        let side = side.as_ref();
        side.and_then(|side| side.by_baseline.clone())
            .unwrap_or_else(none)
    };
    let difference = match (pair.rta_longer_by_ms, pair.change) {
        (None, Change::Same) => "none".to_owned(),
        (None, change) => change.name().to_owned(),
        (Some(0), _) => "0ms".to_owned(),
        (Some(longer), _) => {
            let sign = if longer < 0 { "−" } else { "+" };
            format!("{sign}{}", words::millis(longer.unsigned_abs()))
        }
    };
    [
        name,
        fate(&pair.before),
        fate(&pair.after),
        difference,
        by_baseline(&pair.before),
        by_baseline(&pair.after),
    ]
}

/// Why two runs say nothing of each other.
pub(super) fn means_nothing(
    experiment: &Agreement,
    before: &Account,
    after: &Account,
) -> Vec<String> {
    let mut why = Vec::new();
    match experiment {
        Agreement::Same { .. } => {}
        Agreement::Differs { .. } => why.push(format!(
            "the two runs were asked different things (experiment {})",
            experiment.in_words()
        )),
        Agreement::Unknown => {
            why.push("a journal does not say what its run was asked".to_owned());
        }
    }
    why.extend([before, after].into_iter().filter_map(untold));
    why
}

/// Why a run has no verdict that could be compared.
fn untold(account: &Account) -> Option<String> {
    let run = &account.run;
    let why = match (&account.state, verdict(account)) {
        (RunState::Running, _) => format!("{run} goes on"),
        (RunState::Aborted { .. }, _) => format!("{run} was aborted"),
        (RunState::Ended { .. }, None) => {
            format!("{run} was not judged: its experiment has no steady state")
        }
        (RunState::Ended { .. }, Some(Verdict::Inconclusive(why))) => {
            format!("{run} is inconclusive: {why}")
        }
        (RunState::Ended { .. }, Some(Verdict::Halted(why))) => {
            format!("{run} was halted before its time: {why}")
        }
        (
            RunState::Ended { .. },
            Some(Verdict::Held | Verdict::Deviated(_) | Verdict::Unsafe(_)),
        ) => return None,
    };
    Some(printable::line(&why).into_owned())
}

/// What the two verdicts say of each other; nothing where they are the same.
pub(super) fn verdicts((before, after): (&Verdict, &Verdict)) -> Option<(Change, String)> {
    let change = super::by(severity(before)?.cmp(&severity(after)?));
    let sentence = format!("the verdict was {}, and is {}", before.name(), after.name());
    (change != Change::Same).then_some((change, sentence))
}

const fn severity(verdict: &Verdict) -> Option<u8> {
    match verdict {
        Verdict::Held => Some(0),
        Verdict::Deviated(_) => Some(1),
        Verdict::Unsafe(_) => Some(2),
        Verdict::Halted(_) | Verdict::Inconclusive(_) => None,
    }
}

/// What became of a probe that stands better or worse.
pub(super) fn pair(pair: &Pair) -> Option<(Change, String)> {
    let (before, after) = (pair.before.as_ref()?, pair.after.as_ref()?);
    let name = printable::line(&pair.name);
    let what = if pair.role == Some(ProbeRole::Control) {
        let bad = |side: &Measured| match side.bad() {
            0 => "stayed good".to_owned(),
            bad => format!("was bad from the first fault on ({bad} bad)"),
        };
        format!(
            "the control `{name}` {}, and then {}",
            bad(before),
            bad(after)
        )
    } else {
        let fate = |side: &Measured| side.fate.as_ref().map(Fate::to_string);
        let line = |text: String| printable::line(&text).into_owned();
        format!(
            "`{name}` {}, and then {}",
            line(fate(before)?),
            line(fate(after)?)
        )
    };
    match pair.change {
        Change::Better | Change::Worse => Some((pair.change, what)),
        Change::Same | Change::NotComparable => None,
    }
}
