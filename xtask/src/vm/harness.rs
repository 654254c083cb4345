//! `vm test` and `vm table`: the end-to-end tests on each kernel, counted per kernel or per fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::ExitCode,
};

use anyhow::{Context, Result};

use super::{
    Kernels, Visit,
    console::End,
    machine::Ended,
    matrix::Matrix,
    verdict::{self, Verdict},
};
use crate::{
    build::{self, BpfDebug},
    paths::Project,
    process::announce,
};

type Verdicts = BTreeMap<String, Verdict>;

/// What the tests came to on one kernel.
struct Outcome {
    kernel: String,
    /// `uname -r`, or why there is nothing else.
    about: String,
    verdicts: Verdicts,
    /// Why this kernel as a whole is a failure.
    broken: Option<String>,
    skipped: bool,
}

/// Runs the tests and prints a line for each kernel; fails if any test failed anywhere.
pub(super) fn run(project: &Project, kernels: &Kernels, filter: Option<&str>) -> Result<ExitCode> {
    let outcomes = outcomes(project, kernels, filter)?;
    let heading = ["kernel", "about", "works", "refused", "failed", "skipped"];
    let mut table = Matrix::new(heading);
    for outcome in &outcomes {
        let count = |wanted: fn(&Verdict) -> bool| {
            let verdicts = outcome.verdicts.values();
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

/// Runs the effect tests, prints the table fault × kernel, and keeps it in the target folder.
pub(super) fn table(project: &Project, kernels: &Kernels, filter: &str) -> Result<ExitCode> {
    let outcomes = outcomes(project, kernels, Some(filter))?;
    let faults: BTreeSet<String> = outcomes
        .iter()
        .flat_map(|outcome| outcome.verdicts.keys())
        .filter_map(|test| fault(test))
        .collect();
    let booted: Vec<&Outcome> = outcomes.iter().filter(|it| !it.skipped).collect();
    let heading = booted.iter().map(|it| it.kernel.clone());
    let mut table = Matrix::new(["fault".to_owned()].into_iter().chain(heading));
    for wanted in faults {
        let cells = booted.iter().map(|outcome| {
            let of_fault: Vec<&Verdict> = outcome
                .verdicts
                .iter()
                .filter(|(test, _)| fault(test).as_ref() == Some(&wanted))
                .map(|(_, verdict)| verdict)
                .collect();
            cell(&of_fault)
        });
        table.row(
            [format!("`{wanted}`")]
                .into_iter()
                .chain(cells.collect::<Vec<_>>()),
        );
    }
    println!("\n{table}");
    explain(&outcomes);
    let path = super::folder(project).join("table.md");
    fs::write(&path, table.to_string())
        .with_context(|| format!("{} could not be written", path.display()))?;
    announce(&format!("wrote {}", path.display()));
    Ok(code(&outcomes))
}

fn outcomes(project: &Project, kernels: &Kernels, filter: Option<&str>) -> Result<Vec<Outcome>> {
    build::product(project, BpfDebug::Silent)?;
    let harness = build::end_to_end(project)?;
    // The harness looks for its neighbours where cargo puts them.
    let script = format!(
        "export INJECTOR_BIN=/injector/release/injector\n\
         exec /injector/release/deps/e2e --color never {}\n",
        filter.map(quoted).unwrap_or_default()
    );
    let visits = super::visit(project, kernels, "test", |initramfs| {
        for name in ["injector", "victim", "parker"] {
            initramfs.program(&format!("/injector/release/{name}"), &project.binary(name));
        }
        initramfs.program("/injector/release/deps/e2e", &harness);
        // Tests read these where the checkout was when they were built.
        for name in ["README.md", "configs"] {
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
                about: format!("skipped: {reason}"),
                verdicts: Verdicts::new(),
                broken: None,
                skipped: true,
            };
        }
    };
    let verdicts = verdict::read(&ended.output);
    Outcome {
        kernel,
        about: about(&ended),
        broken: broken(&ended, &verdicts),
        verdicts,
        skipped: false,
    }
}

fn about(ended: &Ended) -> String {
    let processor = if ended.emulated { "emulated" } else { "KVM" };
    let release = ended.release.as_deref().unwrap_or("did not boot");
    format!("{release}, {processor}, {} s", ended.took.as_secs())
}

/// The exit code and the verdicts must agree, or a crash would pass for a success.
fn broken(ended: &Ended, verdicts: &Verdicts) -> Option<String> {
    let is_bad = |it: &Verdict| matches!(it, Verdict::Failed(_) | Verdict::Refused(_));
    let explained = verdicts.values().any(is_bad);
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

/// The fault that a test is about: `net delay` of `effect::delay_tcp::veth_v4`.
fn fault(test: &str) -> Option<String> {
    let name = test
        .split("::")
        .nth(1)
        .filter(|_| test.starts_with("effect::"))?;
    let (first, rest) = name.split_once('_').unwrap_or((name, ""));
    Some(match first {
        "dns" => format!("dns error --type {rest}"),
        "corrupt" => {
            let mode = rest.split('_').next().unwrap_or_default();
            format!("net corrupt --mode {mode}")
        }
        kind => format!("net {kind}"),
    })
}

/// One cell of the table; whatever failed outweighs what was refused, and that what works.
fn cell(verdicts: &[&Verdict]) -> String {
    let (mut works, mut failed, mut lacks) = (0, 0, BTreeSet::new());
    for verdict in verdicts {
        match verdict {
            Verdict::Passed => works += 1,
            Verdict::Failed(_) => failed += 1,
            Verdict::Refused(lack) => {
                lacks.insert(lack.as_str());
            }
            Verdict::Skipped(_) => {}
        }
    }
    if failed > 0 {
        format!("failed ({failed})")
    } else if !lacks.is_empty() {
        format!("refused: no {}", Vec::from_iter(lacks).join(", "))
    } else if works > 0 {
        "works".into()
    } else {
        "not tried".into()
    }
}

fn explain(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let kernel = &outcome.kernel;
        if let Some(why) = &outcome.broken {
            println!("{kernel}: {why}");
        }
        for (test, verdict) in &outcome.verdicts {
            if let Verdict::Failed(why) = verdict {
                println!("{kernel}: {test}: {why}");
            }
        }
        if outcome.skipped {
            println!("{kernel}: {}", outcome.about);
        }
    }
}

fn code(outcomes: &[Outcome]) -> ExitCode {
    let is_bad = |outcome: &Outcome| {
        let mut verdicts = outcome.verdicts.values();
        outcome.broken.is_some() || verdicts.any(|it| matches!(it, Verdict::Failed(_)))
    };
    if outcomes.iter().any(is_bad) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// A word for the guest's shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_names_its_fault() {
        let named = |test| fault(test).unwrap_or_default();
        assert_eq!(named("effect::delay_ingress_tcp::veth_v4"), "net delay");
        assert_eq!(
            named("effect::dns_timeout::veth_v4"),
            "dns error --type timeout"
        );
        assert_eq!(
            named("effect::corrupt_wire_tcp::x"),
            "net corrupt --mode wire"
        );
        assert_eq!(fault("scope::delay_tcp::veth_v4"), None);
    }

    #[test]
    fn the_worst_verdict_makes_the_cell() {
        let (works, refused) = (Verdict::Passed, Verdict::Refused("tcx".into()));
        let failed = Verdict::Failed("why".into());
        assert_eq!(cell(&[&works, &works]), "works");
        assert_eq!(cell(&[&works, &refused]), "refused: no tcx");
        assert_eq!(cell(&[&refused, &failed]), "failed (1)");
        assert_eq!(cell(&[]), "not tried");
    }

    #[test]
    fn a_filter_cannot_leave_its_quotes() {
        assert_eq!(quoted("a'; reboot"), r"'a'\''; reboot'");
    }
}
