//! What a run does not say, so that silence is not taken for health.

use crate::{
    account::{Account, markdown::capital, words},
    journal::RunState,
    measure::{Detected, Fate, Reconciliation, Standing},
};
use injector_spec::{experiment::ProbeRole, quantity::count};

/// Sentences about what could not be seen. They are not escaped.
pub(super) fn unseen(account: &Account) -> Vec<String> {
    let mut said = Vec::new();
    match &account.state {
        RunState::Running => {
            said.push("The run goes on: this page has what it has told until now.".to_owned());
        }
        RunState::Aborted { .. } => {
            let last = account.last_sign_us();
            let last = last.map_or_else(String::new, |last| {
                format!(" Its last sign came at {}.", words::since_arming(last))
            });
            said.push(format!(
                "The run has no end on record: what came after its last record, and what its faults hit, is not known.{last}"
            ));
        }
        RunState::Ended { .. } => {}
    }
    if account.armed_unix_ms.is_none() {
        said.push("No fault was ever on.".to_owned());
    }
    if account.experiment.is_none() {
        said.push("The record of what was asked is damaged or missing.".to_owned());
    }
    said.extend(of_probes(account));
    said.extend(of_measures(account));
    let faults = account.report.iter().flat_map(|report| &report.faults);
    for fault in faults {
        if fault.hit == 0 {
            let note = fault.note.as_deref().unwrap_or("the journal has no reason");
            said.push(format!(
                "{} in step {} hit nothing, so the run says nothing of it: {note}",
                fault.fault, fault.step
            ));
        }
        if fault.missed > 0 {
            said.push(format!(
                "{} in step {} chose {} of its matches that it could not act on.",
                fault.fault, fault.step, fault.missed
            ));
        }
    }
    let remarks = account.report.iter().flat_map(|report| &report.remarks);
    said.extend(remarks.cloned());
    if let [first, ..] = &account.damaged[..] {
        said.push(format!(
            "{} of the journal cannot be read, the first of them line {}: {}",
            count(account.damaged.len(), "line", "lines"),
            first.line,
            first.why
        ));
    }
    said
}

/// The detection and the ledgers that could not be measured.
fn of_measures(account: &Account) -> Vec<String> {
    let Some(judgement) = account.judgement() else {
        return Vec::new();
    };
    let detection = judgement.detection.iter().map(Detected::standing);
    let ledgers = judgement.ledgers.iter().map(Reconciliation::standing);
    let unseen = detection
        .chain(ledgers)
        .filter_map(|standing| match standing {
            Standing::Unseen(why) => Some(format!("{}.", capital(&why))),
            Standing::Within | Standing::Deviated(_) | Standing::Unsafe(_) => None,
        });
    unseen.collect()
}

fn of_probes(account: &Account) -> Vec<String> {
    let mut said = Vec::new();
    if account.probes.is_empty() {
        said.push(
            "The experiment has no probes: what the faults did to the target was not measured."
                .to_owned(),
        );
        return said;
    }
    for series in &account.probes {
        let probe = words::probe(series);
        match &series.fate {
            Some(Fate::NotMeasurable { why }) => {
                said.push(format!("{probe} cannot be judged: {why}."));
            }
            Some(Fate::NotMet) => said.push(format!("{probe} was met by no fault.")),
            Some(
                Fate::Absorbed
                | Fate::Adapted(_)
                | Fate::Recovered(_)
                | Fate::Late(_)
                | Fate::Never { .. },
            ) => {}
            None => said.push(format!(
                "{probe} was not judged, for the run did not come to its end."
            )),
        }
    }
    let is_control = |role: Option<ProbeRole>| role == Some(ProbeRole::Control);
    if !account.probes.iter().any(|series| is_control(series.role)) {
        said.push(
            "No control was asked: whether a bystander was hurt was not measured.".to_owned(),
        );
    }
    let asked: Vec<String> = account
        .probes
        .iter()
        .filter(|series| !series.asks.is_empty())
        .map(|series| format!("{} ({})", words::probe(series), series.asks))
        .collect();
    if !asked.is_empty() {
        said.push(format!(
            "What happened between two questions of a probe: {}.",
            asked.join(", ")
        ));
    }
    said
}
