//! What a run did, on a card: at most [`ROWS`] rows of a terminal, and all of it where the output is none.
//!
//! The outcome comes first, then what each fault met. Parameters, which the run has told when it was armed, are the
//! first to be left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::page::{Line, Page, Rank, Role};
use injector_record::{
    measure::{Judgement, Verdict},
    report::{FaultReport, RunReport, Tone},
};
use injector_spec::quantity::{count, duration};

/// Rows of a terminal that a card takes at most.
const ROWS: usize = 12;

/// The columns of the table.
const HEAD: [&str; 7] = [
    "step",
    "fault",
    "target",
    "mechanism",
    "seen",
    "matched",
    "hit",
];

/// Columns from here on are numbers and stand to the right.
const NUMBERS: usize = 4;

/// The card of a run.
pub fn card(report: &RunReport) -> Page {
    let mut page: Page = lines(report).into_iter().collect();
    let rest = format!("`injector audit {}` has the rest", report.run);
    page = page.at_most(ROWS, Line::all(Role::Dim, rest));
    page
}

impl From<Tone> for Role {
    fn from(tone: Tone) -> Self {
        match tone {
            Tone::Good => Self::Good,
            Tone::Doubtful => Self::Doubtful,
            Tone::Bad => Self::Bad,
            Tone::Open => Self::Strong,
        }
    }
}

fn lines(report: &RunReport) -> Vec<Line> {
    let armed_for = duration::measured(Duration::from_millis(report.armed_for_ms));
    let mut first = Line::plain(format!("{} ({}) ", report.run, report.name));
    if let Some(verdict) = report.verdict() {
        let rto = report
            .judgement
            .as_ref()
            .map_or_else(String::new, |judgement| {
                let rto = duration::measured(Duration::from_millis(judgement.rto_ms));
                format!(" (RTO {rto})")
            });
        first = first
            .and(verdict.tone().into(), verdict.name())
            .and(Role::Plain, format!("{rto}, "));
    }
    let mut lines = vec![
        first
            .and(report.outcome.tone().into(), report.outcome.to_string())
            .and(Role::Plain, format!(", armed for {armed_for}")),
    ];
    let remark = |text: String| Line::plain(format!("    {text}")).ranked(Rank::Useful);
    let why = report.verdict().and_then(Verdict::why);
    lines.extend(why.cloned().map(remark));
    lines.extend(
        report
            .judgement
            .iter()
            .flat_map(|judgement| judged(judgement)),
    );
    lines.extend(table(report));
    lines.extend(report.picked.iter().map(|one| remark(one.to_string())));
    lines.extend(report.remarks.iter().cloned().map(remark));
    if let Some(halt) = &report.halt {
        lines.push(remark(halt.to_string()));
    }
    lines.extend(report.gates.iter().map(|one| remark(one.to_string())));
    lines.extend(report.rollback.iter().map(|one| remark(one.to_string())));
    lines.extend(report.told.iter().map(|told| remark(told.to_string())));
    let errors = report.undo_errors.iter();
    lines.extend(
        errors.map(|error| {
            Line::all(Role::Bad, "not restored:").and(Role::Plain, format!(" {error}"))
        }),
    );
    lines
}

/// What became of each probe.
fn judged(judgement: &Judgement) -> Vec<Line> {
    let remark = |text: String| Line::plain(format!("    {text}")).ranked(Rank::Useful);
    let mut lines = Vec::new();
    lines.extend(
        judgement
            .probes
            .iter()
            .map(|probe| remark(probe.to_string())),
    );
    lines.extend(judgement.beside().into_iter().map(remark));
    lines
}

/// The faults, and under each what a person should know of it.
fn table(report: &RunReport) -> Vec<Line> {
    if report.faults.is_empty() {
        return Vec::new();
    }
    let steps: BTreeSet<_> = report.faults.iter().map(|fault| &fault.step).collect();
    // A step that is the only one says nothing.
    let first = usize::from(steps.len() == 1);
    let rows: Vec<_> = report.faults.iter().map(cells).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    });
    let head = row(&HEAD.map(str::to_owned), &widths, first);
    let mut lines = vec![Line::all(Role::Dim, head.0 + &head.1).ranked(Rank::Useful)];
    let shared = shared_notes(&report.faults);
    for (cells, fault) in rows.iter().zip(&report.faults) {
        let (before, hits) = row(cells, &widths, first);
        let role = if fault.hit == 0 {
            Role::Doubtful
        } else {
            Role::Strong
        };
        lines.push(Line::plain(before).and(role, hits).ranked(Rank::Useful));
        let own = fault.note.as_deref();
        let own = own.filter(|note| !shared.contains_key(note));
        lines.extend(own.map(|note| Line::plain(format!("    {note}")).ranked(Rank::Useful)));
        let did = fault.reactions().into_iter();
        lines.extend(did.map(|did| Line::plain(format!("    {did}")).ranked(Rank::Useful)));
        lines.extend(details(fault));
    }
    lines.extend(shared.into_iter().map(|(note, faults)| {
        Line::plain(format!("    {}: {note}", faults.join(", "))).ranked(Rank::Useful)
    }));
    lines
}

/// The notes that several faults have, and which: each is told once, below the table.
fn shared_notes(faults: &[FaultReport]) -> BTreeMap<&str, Vec<&str>> {
    let mut notes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for fault in faults {
        if let Some(note) = &fault.note {
            notes.entry(note).or_default().push(&fault.fault);
        }
    }
    notes.retain(|_note, faults| faults.len() > 1);
    for faults in notes.values_mut() {
        faults.dedup();
    }
    notes
}

fn details(fault: &FaultReport) -> Vec<Line> {
    let detail = |text: String| Line::plain(format!("    {text}")).ranked(Rank::Detail);
    let mut lines = Vec::new();
    let described = fault.described.to_string();
    if !described.is_empty() {
        lines.push(Line::all(Role::Dim, format!("    {described}")).ranked(Rank::Detail));
    }
    let hit = fault.connections.iter();
    lines.extend(hit.map(|connection| detail(format!("hit {connection}"))));
    let named = u64::try_from(fault.connections.len()).unwrap_or(u64::MAX);
    if named > 0 && fault.hit > named {
        let more = fault.hit - named;
        lines.push(detail(format!(
            "and {}",
            count(more, "more connection", "more connections")
        )));
    }
    lines
}

fn cells(fault: &FaultReport) -> [String; 7] {
    [
        fault.step.clone(),
        fault.fault.clone(),
        fault.target.clone(),
        fault.mechanism.clone(),
        fault.seen.to_string(),
        fault.matched.to_string(),
        fault.hit.to_string(),
    ]
}

/// A row from this column on: what stands before the hits, and the hits.
fn row(cells: &[String; 7], widths: &[usize; 7], first: usize) -> (String, String) {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate().skip(first) {
        text = if column < NUMBERS {
            format!("{text}  {cell:<width$}")
        } else {
            format!("{text}  {cell:>width$}")
        };
    }
    let hits = text.split_off(text.len() - cells[6].len());
    (text, hits)
}

#[cfg(test)]
mod tests;
