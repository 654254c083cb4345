//! The answers of each probe, graded, with what a judgement says of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{origin::Origin, steps::Steps};
use crate::{
    journal::{Record, Replay, Stamped},
    measure::{self, Answer, Fate, Judged, Judgement, Sample, Tally, Times, TooMany},
    operations::{OperationAccount, Second},
};
use injector_spec::experiment::{Experiment, ProbeRole, SteadyState};

/// One probe, with all its answers.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// The probe's name.
    pub name: String,
    /// What it is about; absent where the journal has its answers alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<ProbeRole>,
    /// What it asks; empty where the journal does not say.
    pub asks: String,
    /// What became of it; absent where the run was not judged.
    #[serde(flatten)]
    pub fate: Option<Fate>,
    /// In front of the first fault.
    pub baseline: Tally,
    /// While faults were on.
    pub under_fault: Tally,
    /// Behind the last fault.
    pub recovery: Tally,
    /// The impact, in microseconds from arming; absent where there was none, or the run was not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact_us: Option<i64>,
    /// The recovery, in microseconds from arming.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered_us: Option<i64>,
    /// The answers, in the order in which they were asked; of operations those that the journal has one by one.
    pub answers: Vec<Point>,
    /// What operations came to beside; absent for a probe, and where the run was not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<Box<OperationAccount>>,
    /// The numbers of each second, of operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seconds: Vec<Second>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// When it was asked, in microseconds from arming.
    pub at_us: i64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What it counts as.
    pub grade: Grade,
    /// What was wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

/// What an answer counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// It was right.
    Right,
    /// It failed, among too few failures for the probe's `fails`.
    Forgiven,
    /// It failed, and counts.
    Bad,
}

impl Point {
    /// When the answer was there, in microseconds from arming.
    pub fn end_us(&self) -> i64 {
        self.at_us
            .saturating_add(i64::try_from(self.took_us).unwrap_or(i64::MAX))
    }
}

/// The probes of a run: those of the steady state first, then controls, then those of which the journal has nothing
/// but answers.
pub(super) fn series(
    replay: &Replay,
    experiment: Option<&Experiment>,
    judgement: Option<&Judgement>,
    origin: &Origin,
) -> Vec<Series> {
    let steady_state = experiment.and_then(|experiment| experiment.steady_state.as_ref());
    let known: Vec<Known<'_>> = steady_state.map_or_else(Vec::new, |steady| known(steady));
    // The alarm is no service: its silence is not bad, and its word is in the judgement.
    let detect = steady_state.and_then(|steady| steady.detect.as_ref());
    let is_alarm = |name: &str| detect.is_some_and(|detect| detect.name == name);
    let judged: &[Judged] = judgement.map_or(&[], |judgement| &judgement.probes);
    let mut names: Vec<&str> = known.iter().map(|one| one.name).collect();
    let sampled = replay.records.iter().flat_map(sampled);
    for name in judged
        .iter()
        .map(|probe| probe.name.as_str())
        .chain(sampled.map(|(name, _)| name.as_str()))
    {
        if !names.contains(&name) && !is_alarm(name) {
            names.push(name);
        }
    }
    let times = judgement.map_or_else(|| times(replay, experiment), |judgement| judgement.times);
    let mut all: Vec<Series> = names
        .into_iter()
        .map(|name| {
            let known = known.iter().find(|one| one.name == name);
            let judged = judged.iter().find(|probe| probe.name == name);
            one(name, known, judged, replay, &times, origin)
        })
        .collect();
    all.sort_by_key(|series| match series.role {
        Some(ProbeRole::SteadyState) => 0,
        Some(ProbeRole::Control) => 1,
        None => 2,
    });
    all
}

/// What an experiment says of what is measured under a name.
struct Known<'e> {
    name: &'e str,
    role: ProbeRole,
    asks: String,
    too_many: TooMany,
    /// Whether the journal has all answers one by one.
    is_whole: bool,
}

fn known(steady_state: &SteadyState) -> Vec<Known<'_>> {
    let probes = steady_state.probes.iter().map(|probe| Known {
        name: &probe.name,
        role: probe.role,
        asks: probe.question.to_string(),
        too_many: probe.question.fails.into(),
        is_whole: true,
    });
    let operations = steady_state.operations.iter().map(|operation| Known {
        name: &operation.name,
        role: operation.role,
        asks: operation.to_string(),
        // The journal has all bad ones and few of the good, so a share of them says nothing.
        too_many: TooMany { count: 1, of: 1 },
        is_whole: false,
    });
    probes.chain(operations).collect()
}

/// The seconds of operations under a name, in their order; what ended later is added to its own.
fn seconds(name: &str, replay: &Replay) -> Vec<Second> {
    let mut all: BTreeMap<u64, Second> = BTreeMap::new();
    for stamped in &replay.records {
        let Record::Operated { seconds } = &stamped.record else {
            continue;
        };
        for second in seconds.get(name).into_iter().flatten() {
            let sum = all.entry(second.at_ns).or_default();
            *sum = sum.and(second);
        }
    }
    all.into_values().collect()
}

fn sampled(stamped: &Stamped) -> impl Iterator<Item = (&String, &Vec<Sample>)> {
    let answers = match &stamped.record {
        Record::Sampled { answers } => Some(answers),
        _ => None,
    };
    answers.into_iter().flatten()
}

fn one(
    name: &str,
    known: Option<&Known<'_>>,
    judged: Option<&Judged>,
    replay: &Replay,
    times: &Times,
    origin: &Origin,
) -> Series {
    let records = replay.records.iter().flat_map(sampled);
    let mut samples: Vec<&Sample> = records
        .filter(|(probe, _)| *probe == name)
        .flat_map(|(_, samples)| samples)
        .collect();
    samples.sort_by_key(|sample| sample.at_ns);
    let answers: Vec<Answer> = samples.iter().map(|sample| Answer::from(*sample)).collect();
    let one_is_too_many = TooMany { count: 1, of: 1 };
    let bad = measure::bad(&answers, known.map_or(one_is_too_many, |one| one.too_many));
    let (from, to) = (
        times.faults_ns.unwrap_or(u64::MAX),
        times.lifted_ns.unwrap_or(u64::MAX),
    );
    let is_whole = known.is_none_or(|one| one.is_whole);
    let tally = |from, to| {
        if is_whole {
            Tally::of(&answers, &bad, from, to)
        } else {
            Tally::default()
        }
    };
    let impact_ns = judged.and_then(|judged| impact(judged, &answers, &bad, times));
    Series {
        name: name.to_owned(),
        role: known
            .map(|one| one.role)
            .or(judged.map(|judged| judged.role)),
        asks: known.map_or_else(
            || judged.map_or_else(String::new, |judged| judged.asks.clone()),
            |one| one.asks.clone(),
        ),
        fate: judged.map(|judged| judged.fate.clone()),
        baseline: judged.map_or_else(|| tally(0, from), |judged| judged.baseline),
        under_fault: judged.map_or_else(|| tally(from, to), |judged| judged.under_fault),
        recovery: judged.map_or_else(|| tally(to, u64::MAX), |judged| judged.recovery),
        impact_us: impact_ns.map(|at| origin.micros(at)),
        recovered_us: impact_ns
            .zip(judged.and_then(|judged| judged.fate.recovery()))
            .map(|(at, took)| origin.micros(after(at, took.rta_ms))),
        answers: samples
            .iter()
            .zip(&bad)
            .map(|(sample, is_bad)| point(sample, *is_bad, origin))
            .collect(),
        operations: judged.and_then(|judged| judged.operations.clone()),
        seconds: seconds(name, replay),
    }
}

fn point(sample: &Sample, is_bad: bool, origin: &Origin) -> Point {
    let grade = match (&sample.wrong, is_bad) {
        (None, _) => Grade::Right,
        (Some(_), false) => Grade::Forgiven,
        (Some(_), true) => Grade::Bad,
    };
    Point {
        at_us: origin.micros(sample.at_ns),
        took_us: sample.took_us,
        grade,
        wrong: sample.wrong.clone(),
    }
}

/// The impact, on the boot clock: as the judgement says, and where it does not, by the answers.
fn impact(judged: &Judged, answers: &[Answer], bad: &[bool], times: &Times) -> Option<u64> {
    let hit = times.hit_ns?;
    match &judged.fate {
        Fate::Adapted(took) | Fate::Recovered(took) | Fate::Late(took) => {
            Some(after(hit, took.impact_after_ms))
        }
        Fate::Never { .. } | Fate::NotMeasurable { .. } => {
            let mut graded = answers.iter().zip(bad);
            let found = graded.find(|(answer, is_bad)| **is_bad && answer.ended_ns >= hit);
            found.map(|(answer, _)| answer.begun_ns.max(hit))
        }
        Fate::NotMet | Fate::Absorbed => None,
    }
}

fn after(boot_ns: u64, ms: u64) -> u64 {
    boot_ns.saturating_add(ms.saturating_mul(1_000_000))
}

/// When faults were on, by the steps alone: of a run that was not judged.
fn times(replay: &Replay, experiment: Option<&Experiment>) -> Times {
    let has_faults = |number: usize| experiment.is_some_and(|one| !one.is_quiet(number));
    let mut times = Times::default();
    let mut steps = Steps::of(experiment);
    let mut is_acting = false;
    for stamped in &replay.records {
        match &stamped.record {
            Record::StepStarted { step } => {
                is_acting = has_faults(steps.begin(step));
                if is_acting {
                    times.faults_ns.get_or_insert(stamped.boot_ns);
                    // Until it is known that they are off again.
                    times.lifted_ns = None;
                }
            }
            Record::StepEnded { .. } if is_acting => {
                times.lifted_ns = Some(stamped.boot_ns);
            }
            _ => {}
        }
    }
    times
}
