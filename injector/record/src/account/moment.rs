//! What happened in a run, in order: the records that matter to a reader, and the moments that a judgement found.

use std::fmt;

use serde::Serialize;

use super::{origin::Origin, series::Series};
use crate::{
    escalation::Escalated,
    gate::GateReport,
    journal::{Record, Replay},
    measure::{Detection, Judgement},
    notice::Notice,
    report::Outcome,
    rollback::RolledBack,
    scheduled::Scheduled,
};
use injector_plan::policy::Override;
use injector_spec::{experiment::Target, printable};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When, in microseconds from arming.
    pub at_us: i64,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "happened", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are the records' own")]
pub enum Happened {
    /// The run exists; nothing has been touched.
    Started { by_uid: u32, by_pid: u32 },
    /// A limit of the host was to be lifted.
    LimitLifted {
        limit: Override,
        /// What it would have refused; absent where the run keeps the limit.
        lifted: Option<String>,
    },
    /// The schedule has drawn it.
    Scheduled { drawn: Scheduled },
    /// It is known how it will be done.
    Planned,
    /// The first fault is on, or may be.
    Armed,
    /// A step began.
    StepStarted { step: String },
    /// It ended.
    StepEnded { step: String },
    /// It waited at a gate.
    GateWaits { step: String, until: String },
    /// It waited no longer.
    GateEnded { report: GateReport },
    /// No fault had hit before this moment, and one had at the next look.
    FirstHit,
    /// A probe turned bad.
    Impact { probe: String },
    /// It was good again, and stayed so.
    Recovered { probe: String },
    /// The target's own alarm was on.
    Detected { probe: String },
    /// None of a target's processes was left.
    TargetEnded { target: String, how: String },
    /// It was there again, and faults met it.
    TargetMet { target: String },
    /// What came back under its name was spared.
    TargetNotMet { target: String, why: String },
    /// A host setting could not be put back.
    RestoreFailed { why: String },
    /// A command of the rollback had ended, or was not begun.
    RolledBack { result: RolledBack },
    /// A recipient was told of the end, or could not be.
    Told { notice: Notice },
    /// A decision was asked of people: one turn of that.
    Escalated { turn: Escalated },
    /// The run was over and nothing of it was left.
    Ended {
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// It broke off, says the process that cleaned up.
    Aborted { why: String },
}

/// All of them, the first one first.
pub(super) fn timeline(
    replay: &Replay,
    judgement: Option<&Judgement>,
    probes: &[Series],
    origin: &Origin,
) -> Vec<Moment> {
    let records = replay.records.iter().filter_map(|stamped| {
        Some(Moment {
            at_us: origin.of_record(stamped),
            what: Happened::of(&stamped.record)?,
        })
    });
    let hit = judgement.and_then(|judgement| judgement.times.hit_ns);
    let hit = hit.map(|hit| Moment {
        at_us: origin.micros(hit),
        what: Happened::FirstHit,
    });
    let turns = probes.iter().flat_map(|series| {
        let probe = || series.name.clone();
        let impact = series.impact_us.map(|at_us| Moment {
            at_us,
            what: Happened::Impact { probe: probe() },
        });
        let recovered = series.recovered_us.map(|at_us| Moment {
            at_us,
            what: Happened::Recovered { probe: probe() },
        });
        impact.into_iter().chain(recovered)
    });
    let detected = judgement.and_then(|judgement| detected(judgement, origin));
    let mut moments: Vec<Moment> = records.chain(hit).chain(turns).chain(detected).collect();
    moments.sort_by_key(|moment| moment.at_us);
    moments
}

fn detected(judgement: &Judgement, origin: &Origin) -> Option<Moment> {
    let detected = judgement.detection.as_ref()?;
    let Detection::Detected { after_ms, .. } = detected.came else {
        return None;
    };
    let impact = judgement.impact.as_ref()?;
    let at_ns = impact
        .at_ns
        .saturating_add(after_ms.saturating_mul(1_000_000));
    Some(Moment {
        at_us: origin.micros(at_ns),
        what: Happened::Detected {
            probe: detected.probe.clone(),
        },
    })
}

impl Happened {
    /// What a record tells a reader; `None` where that stands elsewhere in the account, or matters to cleanup alone.
    fn of(record: &Record) -> Option<Self> {
        Some(match record {
            Record::Started { by_uid, by_pid, .. } => Self::Started {
                by_uid: *by_uid,
                by_pid: *by_pid,
            },
            Record::Overridden { limit, lifted, .. } => Self::LimitLifted {
                limit: limit.clone(),
                lifted: lifted.clone(),
            },
            Record::Scheduled { drawn } => Self::Scheduled {
                drawn: drawn.clone(),
            },
            Record::Planned { .. } => Self::Planned,
            Record::Armed => Self::Armed,
            Record::StepStarted { step } => Self::StepStarted { step: step.clone() },
            Record::StepEnded { step } => Self::StepEnded { step: step.clone() },
            Record::GateWaits { step, until } => Self::GateWaits {
                step: step.clone(),
                until: until.clone(),
            },
            Record::GateEnded { report } => Self::GateEnded {
                report: report.clone(),
            },
            Record::TargetEnded { target, how, .. } => Self::TargetEnded {
                target: target.clone(),
                how: how.clone(),
            },
            Record::TargetMet { target, .. } => Self::TargetMet {
                target: target.clone(),
            },
            Record::TargetNotMet { target, why, .. } => Self::TargetNotMet {
                target: target.clone(),
                why: why.clone(),
            },
            Record::RestoreFailed { why, .. } => Self::RestoreFailed { why: why.clone() },
            Record::RolledBack { result } => Self::RolledBack {
                result: result.clone(),
            },
            Record::Escalated { turn } => Self::Escalated { turn: turn.clone() },
            Record::Told { notice } => Self::Told {
                notice: notice.clone(),
            },
            Record::Ended { report } => Self::Ended {
                outcome: report.outcome.clone(),
            },
            Record::Aborted { why } => Self::Aborted { why: why.clone() },
            Record::Sampled { .. }
            | Record::Operated { .. }
            | Record::Change { .. }
            | Record::Changed { .. }
            | Record::Restored { .. }
            | Record::Halted { .. }
            | Record::Resumed { .. } => return None,
        })
    }
}

impl fmt::Display for Happened {
    /// On one line, with names escaped.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = printable::line;
        match self {
            Self::Started { by_uid, by_pid } => {
                write!(out, "started by user {by_uid}, process {by_pid}")
            }
            Self::LimitLifted { limit, lifted } => {
                let what = lifted
                    .as_deref()
                    .unwrap_or("the run keeps that limit anyway");
                write!(out, "{}: {}", line(&limit.to_string()), line(what))
            }
            Self::Scheduled { drawn } => drawn.fmt(out),
            Self::Planned => out.write_str("planned"),
            Self::Armed => out.write_str("armed"),
            Self::StepStarted { step } => write!(out, "step {} begins", line(step)),
            Self::StepEnded { step } => write!(out, "step {} ends", line(step)),
            Self::GateWaits { step, until } => {
                write!(out, "gate {} waits for {}", line(step), line(until))
            }
            Self::GateEnded { report } => report.fmt(out),
            Self::FirstHit => out.write_str("the first hit"),
            Self::Impact { probe } => write!(out, "impact: probe {} turns bad", line(probe)),
            Self::Recovered { probe } => {
                write!(out, "recovery: probe {} is good again", line(probe))
            }
            Self::Detected { probe } => {
                write!(out, "detection: the alarm of probe {} is on", line(probe))
            }
            Self::TargetEnded { target, how } => {
                write!(out, "{} ended: {}", Target::in_words(target), line(how))
            }
            Self::TargetMet { target } => {
                write!(out, "{} is met again", Target::in_words(target))
            }
            Self::TargetNotMet { target, why } => {
                let target = Target::in_words(target);
                write!(out, "what came back as {target} is not met: {}", line(why))
            }
            Self::RestoreFailed { why } => {
                write!(out, "a host setting could not be put back: {}", line(why))
            }
            Self::RolledBack { result } => result.fmt(out),
            Self::Told { notice } => notice.fmt(out),
            Self::Escalated { turn } => turn.fmt(out),
            Self::Ended { outcome } => write!(out, "ended: {}", line(&outcome.to_string())),
            Self::Aborted { why } => write!(out, "aborted: {}", line(why)),
        }
    }
}
