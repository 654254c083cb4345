//! `vm doctor`: what injector finds on each kernel.

use std::process::ExitCode;

use anyhow::Result;
use serde::Deserialize;

use super::{Kernels, Visit, console::End, matrix::Matrix};
use crate::{
    build::{self, BpfDebug},
    paths::Project,
};

/// One line of `injector doctor --json`; only what is read here.
#[derive(Deserialize)]
struct Capability {
    name: String,
    missing: Option<Missing>,
}

#[derive(Deserialize)]
struct Missing {
    why: String,
}

/// Asks injector on each kernel and prints the answers side by side. A missing capability is an
/// answer; only a machine that gives none is a failure.
pub(super) fn run(project: &Project, kernels: &Kernels) -> Result<ExitCode> {
    build::product(project, BpfDebug::Silent)?;
    let visits = super::visit(
        project,
        kernels,
        super::watched("doctor", super::BRIEF),
        |initramfs| {
            initramfs.program("/injector/injector", &project.binary("injector"));
            initramfs.command("exec /injector/injector doctor --json\n");
            Ok(())
        },
    )?;
    let mut table = Matrix::new(["kernel", "release", "available", "missing"]);
    let mut reasons = Vec::new();
    let mut good = true;
    for (kernel, visit) in visits {
        let ended = match visit {
            Visit::Skipped(reason) => {
                table.row([&kernel, "skipped"]);
                reasons.push(format!("{kernel}: skipped: {reason}"));
                continue;
            }
            Visit::Ran(ended) => ended,
        };
        let release = ended.release.unwrap_or_default();
        let survey = (ended.end == End::Exit(0))
            .then(|| answer(&ended.output))
            .flatten();
        let Some(survey) = survey else {
            good = false;
            table.row([&kernel, &release, "failed"]);
            reasons.push(format!("{kernel}: no answer ({:?})", ended.end));
            continue;
        };
        let (mut available, mut missing) = (Vec::new(), Vec::new());
        for Capability { name, missing: why } in survey {
            match why {
                None => available.push(name),
                Some(Missing { why }) => {
                    reasons.push(format!("{kernel}: {name}: {why}"));
                    missing.push(name);
                }
            }
        }
        table.row([kernel, release, available.join(" "), missing.join(" ")]);
    }
    println!("\n{table}");
    for reason in reasons {
        println!("{reason}");
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The survey in the guest's output, between what the kernel may have thrown in.
fn answer(output: &str) -> Option<Vec<Capability>> {
    let start = output.find("[{").or_else(|| output.find("[\n"))?;
    let end = output.rfind(']')?;
    serde_json::from_str(output.get(start..=end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_found_between_other_lines() {
        let output = "[ 1.0] tun: loaded\n[{\"name\":\"tap\",\"serves\":\"x\",\"missing\":null}]\n";
        let survey = answer(output).unwrap();
        assert_eq!(survey[0].name, "tap");
        assert!(survey[0].missing.is_none());
        assert!(answer("injector: no\n").is_none());
    }
}
