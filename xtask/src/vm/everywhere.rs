//! What `cargo xtask test` asks of every kernel, in one boot of each: the bounds of the BPF programs, and
//! the few tests of `tests/tests/e2e/matrix.rs`, held against the table of the README.

use std::path::Path;

use super::{
    Kernels, catalogue, faults,
    harness::{self, Outcome, Tests},
    queue::{Beside, Work},
    table::{self, Cell, Table},
    verdict::Verdict,
    verifier::Findings,
};
use crate::{paths::Project, report::Report};

/// What came of all kernels.
pub(crate) struct Told {
    pub(crate) report: Report,
    /// What was seen, for the terminal.
    pub(crate) tables: String,
}

/// Runs `harness` on each kernel beside this work of the caller's, and counts; `bounds` is what this host
/// said of them. Injector and its victims must be built.
pub(crate) fn run(project: &Project, harness: &Path, mut bounds: Findings, work: &Work) -> Told {
    const WHAT: &str = "tests on other kernels";
    let mut report = Report::default();
    let kernels = Kernels::default();
    let tests = Tests::BoundsAndMatrix;
    let tried = harness::boot(project, harness, &kernels, tests, Beside::Work(work))
        .and_then(|outcomes| Ok((outcomes, Table::of_book(project)?)));
    let (outcomes, said) = match tried {
        Ok(tried) => tried,
        Err(error) => {
            report.fail(WHAT, &format!("{error:#}"));
            let tables = String::new();
            return Told { report, tables };
        }
    };
    for outcome in &outcomes {
        bounds.of_machine(&outcome.kernel, &outcome.output, outcome.skipped.as_deref());
        tell(&mut report, outcome, &said);
    }
    bounds.judge(&mut report);
    let about: Vec<_> = outcomes
        .iter()
        .map(|outcome| format!("{}: {}", outcome.kernel, outcome.about))
        .collect();
    let tables = format!(
        "\n{}\n{bounds}\n{}",
        faults::seen(&outcomes),
        about.join("\n")
    );
    Told { report, tables }
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
    // A kernel of a folder that the caller named has no column.
    if !catalogue::known().iter().any(|known| known.name == *kernel) {
        return;
    }
    let mut column = table::column(&outcome.verdicts);
    column.retain(|_, cell| *cell != Cell::Failed);
    for contradiction in said.contradictions(kernel, &column) {
        report.fail(kernel, &contradiction);
    }
}
