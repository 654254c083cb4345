//! `cargo xtask verifier`: what the verifiers of this host and of other kernels say of each BPF program,
//! and whether it stays under a bound.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{BRIEF, Kernels, Visit, console::End, matrix::Matrix};
use crate::{
    build::{self, BpfDebug},
    paths::Project,
    process,
    report::Report,
    root,
};

/// Instructions that a verifier may look at for one program. The kernel stops at a million
/// (`BPF_COMPLEXITY_LIMIT_INSNS`, kernel/bpf/verifier.c), but each costs time while a fault is armed: a
/// program of 600 000 took a second here and ten under emulation. The largest has 12 000; the rest is
/// room, because verifiers look at more or at less from release to release.
const MOST_INSTRUCTIONS: u32 = 20_000;

/// Bytes of stack, of a program and all functions in it. The kernel stops a chain of calls at 512
/// (`MAX_BPF_STACK`), rounding each function up, so a deeper one might fail elsewhere.
const MOST_STACK: u32 = 384;

/// The name of this host in the table.
const HERE: &str = "this host";

/// One line of the tests' program `verifier`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Line {
    program: String,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Accepted { instructions: u32, stack: u32 },
    Refused(String),
}

/// Asks, prints the table program × kernel, and fails where a program is over the bound.
pub(crate) fn run(project: &Project, kernels: &Kernels) -> Result<ExitCode> {
    let findings = ask(project, kernels)?;
    Ok(if findings.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a guest's script says so that [`Findings::of_machine`] finds the answer among other output.
pub(super) fn script(verifier: &str) -> String {
    format!("{verifier} || echo \"{FAILED} $?\"\n")
}

/// Stands before the exit code of a `verifier` that failed.
const FAILED: &str = "injector-bounds: failed with";

/// Asks and prints the table.
fn ask(project: &Project, kernels: &Kernels) -> Result<Findings> {
    build::product(project, BpfDebug::Silent)?;
    let mut findings = if kernels.wanted.is_empty() {
        here(project)?
    } else {
        Findings::default()
    };
    let round = super::watched("verifier", BRIEF);
    let visits = super::visit(project, kernels, round, |initramfs| {
        initramfs.program("/injector/verifier", &project.binary("verifier"));
        initramfs.command("exec /injector/verifier\n");
        Ok(())
    })?;
    for (kernel, visit) in visits {
        match visit {
            Visit::Skipped(reason) => findings.notes.push(format!("{kernel}: skipped: {reason}")),
            Visit::Ran(ended) if ended.end == End::Exit(0) => findings.add(&kernel, &ended.output),
            Visit::Ran(ended) => findings
                .failures
                .push(format!("{kernel}: no answer ({:?})", ended.end)),
        }
    }
    println!("\n{findings}");
    Ok(findings)
}

/// Asks the verifier of this host; the tests' programs must be built.
pub(crate) fn here(project: &Project) -> Result<Findings> {
    let mut findings = Findings::default();
    let root = match root::available() {
        Ok(root) => root,
        Err(reason) => {
            findings.notes.push(format!("{HERE}: skipped: {reason}"));
            return Ok(findings);
        }
    };
    root.explain("asking the verifier");
    let mut verifier = root.command(project, &project.binary("verifier"), &[]);
    let said = process::answer(&mut verifier)
        .context("the tests' program `verifier` could not ask that of this host; run it")?;
    findings.add(HERE, &said);
    Ok(findings)
}

/// What all verifiers said.
#[derive(Default)]
pub(crate) struct Findings {
    kernels: Vec<String>,
    /// Program to its cells, by kernel.
    cells: BTreeMap<String, BTreeMap<String, String>>,
    notes: Vec<String>,
    failures: Vec<String>,
}

impl Findings {
    /// Takes what a machine printed that ran [`script`], or why it was not booted.
    pub(super) fn of_machine(&mut self, kernel: &str, output: &str, skipped: Option<&str>) {
        if let Some(reason) = skipped {
            self.notes.push(format!("{kernel}: skipped: {reason}"));
            return;
        }
        if let Some(line) = output.lines().find(|line| line.contains(FAILED)) {
            self.failures.push(format!("{kernel}: {line}"));
        }
        self.add(kernel, output);
    }

    /// Counts what is over the bound or gave no answer.
    pub(super) fn judge(&self, report: &mut Report) {
        const WHAT: &str = "bounds of the BPF programs";
        if self.kernels.is_empty() && self.failures.is_empty() {
            return report.skip(WHAT, &self.notes.join("; "));
        }
        if self.failures.is_empty() {
            report.pass();
        }
        for failure in &self.failures {
            report.fail(WHAT, failure);
        }
    }

    fn add(&mut self, kernel: &str, said: &str) {
        self.kernels.push(kernel.to_owned());
        let lines: Vec<Line> = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        if lines.is_empty() {
            self.failures.push(format!("{kernel}: an empty answer"));
        }
        let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Line { program, verdict } in lines {
            let cell = match verdict {
                Verdict::Accepted {
                    instructions,
                    stack,
                } => {
                    if instructions > MOST_INSTRUCTIONS || stack > MOST_STACK {
                        self.failures.push(format!(
                            "{kernel}: {program} takes {instructions} instructions and {stack} bytes \
                             of stack; the bounds are {MOST_INSTRUCTIONS} and {MOST_STACK}"
                        ));
                    }
                    format!("{instructions}, {stack} B")
                }
                Verdict::Refused(reason) => {
                    let alike = refused.entry(reason).or_default();
                    alike.push(program.clone());
                    "refused".into()
                }
            };
            let cells = self.cells.entry(program).or_default();
            cells.insert(kernel.to_owned(), cell);
        }
        for (reason, programs) in refused {
            let programs = programs.join(", ");
            self.notes
                .push(format!("{kernel}: refused: {reason}: {programs}"));
        }
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let heading = ["program"]
            .into_iter()
            .chain(self.kernels.iter().map(String::as_str));
        let mut matrix = Matrix::new(heading);
        for (program, cells) in &self.cells {
            let cell = |kernel| cells.get(kernel).map_or("", String::as_str);
            matrix.row(
                [program.as_str()]
                    .into_iter()
                    .chain(self.kernels.iter().map(cell)),
            );
        }
        writeln!(
            formatter,
            "Instructions that the verifier looked at (at most {MOST_INSTRUCTIONS}), and bytes of \
             stack (at most {MOST_STACK}):\n\n{matrix}"
        )?;
        for line in self.notes.iter().chain(&self.failures) {
            writeln!(formatter, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"
{"program":"inj_egress","accepted":{"instructions":4000,"stack":200}}
[    2.1] tun: a word of the kernel's
{"program":"inj_open","refused":"Permission denied"}
"#;

    #[test]
    fn answers_are_read_and_held_against_the_bound() {
        let mut findings = Findings::default();
        findings.add("6.12", SAID);
        assert!(findings.failures.is_empty());
        assert_eq!(findings.cells["inj_egress"]["6.12"], "4000, 200 B");
        assert_eq!(findings.cells["inj_open"]["6.12"], "refused");
        let shown = findings.to_string();
        assert!(shown.contains("6.12: refused: Permission denied: inj_open"));

        findings.add("7.3", &SAID.replace("4000", "999999"));
        assert_eq!(findings.failures.len(), 1);
        findings.add("9.9", "no answer at all");
        assert_eq!(findings.failures.len(), 2);
    }

    #[test]
    fn an_answer_among_the_output_of_tests_is_judged() {
        let mut findings = Findings::default();
        findings.of_machine("7.3", &format!("{SAID}test a ... ok\n"), None);
        findings.of_machine("6.1", "", Some("no such package"));
        let mut report = Report::default();
        findings.judge(&mut report);
        assert!(report.is_good());
        assert_eq!(findings.cells["inj_open"]["7.3"], "refused");

        findings.of_machine("9.9", &format!("{SAID}{FAILED} 2\n"), None);
        findings.judge(&mut report);
        assert!(!report.is_good());
    }
}
