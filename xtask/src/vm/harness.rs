//! The end-to-end tests on each kernel; `vm test` counts them.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Result;

use super::{
    Kernels, Round, Visit,
    console::End,
    machine::Ended,
    matrix::Matrix,
    queue::Beside,
    verdict::{self, Verdict, Verdicts},
    verifier,
};
use crate::{build, paths::Project};

/// Which tests.
#[derive(Clone, Copy)]
pub(super) enum Tests<'filter> {
    /// All whose name contains this.
    Named(Option<&'filter str>),
    /// The few that every kernel runs (`tests/tests/e2e/matrix.rs`).
    Matrix,
    /// What the verifier says of each BPF program, then those few.
    BoundsAndMatrix,
}

/// How a harness is told to run those few.
pub(super) const ONLY_MATRIX: (&str, &str) = ("INJECTOR_TESTS", "matrix");

/// A whole test run on an emulated processor takes most of an hour.
const WHOLE_SUITE: Duration = Duration::from_mins(90);
/// The few tests take up to six minutes there on a processor of its own, and several times that on one that
/// other work has first.
const MATRIX: Duration = Duration::from_mins(25);

/// What the tests came to on one kernel.
pub(super) struct Outcome {
    pub(super) kernel: String,
    /// `uname -r` and more.
    pub(super) about: String,
    pub(super) verdicts: Verdicts,
    /// All that was printed.
    pub(super) output: String,
    /// Why this kernel as a whole is a failure.
    pub(super) broken: Option<String>,
    /// Why it could not be had.
    pub(super) skipped: Option<String>,
}

/// Runs the tests and prints a line for each kernel; fails if any test failed anywhere.
pub(super) fn run(project: &Project, kernels: &Kernels, filter: Option<&str>) -> Result<ExitCode> {
    let outcomes = outcomes(project, kernels, Tests::Named(filter))?;
    let heading = ["kernel", "about", "works", "refused", "failed", "skipped"];
    let mut table = Matrix::new(heading);
    for outcome in &outcomes {
        let count = |wanted: fn(&Verdict) -> bool| {
            let verdicts = outcome.verdicts.tests.values();
            verdicts
                .filter(|verdict| wanted(verdict))
                .count()
                .to_string()
        };
        table.row([
            outcome.kernel.clone(),
            outcome.about.clone(),
            count(|it| matches!(it, Verdict::Passed)),
            count(|it| matches!(it, Verdict::Refused(_))),
            count(|it| matches!(it, Verdict::Failed(_))),
            count(|it| matches!(it, Verdict::Skipped(_))),
        ]);
    }
    println!("\n{table}");
    explain(&outcomes);
    Ok(code(&outcomes))
}

/// Runs these tests on each kernel.
pub(super) fn outcomes(
    project: &Project,
    kernels: &Kernels,
    tests: Tests<'_>,
) -> Result<Vec<Outcome>> {
    let harness = build::end_to_end(project)?;
    boot(project, &harness, kernels, tests, Beside::Nothing)
}

/// The same with a harness, an injector and its victims that are built already.
pub(super) fn boot(
    project: &Project,
    harness: &Path,
    kernels: &Kernels,
    tests: Tests<'_>,
    beside: Beside<'_>,
) -> Result<Vec<Outcome>> {
    // The harness looks for its neighbours where cargo puts them.
    let (name, value) = ONLY_MATRIX;
    let only_matrix = format!("export {name}={value}\n");
    let (before, filter, limit) = match tests {
        Tests::Named(filter) => (String::new(), filter, WHOLE_SUITE),
        Tests::Matrix => (only_matrix, None, MATRIX),
        Tests::BoundsAndMatrix => {
            let ask = verifier::script("/injector/release/verifier");
            (format!("{ask}{only_matrix}"), None, MATRIX)
        }
    };
    let script = format!(
        "export INJECTOR_BIN=/injector/release/injector\n{before}\
         exec /injector/release/deps/e2e --color never {}\n",
        filter.map(super::quoted).unwrap_or_default()
    );
    let round = Round {
        task: "test",
        limit,
        beside,
    };
    let visits = super::visit(project, kernels, round, |initramfs| {
        for name in ["injector", "victim", "parker", "verifier"] {
            initramfs.program(&format!("/injector/release/{name}"), &project.binary(name));
        }
        initramfs.program("/injector/release/deps/e2e", harness);
        // Tests read these where the checkout was when they were built.
        for name in ["README.md", "docs/src", "configs"] {
            initramfs.same(&project.root().join(name))?;
        }
        initramfs.command(&script);
        Ok(())
    })?;
    Ok(visits
        .into_iter()
        .map(|(kernel, visit)| outcome(kernel, visit))
        .collect())
}

fn outcome(kernel: String, visit: Visit) -> Outcome {
    let ended = match visit {
        Visit::Ran(ended) => ended,
        Visit::Skipped(reason) => {
            return Outcome {
                kernel,
                about: "skipped".into(),
                verdicts: Verdicts::default(),
                output: String::new(),
                broken: None,
                skipped: Some(reason),
            };
        }
    };
    let verdicts = verdict::read(&ended.output);
    Outcome {
        kernel,
        about: about(&ended),
        broken: broken(&ended, &verdicts),
        verdicts,
        output: ended.output,
        skipped: None,
    }
}

fn about(ended: &Ended) -> String {
    let processor = if ended.emulated { "emulated" } else { "KVM" };
    let release = ended.release.as_deref().unwrap_or("did not boot");
    format!("{release}, {processor}, {} s", ended.took.as_secs())
}

/// The exit code and the verdicts must agree, or a crash would pass for a success.
fn broken(ended: &Ended, verdicts: &Verdicts) -> Option<String> {
    let is_bad = |it: &Verdict| matches!(it, Verdict::Failed(_));
    let explained = verdicts.tests.values().any(is_bad);
    match &ended.end {
        End::Exit(0) if !ended.output.contains("test result:") => {
            Some("the tests ended without a result".into())
        }
        End::Exit(code) if *code != 0 && !explained => {
            Some(format!("the tests ended with {code}, and none says why"))
        }
        End::Exit(_) => None,
        other => Some(format!("{other:?}")),
    }
}

/// Prints why kernels or tests failed, and why kernels could not be had.
pub(super) fn explain(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let kernel = &outcome.kernel;
        if let Some(why) = &outcome.broken {
            println!("{kernel}: {why}");
        }
        for (test, verdict) in &outcome.verdicts.tests {
            if let Verdict::Failed(why) = verdict {
                println!("{kernel}: {test}: {why}");
            }
        }
        if let Some(reason) = &outcome.skipped {
            println!("{kernel}: skipped: {reason}");
        }
    }
}

impl Outcome {
    /// It was booted, and something failed there.
    pub(super) fn is_bad(&self) -> bool {
        let mut verdicts = self.verdicts.tests.values();
        self.broken.is_some() || verdicts.any(|it| matches!(it, Verdict::Failed(_)))
    }
}

fn code(outcomes: &[Outcome]) -> ExitCode {
    if outcomes.iter().any(Outcome::is_bad) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
