//! Every fault on every kernel: as a part of `cargo xtask test`, and as the table of the book.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    Kernels, catalogue,
    harness::{self, Outcome, Tests},
    local,
    table::{self, Cell, Table},
    verdict::{self, Verdict},
};
use crate::{paths::Project, process::announce, report::Report};

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

/// Runs the few tests of every kernel, and holds what they saw against the table of the book.
pub(crate) fn everywhere(project: &Project, report: &mut Report) {
    const WHAT: &str = "tests on other kernels";
    let tried = harness::outcomes(project, &Kernels::default(), Tests::Matrix)
        .and_then(|outcomes| Ok((outcomes, Table::of_book(project)?)));
    let (outcomes, said) = match tried {
        Ok(tried) => tried,
        Err(error) => return report.fail(WHAT, &format!("{error:#}")),
    };
    println!("\n{}", seen(&outcomes));
    for outcome in &outcomes {
        println!("{}: {}", outcome.kernel, outcome.about);
        tell(report, outcome, &said);
    }
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

fn seen(outcomes: &[Outcome]) -> Table {
    let mut table = Table::default();
    for outcome in outcomes.iter().filter(|it| it.skipped.is_none()) {
        table.set(&outcome.kernel, table::column(&outcome.verdicts));
    }
    table
}

fn tell(report: &mut Report, outcome: &Outcome, said: &Table) {
    let kernel = &outcome.kernel;
    if let Some(reason) = &outcome.skipped {
        return report.skip(&format!("tests on {kernel}"), reason);
    }
    if let Some(why) = &outcome.broken {
        report.fail(&format!("tests on {kernel}"), why);
    }
    for (test, verdict) in &outcome.verdicts.tests {
        let name = format!("{kernel}: {test}");
        match verdict {
            Verdict::Passed => report.pass(),
            Verdict::Refused(lack) => report.refuse(&name, lack),
            Verdict::Failed(why) => report.fail(&name, why),
            Verdict::Skipped(reason) => report.skip(&name, reason),
        }
    }
    // A kernel that somebody put into a folder has no column.
    if !catalogue::known().iter().any(|known| known.name == *kernel) {
        return;
    }
    let mut column = table::column(&outcome.verdicts);
    column.retain(|_, cell| *cell != Cell::Failed);
    for contradiction in said.contradictions(kernel, &column) {
        report.fail(kernel, &contradiction);
    }
}
