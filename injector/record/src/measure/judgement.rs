//! What all probes together say of the hypothesis.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use self::What::{Operations, Probe};
use super::{Answer, CALM_ANSWERS, Fate, Rule, Seen, Times, TooMany, bad, fate};
use crate::operations::{OperationAccount, Stream};
use injector_spec::{
    experiment::{NamedProbe, ProbeRole, SteadyState},
    quantity::{count, duration},
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
    fn name(&self) -> &str {
        match self {
            Self::Probe(probe) => &probe.name,
            Self::Operations(stream) => &stream.asked().name,
        }
    }

    fn role(&self) -> ProbeRole {
        match self {
            Self::Probe(probe) => probe.role,
            Self::Operations(stream) => stream.asked().role,
        }
    }

    fn asks(&self) -> String {
        match self {
            Self::Probe(probe) => probe.question.to_string(),
            Self::Operations(stream) => stream.asked().to_string(),
        }
    }

    fn too_many(&self) -> TooMany {
        match self {
            Self::Probe(probe) => probe.question.fails.into(),
            Self::Operations(stream) => stream.asked().ratio.into(),
        }
    }

    fn seen(&self) -> Seen {
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
    /// When what happened.
    pub times: Times,
    /// Faults of the experiment.
    pub planned: usize,
    /// Those that hit something.
    pub met: usize,
    /// How the run ended before its time, if it did.
    pub cut_short: Option<&'c Verdict>,
}

/// Judges a run.
pub fn judge(case: &Case<'_>) -> Judgement {
    let probes: Vec<Judged> = case.measured.iter().map(|one| judged(one, case)).collect();
    Judgement {
        verdict: verdict(case, &probes),
        rto_ms: u64::try_from(case.steady_state.objectives.rto.as_millis()).unwrap_or(u64::MAX),
        planned: case.planned,
        met: case.met,
        times: case.times,
        probes,
    }
}

/// Why the baseline is none, in one sentence; `None` where it is one.
pub fn unsteady(measured: &[Measured<'_>]) -> Option<String> {
    measured.iter().find_map(|Measured { what, answers }| {
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

fn judged(Measured { what, answers }: &Measured<'_>, case: &Case<'_>) -> Judged {
    let bad = bad(answers, what.too_many());
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
    let tally = |from: u64, to: u64| Tally::of(answers, &bad, from, to);
    let fate = fate(answers, &bad, &case.times, rule);
    let (fate, operations) = match what {
        Probe(_) => (fate, None),
        Operations(stream) => {
            let impact = impact(answers, &bad, &case.times);
            match (stream.unmeasurable(), fate) {
                (Some(why), fate) => {
                    let is_met = fate != Fate::NotMet;
                    let fate = if is_met {
                        Fate::NotMeasurable { why }
                    } else {
                        fate
                    };
                    return unseen(*what, fate, stream.lost_records());
                }
                (None, fate) => (fate, Some(Box::new(stream.account(ended_ns, impact)))),
            }
        }
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

/// When the first bad answer of the faults began, or the first hit, whichever is later.
fn impact(answers: &[Answer], bad: &[bool], times: &Times) -> Option<u64> {
    let hit = times.hit_ns?;
    let mut graded = answers.iter().zip(bad);
    let found = graded.find(|(answer, is_bad)| **is_bad && answer.ended_ns >= hit);
    found.map(|(answer, _)| answer.begun_ns.max(hit))
}

/// The worst that is proven comes first; what could not be seen comes before what held.
fn verdict(case: &Case<'_>, probes: &[Judged]) -> Verdict {
    let of = |role| probes.iter().filter(move |probe| probe.role == role);
    // A bystander has no time in which it may be hurt: one bad answer is too many, whatever became of it later.
    let bad = |control: &Judged| control.under_fault.bad + control.recovery.bad;
    let mut controls = of(ProbeRole::Control).filter(|_| case.met > 0);
    if let Some(harmed) = controls.find(|control| bad(control) > 0) {
        let answers = bad(harmed);
        return Verdict::Unsafe(format!(
            "the control `{}`, a bystander, was bad from the first fault on ({answers} bad)",
            harmed.name
        ));
    }
    if let Some(cut_short) = case.cut_short {
        return cut_short.clone();
    }
    if case.met == 0 {
        let why = "no fault hit anything, so nothing was shown; let the target do what the faults are about";
        return Verdict::Inconclusive(why.into());
    }
    let named = |probe: &Judged| format!("`{}` {}", probe.name, probe.fate);
    let rto = duration::measured(case.steady_state.objectives.rto);
    let deviated =
        of(ProbeRole::SteadyState).find_map(|probe| Some((probe, probe.fate.overdue()?)));
    if let Some((probe, bad_for)) = deviated {
        let name = &probe.name;
        return Verdict::Deviated(format!(
            "`{name}` was bad for {bad_for}, longer than the objective of {rto}"
        ));
    }
    let unseen = |probe: &&Judged| matches!(probe.fate, Fate::NotMeasurable { .. } | Fate::NotMet);
    if let Some(probe) = probes.iter().find(unseen) {
        return Verdict::Inconclusive(named(probe));
    }
    Verdict::Held
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
