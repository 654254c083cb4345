//! The one table that a bench prints, and the verdicts below it.

use std::process::ExitCode;

use anyhow::{Result, ensure};

/// A bench's main function: it needs root, and fails where a promise does not hold.
pub fn bench(run: impl FnOnce() -> Result<bool>) -> ExitCode {
    let as_root = || {
        ensure!(
            rustix::process::geteuid().is_root(),
            "it starts runs, which takes root"
        );
        run()
    };
    match as_root() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("The bench cannot go on: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Rows of what was measured, what was asked, and whether it is so, by promise.
#[derive(Default)]
pub struct Table {
    promises: Vec<Promise>,
}

/// What the project says about itself, and the figures that bear it out or do not.
struct Promise {
    says: &'static str,
    rows: Vec<Row>,
}

struct Row {
    what: String,
    measured: String,
    asked: String,
    passed: bool,
}

impl Promise {
    fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.passed)
    }
}

const fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "does not hold" }
}

impl Table {
    /// The rows from here on are about this.
    pub fn promise(&mut self, says: &'static str) {
        let rows = Vec::new();
        self.promises.push(Promise { says, rows });
    }

    /// A value that must lie in `least..=most`; either may be infinite.
    pub fn bounded(&mut self, what: &str, value: f64, least: f64, most: f64, unit: &str) {
        let asked = match (least.is_finite(), most.is_finite()) {
            (true, true) => format!("{least} to {most} {unit}"),
            (true, false) => format!("at least {least} {unit}"),
            (false, _) => format!("at most {most} {unit}"),
        };
        self.push(Row {
            what: what.to_owned(),
            measured: format!("{value:.1} {unit}"),
            asked: asked.trim_end().to_owned(),
            passed: (least..=most).contains(&value),
        });
    }

    /// A figure that only explains another.
    pub fn told(&mut self, what: &str, measured: String) {
        self.push(Row {
            what: what.to_owned(),
            measured,
            asked: String::new(),
            passed: true,
        });
    }

    /// Something that could not be measured.
    pub fn broken(&mut self, why: &str) {
        self.push(Row {
            what: why.replace(['\n', '|'], " "),
            measured: "not measured".to_owned(),
            asked: String::new(),
            passed: false,
        });
    }

    /// Whether all promises hold.
    pub fn all_hold(&self) -> bool {
        self.promises.iter().all(Promise::holds)
    }

    /// The table, then a verdict for each promise.
    pub fn markdown(&self) -> String {
        self.figures() + "\n" + &self.verdicts()
    }

    fn figures(&self) -> String {
        let width = |cell: fn(&Row) -> &str| {
            self.rows()
                .map(|row| cell(row).chars().count())
                .max()
                .unwrap_or(0)
                .max(8)
        };
        let (what, measured, asked) = (
            width(|row| &row.what),
            width(|row| &row.measured),
            width(|row| &row.asked),
        );
        let head = format!(
            "| {:<what$} | {:>measured$} | {:>asked$} | {:<13} |\n\
             | {:-<what$} | {:->measured$} | {:->asked$} | {:-<13} |\n",
            "figure", "measured", "asked", "", ":", ":", ":", "-"
        );
        let line = |row: &Row| {
            let verdict = match (row.passed, row.asked.is_empty()) {
                (true, true) => "",
                (passed, _) => verdict(passed),
            };
            let Row {
                what: a,
                measured: b,
                asked: c,
                ..
            } = row;
            format!("| {a:<what$} | {b:>measured$} | {c:>asked$} | {verdict:<13} |\n")
        };
        head + &self.rows().map(line).collect::<String>()
    }

    fn verdicts(&self) -> String {
        let line =
            |promise: &Promise| format!("- {}: {}\n", promise.says, verdict(promise.holds()));
        self.promises.iter().map(line).collect()
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.promises.iter().flat_map(|promise| &promise.rows)
    }

    /// Standard output is for the table alone, so progress goes to standard error.
    fn push(&mut self, row: Row) {
        eprintln!("{}: {}", row.what, row.measured);
        if let Some(promise) = self.promises.last_mut() {
            promise.rows.push(row);
        }
    }
}
