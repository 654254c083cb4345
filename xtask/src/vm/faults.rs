//! Every fault on every kernel, as the table of the book.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    Kernels, catalogue,
    harness::{self, Outcome, Tests},
    local,
    table::{self, Cell, Table},
    verdict,
};
use crate::{paths::Project, process::announce};

/// What becomes of the table in the book.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Book {
    Keep,
    Write,
}

/// Tries every fault on each kernel and prints the table; it goes into the book if that is wanted.
pub(super) fn table(project: &Project, kernels: &Kernels, book: Book) -> Result<ExitCode> {
    let here = kernels.wanted.iter().any(|name| name == local::RESTRICTED);
    let wanted = kernels
        .wanted
        .iter()
        .filter(|name| *name != local::RESTRICTED);
    let others = Kernels {
        wanted: wanted.cloned().collect(),
    };
    let mut outcomes = Vec::new();
    if !others.wanted.is_empty() || !here {
        outcomes = harness::outcomes(project, &others, Tests::Matrix)?;
    }
    let mut seen = seen(&outcomes);
    if (here || kernels.wanted.is_empty())
        && let Some(column) = local::column(project)?
    {
        seen.set(local::RESTRICTED, column);
    }
    println!("\n{seen}");
    harness::explain(&outcomes);
    if outcomes.iter().any(Outcome::is_bad) || !seen.is_answered() {
        announce("something failed, so the table of the book stays as it is");
        return Ok(ExitCode::FAILURE);
    }
    if book == Book::Write {
        let mut said = Table::of_book(project)?;
        said.take_over(seen);
        let mut order: Vec<String> = catalogue::known().into_iter().map(|it| it.name).collect();
        order.push(local::RESTRICTED.into());
        said.arrange(&order);
        said.write(project)?;
        announce("wrote the table of docs/src/kernels.md");
    }
    Ok(ExitCode::SUCCESS)
}

/// In how far the tests on this host saw something else than the book says, a sentence each.
/// `output` is what the end-to-end tests printed.
pub(crate) fn contradictions_here(project: &Project, output: &str) -> Result<Vec<String>> {
    let Some(name) = local::name() else {
        return Ok(Vec::new());
    };
    let mut column = table::column(&verdict::read(output));
    // What failed is a failure already, and what was not tried has no say.
    column.retain(|_, cell| matches!(cell, Cell::Works | Cell::Refused(_)));
    Ok(Table::of_book(project)?.contradictions(name, &column))
}

/// What the outcomes say, as a table.
pub(super) fn seen(outcomes: &[Outcome]) -> Table {
    let mut table = Table::default();
    for outcome in outcomes.iter().filter(|it| it.skipped.is_none()) {
        table.set(&outcome.kernel, table::column(&outcome.verdicts));
    }
    table
}
