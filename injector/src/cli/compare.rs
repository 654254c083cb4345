//! `injector compare`: two runs of one experiment beside each other, with what is worse named.
//!
//! The journals are all that is read. What the comparison says is no failure of this command.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::stored::{self, Which};
use injector_engine::{
    page::{Line, Page, Role},
    tell,
};
use injector_record::comparison::{Agreement, Change, Comparison, Row, markdown};
use injector_spec::{
    error::{Exit, Refusal},
    printable,
};

/// `injector compare`.
#[derive(Args, Debug)]
pub(crate) struct CompareFlags {
    /// The earlier run, as `injector list` shows it, or `last` for the newest
    #[arg(value_name = "RUN")]
    before: String,
    /// The later run
    #[arg(value_name = "RUN")]
    after: String,
    /// What it is written as
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Where it is written to, in place of standard output; a file that is there is replaced
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What a comparison is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for a terminal
    Text,
    /// Markdown, to be pasted into a pull request
    Md,
    /// The comparison as data
    Json,
}

/// What is to be compared, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparing {
    before: Which,
    after: Which,
    format: Format,
    to: Option<PathBuf>,
}

impl TryFrom<CompareFlags> for Comparing {
    type Error = Refusal;

    fn try_from(flags: CompareFlags) -> Result<Self, Refusal> {
        Ok(Self {
            before: Which::parse(&flags.before)?,
            after: Which::parse(&flags.after)?,
            format: flags.format,
            to: flags.output,
        })
    }
}

/// Reads two journals, and tells the difference.
pub fn compare(comparing: &Comparing) -> Result<Exit, Refusal> {
    let comparison = Comparison::of(&comparing.before.account()?, &comparing.after.account()?);
    let to = comparing.to.as_deref();
    let text = match (comparing.format, to) {
        (Format::Text, None) => {
            tell::page(page(&comparison));
            return Ok(Exit::Done);
        }
        (Format::Text, Some(_)) => super::report::rows(&page(&comparison)),
        (Format::Md, _) => markdown(&comparison),
        (Format::Json, _) => {
            // Our own types always serialise.
            let text = serde_json::to_string(&comparison).unwrap_or_default();
            format!("{}\n", printable::json(&text))
        }
    };
    let what = format!(
        "comparison of {} and {}",
        comparison.before.run, comparison.after.run
    );
    stored::put(&what, &text, to)
}

/// The comparison for a terminal.
fn page(comparison: &Comparison) -> Page {
    let role = |change| match change {
        Change::Better => Role::Good,
        Change::Same => Role::Strong,
        Change::Worse => Role::Bad,
        Change::NotComparable => Role::Doubtful,
    };
    let change = comparison.change();
    let (before, after) = (&comparison.before, &comparison.after);
    let mut page = Page::default();
    page.push(Line::all(role(change), change.name()).and(
        Role::Plain,
        format!(
            " ({}): {}, then {}",
            after.name,
            before.in_words(),
            after.in_words()
        ),
    ));
    for caveat in comparison.caveats() {
        page.push(Line::all(Role::Doubtful, format!("  {caveat}")));
    }
    for (change, sentences) in [
        (Change::Worse, &comparison.regressions),
        (Change::Better, &comparison.improvements),
    ] {
        for sentence in sentences {
            let line = Line::plain("  ").and(role(change), change.name());
            page.push(line.and(Role::Plain, format!(": {sentence}")));
        }
    }
    for row in table(comparison.rows()) {
        page.push(Line::plain(format!("  {row}")));
    }
    for measure in &comparison.beside {
        page.push(Line::plain(format!("  {}", measure.in_words())));
    }
    let agree = |agreement: &Agreement| agreement.in_words();
    page.push(Line::all(
        Role::Dim,
        format!(
            "  experiment {}; kernel {}; injector {}",
            agree(&comparison.experiment),
            agree(&comparison.kernel),
            agree(&comparison.injector)
        ),
    ));
    page
}

/// The names of the columns; `x` as on the card of a run.
const HEAD: [&str; 6] = [
    "probe",
    "RTA before",
    "RTA after",
    "difference",
    "x baseline before",
    "after",
];

/// Rows with their columns below each other.
fn table(rows: Vec<Row>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let rows: Vec<Row> = [HEAD.map(str::to_owned)].into_iter().chain(rows).collect();
    let widths = [0, 1, 2, 3, 4, 5].map(|at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.max().unwrap_or_default()
    });
    let line = |row: &Row| {
        let cells = row.iter().zip(widths);
        let line = cells.fold(String::new(), |line, (cell, width)| {
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            line + cell + &" ".repeat(gap)
        });
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
