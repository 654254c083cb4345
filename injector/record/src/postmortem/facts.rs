//! What an account says of an impact: which probes broke, when, under which faults, and what they answered.

use std::collections::BTreeMap;

use crate::{
    account::{Account, Grade, Happened, Point, Series, Window, words},
    report::FaultReport,
};
use injector_spec::{experiment::ProbeRole, experiment::Target, printable, quantity::count};

/// Texts of wrong answers that are told of a probe.
const TEXTS: usize = 3;

/// The facts of one run.
pub(super) struct Facts<'a> {
    pub(super) account: &'a Account,
    /// The first hit, in microseconds from arming.
    pub(super) hit_us: Option<i64>,
    /// When the last fault was off.
    pub(super) lifted_us: Option<i64>,
    /// Probes of the target that turned bad, the first one first.
    pub(super) broken: Vec<Broken<'a>>,
    /// Controls that turned bad, the first one first.
    pub(super) hurt_controls: Vec<Broken<'a>>,
}

/// A probe that turned bad.
pub(super) struct Broken<'a> {
    pub(super) series: &'a Series,
    /// When, in microseconds from arming.
    pub(super) at_us: i64,
}

/// `at +1.2s`.
pub(super) fn at(us: i64) -> String {
    format!("At {}", words::since_arming(us))
}

impl<'a> Facts<'a> {
    pub(super) fn of(account: &'a Account) -> Self {
        let hit = account
            .timeline
            .iter()
            .find(|moment| moment.what == Happened::FirstHit);
        let last = account.windows.last();
        let broken = |is_control: fn(&Series) -> bool| {
            let mut found: Vec<Broken<'a>> = account
                .probes
                .iter()
                .filter(|series| is_control(series))
                .filter_map(|series| Broken::of(series, account))
                .collect();
            found.sort_by_key(|broken| broken.at_us);
            found
        };
        Self {
            account,
            hit_us: hit.map(|moment| moment.at_us),
            lifted_us: last.and_then(|window| window.to_us),
            broken: broken(|series| series.role != Some(ProbeRole::Control)),
            hurt_controls: broken(|series| series.role == Some(ProbeRole::Control)),
        }
    }

    /// The targets in words.
    pub(super) fn targets(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for fault in &self.account.faults {
            if !names.contains(&fault.target.as_str()) {
                names.push(&fault.target);
            }
        }
        if names.is_empty() {
            return "its target".to_owned();
        }
        let names: Vec<String> = names.into_iter().map(Target::in_words).collect();
        names.join(" and ")
    }

    /// The faults in words.
    pub(super) fn faults(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for fault in &self.account.faults {
            let name = format!("{} {}", fault.fault, fault.described.parameters);
            let name = printable::line(name.trim()).into_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        match names.len() {
            0 => "faults that its journal does not name".to_owned(),
            1..=3 => names.join(" and "),
            more => format!(
                "{} and {}",
                names[..2].join(", "),
                count(more - 2, "other fault", "other faults")
            ),
        }
    }

    /// The window of faults in which a moment lies.
    pub(super) fn window(&self, at_us: i64) -> Option<&'a Window> {
        let mut windows = self.account.windows.iter();
        windows.find(|window| {
            window.from_us <= at_us && window.to_us.is_none_or(|to_us| at_us <= to_us)
        })
    }

    /// What the report says of the faults that were on in a window.
    pub(super) fn reported(&self, window: &Window) -> impl Iterator<Item = &'a FaultReport> {
        let report = self.account.report.iter();
        let faults = report.flat_map(|report| report.faults.iter().enumerate());
        faults.filter_map(|(place, fault)| window.on.contains(&place).then_some(fault))
    }

    /// From when to when something was bad, in a sentence.
    pub(super) fn extent(&self) -> String {
        let Some(first) = self.broken.first() else {
            return if self.account.probes.is_empty() {
                "No probe was asked, so the journal has no impact on the target: only what the faults hit.".to_owned()
            } else {
                "No probe of the target turned bad under the faults.".to_owned()
            };
        };
        let begins = format!(
            "The impact began {} after arming with {}",
            words::micros(first.at_us.unsigned_abs()),
            words::probe(first.series)
        );
        let after_hit = self.after_hit(first.at_us);
        let recovered = self.broken.iter().map(|broken| broken.series.recovered_us);
        let recovered: Option<Vec<i64>> = recovered.collect();
        let ends = match recovered.and_then(|all| all.into_iter().max()) {
            Some(last) => format!(
                ", and lasted {}, until all probes were good again",
                words::micros(last.saturating_sub(first.at_us).unsigned_abs())
            ),
            None => ", and was not known to be over when the run ended".to_owned(),
        };
        let probes = count(self.broken.len(), "probe", "probes");
        format!("{begins}{after_hit}{ends}. {probes} of the target turned bad.")
    }

    /// `, 2s after the first hit`, of a moment that is.
    pub(super) fn after_hit(&self, at_us: i64) -> String {
        let hit = self.hit_us.filter(|hit| *hit <= at_us);
        hit.map_or_else(String::new, |hit| {
            let after = at_us.saturating_sub(hit).unsigned_abs();
            format!(", {} after the first hit", words::micros(after))
        })
    }
}

impl<'a> Broken<'a> {
    /// The impact as it was judged; of a run without a judgement, the first bad answer while faults were on, or later.
    fn of(series: &'a Series, account: &Account) -> Option<Self> {
        let from = account.windows.first().map(|window| window.from_us);
        let by_answers = || {
            let from = from?;
            let mut bad = series
                .answers
                .iter()
                .filter(|point| point.grade == Grade::Bad);
            bad.find(|point| point.end_us() >= from)
                .map(|point| point.at_us.max(from))
        };
        let at_us = match series.fate {
            Some(_) => series.impact_us,
            None => by_answers(),
        }?;
        Some(Self { series, at_us })
    }

    /// The bad answers from the impact on.
    fn bad(&self) -> impl Iterator<Item = &'a Point> {
        let answers = self.series.answers.iter();
        let at_us = self.at_us;
        answers.filter(move |point| point.grade == Grade::Bad && point.end_us() >= at_us)
    }

    /// What the bad answers said, the most frequent first: ` 40 answers: refused.`
    pub(super) fn said(&self) -> String {
        let mut texts: BTreeMap<&str, usize> = BTreeMap::new();
        for wrong in self.bad().filter_map(|point| point.wrong.as_deref()) {
            *texts.entry(wrong).or_default() += 1;
        }
        let mut texts: Vec<(&str, usize)> = texts.into_iter().collect();
        texts.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        let told = texts.iter().take(TEXTS).map(|(text, times)| {
            let answers = count(*times, "answer", "answers");
            format!(" {answers}: {}.", printable::line(text))
        });
        told.collect()
    }
}
