//! Runs as a table: what `injector list` shows people. Programs get all of it as JSON.

use std::time::Duration;

use injector_engine::page::{Line, Role};
use injector_record::{
    journal::{ListedRun, RunState},
    measure::Verdict,
    report::Tone,
};
use injector_spec::{
    printable,
    quantity::{count, duration},
};

/// Which runs a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The newest [`NEWEST`].
    Newest,
    /// Every one.
    All,
}

/// So many fit on a screen.
pub(super) const NEWEST: usize = 20;

const HEADER: [&str; 6] = ["RUN", "AGE", "HITS", "TARGET", "NAME", "STATE"];

/// The table, the newest run last; the faults of those that go on stand below them. So many `older` ones are not
/// among the runs.
pub(super) fn table(runs: &[ListedRun], older: usize, now_unix_ms: u64) -> Vec<Line> {
    let rows: Vec<[String; 6]> = runs.iter().map(|listed| row(listed, now_unix_ms)).collect();
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([HEADER[at].len()]).max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    let line = |cells: [&str; 6]| {
        let [first @ .., last] = cells;
        let mut line = String::new();
        for (cell, width) in first.into_iter().zip(widths) {
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            line.push_str(cell);
            line.push_str(&" ".repeat(gap));
        }
        (line, last.to_owned())
    };
    let mut lines = Vec::new();
    if older > 0 {
        let runs = if older == 1 { "run" } else { "runs" };
        let older = format!("{older} older {runs}: `injector list --all` shows them");
        lines.push(Line::all(Role::Dim, older));
    }
    let (before, state) = line(HEADER);
    lines.push(Line::all(Role::Dim, before + &state));
    for (listed, row) in runs.iter().zip(&rows) {
        let (before, state) = line(row.each_ref().map(String::as_str));
        lines.push(Line::plain(before).and(tone(listed), state));
        if listed.state == RunState::Running {
            let faults = listed.faults.iter();
            lines.extend(faults.map(|fault| Line::plain(format!("    {fault}"))));
        }
    }
    lines
}

/// How a run is coloured: by its verdict, where it was judged.
pub(super) fn tone(listed: &ListedRun) -> Role {
    let tone = match &listed.state {
        RunState::Running => Tone::Open,
        RunState::Ended { outcome } => {
            verdict(listed).map_or_else(|| outcome.tone(), Verdict::tone)
        }
        RunState::Aborted { .. } => Tone::Bad,
    };
    tone.into()
}

/// How it stands with a run, or what came of it: `held, completed`.
pub(super) fn standing(listed: &ListedRun) -> String {
    let state = &listed.state;
    verdict(listed).map_or_else(
        || state.to_string(),
        |verdict| format!("{}, {state}", verdict.name()),
    )
}

fn verdict(listed: &ListedRun) -> Option<&Verdict> {
    listed.report.as_ref()?.verdict()
}

fn row(listed: &ListedRun, now_unix_ms: u64) -> [String; 6] {
    let age = listed.started_unix_ms.map_or_else(
        || "unknown".to_owned(),
        |started| age(Duration::from_millis(now_unix_ms.saturating_sub(started))),
    );
    let hits = listed.report.as_ref().map_or_else(
        || "-".to_owned(),
        |report| {
            let hits: u64 = report.faults.iter().map(|fault| fault.hit).sum();
            hits.to_string()
        },
    );
    let mut targets: Vec<&str> = listed
        .faults
        .iter()
        .map(|fault| fault.target.as_str())
        .collect();
    targets.dedup();
    [
        listed.run.to_string(),
        age,
        hits,
        printable::line(&targets.join(",")).into_owned(),
        printable::line(&listed.name).into_owned(),
        printable::line(&state(listed)).into_owned(),
    ]
}

/// A time by its two largest units: more says nothing of a run that is days old.
fn age(since: Duration) -> String {
    let seconds = since.as_secs();
    let step = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    // One word, so that the columns stay apart.
    duration::format(Duration::from_secs(seconds - seconds % step)).replace(' ', "")
}

/// How it stands with a run, or how it ended.
fn state(listed: &ListedRun) -> String {
    let mut text = standing(listed);
    let to_restore = listed.to_restore.len();
    if listed.state != RunState::Running && to_restore > 0 {
        let settings = count(to_restore, "host setting", "host settings");
        text = format!("{text}; {settings} to restore");
    }
    if listed.damaged_lines > 0 {
        let lines = count(listed.damaged_lines, "damaged line", "damaged lines");
        text = format!("{text}; {lines} in its journal");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(number: u64, state: RunState) -> ListedRun {
        ListedRun {
            run: format!("r{number:012x}").parse().unwrap(),
            name: "net.delay".to_owned(),
            state,
            started_unix_ms: Some(1_000),
            supervisor: None,
            asked: None,
            to_restore: Vec::new(),
            faults: Vec::new(),
            damaged_lines: 0,
            report: None,
        }
    }

    fn texts(runs: &[ListedRun], older: usize) -> Vec<String> {
        let lines = table(runs, older, 66_000);
        lines.iter().map(Line::text).collect()
    }

    fn gone(number: u64) -> ListedRun {
        listed(number, RunState::Aborted { why: None })
    }

    #[test]
    fn the_newest_are_shown_and_the_others_are_named() {
        let runs: Vec<ListedRun> = (4..=23).map(gone).collect();
        let lines = texts(&runs, 3);
        assert_eq!(lines[0], "3 older runs: `injector list --all` shows them");
        assert!(lines[1].starts_with("RUN") && lines[1].ends_with("STATE"));
        assert_eq!(lines.len(), 22);
        assert!(lines[2].starts_with("r000000000004  1m5s"), "{}", lines[2]);
        assert_eq!(texts(&runs, 0).len(), 21);
    }

    #[test]
    fn columns_stand_below_their_names() {
        let lines = texts(&[gone(1), listed(2, RunState::Running)], 0);
        for (title, cell) in [("AGE", "1m5s"), ("NAME", "net.delay"), ("STATE", "running")] {
            assert_eq!(lines[0].find(title), lines[2].find(cell), "{lines:#?}");
        }
    }

    #[test]
    fn an_age_has_two_units_at_most() {
        for (seconds, text) in [(5, "5s"), (65, "1m5s"), (3_700, "1h1m"), (90_061, "1d1h")] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}
