//! The one table that the bench prints.

/// Rows of what was measured, what was asked, and whether it is so.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    measured: String,
    asked: String,
    passed: bool,
}

impl Table {
    /// A value that must lie in `least..=most`; either may be infinite.
    pub(crate) fn bounded(&mut self, what: &str, value: f64, least: f64, most: f64, unit: &str) {
        let asked = match (least.is_finite(), most.is_finite()) {
            (true, true) => format!("{least} to {most} {unit}"),
            (true, false) => format!("at least {least} {unit}"),
            (false, _) => format!("at most {most} {unit}"),
        };
        self.rows.push(Row {
            what: what.to_owned(),
            measured: format!("{value:.1} {unit}"),
            asked: asked.trim_end().to_owned(),
            passed: (least..=most).contains(&value),
        });
        self.progress();
    }

    /// A figure that only explains another.
    pub(crate) fn told(&mut self, what: &str, measured: String) {
        self.rows.push(Row {
            what: what.to_owned(),
            measured,
            asked: String::new(),
            passed: true,
        });
        self.progress();
    }

    /// Something that could not be measured.
    pub(crate) fn broken(&mut self, why: &str) {
        self.rows.push(Row {
            what: why.replace(['\n', '|'], " "),
            measured: "not measured".to_owned(),
            asked: String::new(),
            passed: false,
        });
        self.progress();
    }

    /// Whether all bounds held.
    pub(crate) fn all_passed(&self) -> bool {
        self.rows.iter().all(|row| row.passed)
    }

    /// The table.
    pub(crate) fn markdown(&self) -> String {
        let width = |cell: fn(&Row) -> &str| {
            self.rows
                .iter()
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
            "| {:<what$} | {:>measured$} | {:>asked$} |      |\n\
             | {:-<what$} | {:->measured$} | {:->asked$} | ---- |\n",
            "figure", "measured", "asked", "", ":", ":"
        );
        let line = |row: &Row| {
            let verdict = match (row.passed, row.asked.is_empty()) {
                (true, true) => "",
                (true, false) => "pass",
                (false, _) => "FAIL",
            };
            let Row {
                what: a,
                measured: b,
                asked: c,
                ..
            } = row;
            format!("| {a:<what$} | {b:>measured$} | {c:>asked$} | {verdict:<4} |\n")
        };
        head + &self.rows.iter().map(line).collect::<String>()
    }

    /// Standard output is for the table alone.
    fn progress(&self) {
        if let Some(row) = self.rows.last() {
            eprintln!("{}: {}", row.what, row.measured);
        }
    }
}
