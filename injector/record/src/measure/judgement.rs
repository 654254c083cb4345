//! What all probes together say of the hypothesis.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use self::What::{Operations, Probe};
use super::{
    Answer, CALM_ANSWERS, Checked, Detected, Fate, Impact, Quality, Reconciliation, Rule, Seen,
    Standing, Times, TooMany, bad,
    checked::{checked, is_of_baseline},
    detected, fate,
    quality::quality,
    spread::{Marked, impact},
};
use crate::operations::{OperationAccount, Stream};
use injector_spec::{
    experiment::{NamedProbe, ProbeMode, ProbeRole, SteadyState},
    quantity::{
        count,
        duration::{self, millis},
    },
};

/// What a run says of its hypothesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// In one word, and why.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The recovery time objective, in milliseconds.
    pub rto_ms: u64,
    /// Faults of the experiment.
    pub planned: usize,
    /// Those of them that hit something.
    pub met: usize,
    /// When what happened.
    pub times: Times,
    /// Each probe, in the order of the experiment.
    pub probes: Vec<Judged>,
    /// The impact of the run, and how it spread; absent where no probe was bad behind the first hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// Whether the target's own alarm noticed; absent where the experiment names no probe for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection: Option<Detected>,
    /// The probes that are asked at one time of the run alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
    /// The answers behind the first hit on the whole, where there is an objective for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualities: Vec<Quality>,
    /// What became of the ledgers, in the order of the experiment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledgers: Vec<Reconciliation>,
}

/// Whether the hypothesis held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "why", rename_all = "kebab-case")]
pub enum Verdict {
    /// The steady state held, or came back in time.
    Held,
    /// It did not.
    Deviated(String),
    /// The run was ended before its time by a condition or a person's `halt`.
    Halted(String),
    /// The run does not tell.
    Inconclusive(String),
    /// A bystander was hurt, or something was not put back.
    Unsafe(String),
}

/// What became of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub role: ProbeRole,
    /// What it asks.
    pub asks: String,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
    /// In front of the first fault.
    pub baseline: Tally,
    /// While faults were on.
    pub under_fault: Tally,
    /// Behind the last fault.
    pub recovery: Tally,
    /// What operations came to beside; absent for a probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Box<OperationAccount>>,
}

/// The answers of one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many there were.
    pub answers: u64,
    /// How many of them were bad.
    pub bad: u64,
    /// The median time of the right ones, in microseconds; 0 where there is none.
    pub p50_us: u64,
    /// What one in a hundred of them exceeds.
    pub p99_us: u64,
}

/// What is measured, with its answers in the order in which they were asked.
#[derive(Clone, Debug)]
pub struct Measured<'m> {
    /// What it is.
    pub what: What<'m>,
    /// Its answers.
    pub answers: Cow<'m, [Answer]>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug)]
pub enum What<'m> {
    /// A probe.
    Probe(&'m NamedProbe),
    /// Operations of a target.
    Operations(&'m Stream),
}

impl What<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Probe(probe) => &probe.name,
            Self::Operations(stream) => &stream.asked().name,
        }
    }

    pub(super) fn role(&self) -> ProbeRole {
        match self {
            Self::Probe(probe) => probe.role,
            Self::Operations(stream) => stream.asked().role,
        }
    }

    /// Operations are watched as long as the run measures.
    pub(super) fn mode(&self) -> ProbeMode {
        match self {
            Self::Probe(probe) => probe.mode,
            Self::Operations(_) => ProbeMode::Continuous,
        }
    }

    fn asks(&self) -> String {
        match self {
            Self::Probe(probe) => probe.question.to_string(),
            Self::Operations(stream) => stream.asked().to_string(),
        }
    }

    pub(super) fn too_many(&self) -> TooMany {
        match self {
            Self::Probe(probe) => probe.question.fails.into(),
            Self::Operations(stream) => stream.asked().ratio.into(),
        }
    }

    /// Why it cannot be judged, where it cannot.
    pub(super) fn unmeasurable(&self) -> Option<String> {
        match self {
            Self::Probe(_) => None,
            Self::Operations(stream) => stream.unmeasurable(),
        }
    }

    pub(super) fn seen(&self) -> Seen {
        match self {
            Self::Probe(probe) => Seen::Asked(probe.pace()),
            Self::Operations(_) => Seen::Everything,
        }
    }
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Case<'c> {
    /// What it is held against.
    pub steady_state: &'c SteadyState,
    /// What was measured.
    pub measured: &'c [Measured<'c>],
    /// The answers of the alarm's probe; empty where there is none.
    pub alarm: &'c [Answer],
    /// When what happened.
    pub times: Times,
    /// Faults of the experiment.
    pub planned: usize,
    /// Those that hit something.
    pub met: usize,
    /// How the run ended before its time, if it did.
    pub cut_short: Option<&'c Verdict>,
}

/// Judges a run whose ledgers are not read yet: [`Judgement::reconcile`] takes them in.
pub fn judge(case: &Case<'_>) -> Judgement {
    let objectives = &case.steady_state.objectives;
    let measured = || {
        let all = case.measured.iter();
        all.filter(|one| one.what.mode() == ProbeMode::Continuous)
    };
    let marked: Vec<Marked<'_>> = measured().map(|one| Marked::of(one, &case.times)).collect();
    let probes: Vec<Judged> = marked.iter().map(|marked| judged(marked, case)).collect();
    let impact = impact(&marked, &case.times);
    let impact_ns = impact.as_ref().map(|impact| impact.at_ns);
    let detect = case.steady_state.detect.as_ref();
    let detection = detect.map(|detect| {
        detected(
            detect,
            case.alarm,
            &case.times,
            impact_ns,
            objectives.detect,
        )
    });
    let mut judgement = Judgement {
        verdict: Verdict::Held,
        rto_ms: millis(objectives.rto),
        planned: case.planned,
        met: case.met,
        times: case.times,
        probes,
        impact,
        detection,
        checks: case
            .measured
            .iter()
            .filter_map(|one| checked(one, &case.times))
            .collect(),
        qualities: measured()
            .filter_map(|one| quality(one, &case.times, objectives))
            .collect(),
        ledgers: Vec::new(),
    };
    judgement.verdict = judgement.judged(case.cut_short);
    judgement
}

/// Why the baseline is none, in one sentence; `None` where it is one.
pub fn unsteady(measured: &[Measured<'_>]) -> Option<String> {
    let of_baseline = measured.iter();
    let mut of_baseline = of_baseline.filter(|one| is_of_baseline(one.what.mode()));
    of_baseline.find_map(|Measured { what, answers }| {
        let name = what.name();
        let number = answers.len();
        let is_enough = number >= CALM_ANSWERS as usize;
        let bad = bad(answers, what.too_many());
        let bad = bad.iter().filter(|is_bad| **is_bad).count();
        match what {
            Probe(_) if !is_enough => {
                let answers = count(number, "answer", "answers");
                Some(format!(
                    "probe `{name}` had {answers} in the baseline, and {CALM_ANSWERS} are needed; make it longer, or \
                     ask more often"
                ))
            }
            Operations(_) if !is_enough => Some(format!(
                "operations `{name}` were {number} in the baseline, and {CALM_ANSWERS} are needed; make it longer, or \
                 let the target do more"
            )),
            Probe(_) if bad > 0 => Some(format!(
                "probe `{name}` was bad in {bad} of {number} answers of the baseline, so a fault would show \
                 nothing; mend that first, or allow for it with `fails 2 of 3`"
            )),
            Operations(_) if bad > 0 => Some(format!(
                "{bad} of {number} operations `{name}` were bad in the baseline, so a fault would show nothing; mend \
                 that first, or allow for it with `ratio`"
            )),
            Operations(stream) => stream
                .unmeasurable()
                .map(|why| format!("operations `{name}` cannot be judged: {why}")),
            Probe(_) => None,
        }
    })
}

fn judged(marked: &Marked<'_>, case: &Case<'_>) -> Judged {
    let Marked { one, bad, left_ns } = marked;
    let Measured { what, answers } = one;
    let rule = Rule {
        rto: case.steady_state.objectives.rto,
        seen: what.seen(),
    };
    let Times {
        faults_ns,
        lifted_ns,
        ended_ns,
        ..
    } = case.times;
    let from = faults_ns.unwrap_or(u64::MAX);
    let to = lifted_ns.unwrap_or(u64::MAX);
    let tally = |from: u64, to: u64| Tally::of(answers, bad, from, to);
    let fate = fate(answers, bad, &case.times, rule);
    let (fate, operations) = match what {
        Probe(_) => (fate, None),
        Operations(stream) => match (stream.unmeasurable(), fate) {
            (Some(why), fate) => {
                let is_met = fate != Fate::NotMet;
                let fate = if is_met {
                    Fate::NotMeasurable { why }
                } else {
                    fate
                };
                return unseen(*what, fate, stream.lost_records());
            }
            (None, fate) => (fate, Some(Box::new(stream.account(ended_ns, *left_ns)))),
        },
    };
    Judged {
        name: what.name().to_owned(),
        role: what.role(),
        asks: what.asks(),
        fate,
        baseline: tally(0, from),
        under_fault: tally(from, to),
        recovery: tally(to, u64::MAX),
        operations,
    }
}

/// Operations of which not all were seen: no number is told of the rest.
fn unseen(what: What<'_>, fate: Fate, lost: u64) -> Judged {
    Judged {
        name: what.name().to_owned(),
        role: what.role(),
        asks: what.asks(),
        fate,
        baseline: Tally::default(),
        under_fault: Tally::default(),
        recovery: Tally::default(),
        operations: Some(Box::new(OperationAccount {
            lost,
            ..OperationAccount::default()
        })),
    }
}

impl Judgement {
    /// This verdict, of a run in which nothing was measured.
    pub fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            rto_ms: 0,
            planned: 0,
            met: 0,
            times: Times::default(),
            probes: Vec::new(),
            impact: None,
            detection: None,
            checks: Vec::new(),
            qualities: Vec::new(),
            ledgers: Vec::new(),
        }
    }

    /// Takes in what became of the ledgers, and judges again; `cut_short` as in [`Case`].
    pub fn reconcile(&mut self, ledgers: Vec<Reconciliation>, cut_short: Option<&Verdict>) {
        self.ledgers = ledgers;
        self.verdict = self.judged(cut_short);
    }

    /// The worst that is proven comes first; what could not be seen comes before what held.
    fn judged(&self, cut_short: Option<&Verdict>) -> Verdict {
        let of = |role| self.probes.iter().filter(move |probe| probe.role == role);
        // A bystander has no time in which it may be hurt: one bad answer is too many, whatever became of it later.
        let bad = |control: &Judged| control.under_fault.bad + control.recovery.bad;
        let mut controls = of(ProbeRole::Control).filter(|_| self.met > 0);
        if let Some(harmed) = controls.find(|control| bad(control) > 0) {
            let answers = bad(harmed);
            return Verdict::Unsafe(format!(
                "the control `{}`, a bystander, was bad from the first fault on ({answers} bad)",
                harmed.name
            ));
        }
        let ledgers: Vec<Standing> = self.ledgers.iter().map(Reconciliation::standing).collect();
        // Where no fault hit anything, what is damaged was so without one.
        let mut harm = ledgers.iter().filter(|_| self.met > 0);
        if let Some(why) = harm.find_map(Standing::harmed) {
            return Verdict::Unsafe(why.to_owned());
        }
        if let Some(cut_short) = cut_short {
            return cut_short.clone();
        }
        if self.met == 0 {
            let why = "no fault hit anything, so nothing was shown; let the target do what the faults are about";
            return Verdict::Inconclusive(why.into());
        }
        let detection = self.detection.as_ref().map(Detected::standing);
        let qualities: Vec<Standing> = self.qualities.iter().map(Quality::standing).collect();
        let checks: Vec<Standing> = self.checks.iter().map(Checked::standing).collect();
        let measured = || checks.iter().chain(&qualities);
        let beside = || measured().chain(&ledgers).chain(&detection);
        let overdue = of(ProbeRole::SteadyState).find_map(|probe| self.overdue(probe));
        let others = beside().filter_map(|standing| standing.deviated().map(str::to_owned));
        let deviated: Vec<String> = overdue.into_iter().chain(others).collect();
        if !deviated.is_empty() {
            return Verdict::Deviated(deviated.join("; "));
        }
        let named = |probe: &Judged| format!("`{}` {}", probe.name, probe.fate);
        let unseen =
            |probe: &&Judged| matches!(probe.fate, Fate::NotMeasurable { .. } | Fate::NotMet);
        if let Some(probe) = self.probes.iter().find(unseen) {
            return Verdict::Inconclusive(named(probe));
        }
        if let Some(why) = beside().find_map(Standing::unseen) {
            return Verdict::Inconclusive(why.to_owned());
        }
        Verdict::Held
    }

    /// For how long a probe was bad, where that was too long.
    fn overdue(&self, probe: &Judged) -> Option<String> {
        let rto = duration::measured(Duration::from_millis(self.rto_ms));
        let bad_for = probe.fate.overdue()?;
        let name = &probe.name;
        Some(format!(
            "`{name}` was bad for {bad_for}, longer than the objective of {rto}"
        ))
    }
}

impl Tally {
    /// The answers that were asked from one moment to another.
    pub(crate) fn of(answers: &[Answer], bad: &[bool], from: u64, to: u64) -> Self {
        let first = answers.partition_point(|answer| answer.begun_ns < from);
        let last = answers
            .partition_point(|answer| answer.begun_ns < to)
            .max(first);
        let right = answers[first..last].iter().filter(|answer| answer.is_right);
        let mut took: Vec<u64> = right
            .map(|answer| answer.ended_ns.saturating_sub(answer.begun_ns) / 1_000)
            .collect();
        took.sort_unstable();
        let rank = |percent: usize| {
            let last = took.len().checked_sub(1)?;
            took.get(last * percent / 100).copied()
        };
        let bad = bad[first..last].iter().filter(|is_bad| **is_bad).count();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            answers: number(last - first),
            bad: number(bad),
            p50_us: rank(50).unwrap_or_default(),
            p99_us: rank(99).unwrap_or_default(),
        }
    }
}
