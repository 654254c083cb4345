//! An account as one file of HTML that needs neither a script nor a network, to be kept, sent and printed.
//!
//! The template `report.html` has its form. Askama escapes each text where it is put in; what cannot be seen or turns
//! text around is escaped before that, as on a terminal. A policy in the file itself lets no browser load or run
//! anything, were a text to get through both.
//!
//! Rejected: a charting library. It is a script of a megabyte for a picture that stands still, and is no evidence
//! where scripts are off.

use askama::Template;

use super::{Account, Again, Happened, Headline, Series, chart::Chart, environment, words};
use crate::{
    escalation::Escalated,
    measure::Fate,
    report::{FaultReport, RunReport, Tone},
    trials::{Score, Trial},
};
use injector_spec::{
    experiment::{Placed, ProbeRole},
    printable,
};

/// What the template fills in. Each text is on one line and has nothing unseen in it, except for the plan and the file,
/// which have lines.
#[derive(Template)]
#[template(path = "report.html")]
struct Document {
    run: String,
    name: String,
    headline: Headline,
    /// How well the target stood the faults; absent where the run does not tell.
    score: Option<String>,
    hypothesis: Option<String>,
    /// What a reader should know besides.
    remarks: Vec<String>,
    /// What was measured beside recoveries.
    beside: Vec<String>,
    recovery_head: String,
    probes: Vec<Row>,
    /// Under each heading its pictures; none is empty.
    charts: Vec<(&'static str, Vec<Chart>)>,
    faults: Vec<Fault>,
    timeline: Vec<Entry>,
    plan: Option<String>,
    environment: Vec<(&'static str, String)>,
    again: Option<Again>,
}

/// A probe in the table.
struct Row {
    name: String,
    baseline: String,
    under_fault: String,
    by_baseline: String,
    recovery: String,
}

/// A fault in the table.
struct Fault {
    step: String,
    name: String,
    target: String,
    /// Mechanism, seen, matched, hit.
    numbers: [String; 4],
    described: String,
    note: Option<String>,
}

/// A moment in the timeline.
struct Entry {
    at: String,
    what: String,
    /// Whether it is one of those that a reader looks for.
    weight: &'static str,
}

/// The score of this run by itself.
fn score(account: &Account) -> Option<String> {
    let trial = Trial::Ran(Box::new(account.report.clone()?));
    Score::of(&[&[trial]]).map(|score| score.to_string())
}

/// The account as HTML.
///
/// # Errors
/// None that a reader could mend: a text that cannot be formatted.
pub fn html(account: &Account) -> Result<String, askama::Error> {
    let line = |text: &str| printable::line(text).into_owned();
    let (mut of_target, mut of_bystanders) = (Vec::new(), Vec::new());
    for (series, chart) in Chart::all(account) {
        match series.role {
            Some(ProbeRole::SteadyState) | None => of_target.push(chart),
            Some(ProbeRole::Control) => of_bystanders.push(chart),
        }
    }
    let reported = account.report.iter().flat_map(|report| &report.faults);
    let faults: Vec<Fault> = reported.map(Fault::reported).collect();
    let document = Document {
        run: account.run.to_string(),
        name: line(&account.name),
        headline: account.headline(),
        score: score(account),
        hypothesis: account.hypothesis.as_deref().map(line),
        remarks: remarks(account),
        beside: account.beside().iter().map(|said| line(said)).collect(),
        recovery_head: words::recovery_head(account),
        probes: account.probes.iter().map(Row::of).collect(),
        charts: [
            ("Target", of_target),
            (
                "Controls: bystanders, which no fault may reach",
                of_bystanders,
            ),
        ]
        .into_iter()
        .filter(|(_, charts)| !charts.is_empty())
        .collect(),
        faults: if faults.is_empty() {
            account.faults.iter().map(Fault::planned).collect()
        } else {
            faults
        },
        timeline: timeline(account),
        plan: account
            .plan
            .as_deref()
            .map(|plan| printable::lines(plan).into_owned()),
        environment: environment::environment(account),
        again: account.again(),
    };
    document.render()
}

impl Tone {
    /// The class that has its colour.
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Doubtful => "doubtful",
            Self::Bad => "bad",
            Self::Open => "open",
        }
    }
}

impl Row {
    fn of(series: &Series) -> Self {
        Self {
            name: words::probe(series),
            baseline: words::tally(series.baseline),
            under_fault: words::tally(series.under_fault),
            by_baseline: words::by_baseline(series),
            recovery: words::fate(series),
        }
    }
}

impl Fault {
    fn reported(fault: &FaultReport) -> Self {
        let line = |text: &str| printable::line(text).into_owned();
        let [seen, matched, hit] =
            [fault.seen, fault.matched, fault.hit].map(|number| number.to_string());
        Self {
            step: line(&fault.step),
            name: line(&fault.fault),
            target: line(&fault.target),
            numbers: [line(&fault.mechanism), seen, matched, hit],
            described: line(&fault.described.to_string()),
            note: {
                let all = fault.note.iter().cloned().chain(fault.reactions());
                let all: Vec<String> = all.map(|one| line(&one)).collect();
                (!all.is_empty()).then(|| all.join("; "))
            },
        }
    }

    /// A fault of which there is no report.
    fn planned(fault: &Placed) -> Self {
        let line = |text: &str| printable::line(text).into_owned();
        let none = || words::NONE.to_owned();
        let mechanism = fault.mechanism.as_deref().map_or_else(none, line);
        Self {
            step: line(&fault.step),
            name: line(&fault.fault),
            target: line(&fault.target),
            numbers: [mechanism, none(), none(), none()],
            described: line(&fault.described.to_string()),
            note: None,
        }
    }
}

fn remarks(account: &Account) -> Vec<String> {
    let unseen = account
        .probes
        .iter()
        .filter_map(|series| match &series.fate {
            Some(Fate::NotMeasurable { why }) => Some(format!("{}: {why}", words::probe(series))),
            _ => None,
        });
    let report = account.report.iter();
    let of_report = report.flat_map(|report| {
        let RunReport {
            remarks,
            undo_errors,
            halt,
            gates,
            rollback,
            ..
        } = report;
        let errors = undo_errors
            .iter()
            .map(|error| format!("not restored: {error}"));
        let halt = halt.iter().map(ToString::to_string);
        let rollback = rollback.iter().map(ToString::to_string);
        let remarks = remarks.iter().cloned();
        let gates = gates.iter().map(ToString::to_string);
        remarks
            .chain(gates)
            .chain(errors)
            .chain(halt)
            .chain(rollback)
    });
    unseen
        .chain(words::operations(account))
        .chain(of_report)
        .map(|remark| printable::line(&remark).into_owned())
        .collect()
}

fn timeline(account: &Account) -> Vec<Entry> {
    let entry = |moment: &super::Moment| Entry {
        at: words::since_arming(moment.at_us),
        what: moment.what.to_string(),
        weight: match moment.what {
            Happened::Impact { .. }
            | Happened::Aborted { .. }
            | Happened::RestoreFailed { .. }
            | Happened::TargetEnded { .. } => "bad",
            Happened::GateEnded { ref report } if !report.is_open() => "doubtful",
            Happened::RolledBack { ref result } if !result.is_done() => "bad",
            Happened::Recovered { .. } | Happened::Detected { .. } | Happened::TargetMet { .. } => {
                "good"
            }
            Happened::TargetNotMet { .. }
            | Happened::LimitLifted { .. }
            | Happened::Escalated {
                turn:
                    Escalated::NotReached { .. }
                    | Escalated::NotAsked { .. }
                    | Escalated::Unanswered { .. },
            } => "doubtful",
            Happened::Started { .. }
            | Happened::Scheduled { .. }
            | Happened::Planned
            | Happened::Armed
            | Happened::StepStarted { .. }
            | Happened::StepEnded { .. }
            | Happened::GateWaits { .. }
            | Happened::GateEnded { .. }
            | Happened::FirstHit
            | Happened::RolledBack { .. }
            | Happened::Told { .. }
            | Happened::Escalated { .. }
            | Happened::Ended { .. } => "plain",
        },
    };
    account.timeline.iter().map(entry).collect()
}
