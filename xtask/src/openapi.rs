//! `cargo xtask openapi`: two tools of other people's read the document of the interface, and try the daemon
//! against it.
//!
//! Neither is fetched from here: they bring hundreds of packages of their own. Where one is not on PATH,
//! that is a counted skip that says how to have it. `configs/openapi` has their settings, and the reason of
//! each exception.

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

use crate::{
    build::{self, BpfDebug},
    paths::Project,
    process::{self, CommandFailed, announce},
    report::Report,
    root,
};

/// What schemathesis does where nothing else is said: a few minutes of each phase.
const USUAL: [&str; 2] = ["--max-examples=50", "--request-timeout=20"];

/// Both, and the count.
pub(crate) fn run(project: &Project, arguments: &[String]) -> ExitCode {
    let mut report = Report::default();
    lint(project, &mut report);
    contract(project, arguments, &mut report);
    println!("\n{report}");
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The document by itself.
pub(crate) fn lint(project: &Project, report: &mut Report) {
    const WHAT: &str = "lints of the interface's document (redocly)";
    let Some(redocly) = on_path("redocly") else {
        let remedy = "redocly is not installed; run `npm install -g @redocly/cli`";
        return report.skip(WHAT, &remedy);
    };
    let mut lint = Command::new(redocly);
    lint.current_dir(project.root())
        .args(["lint", "--config=configs/openapi/redocly.yaml"])
        .arg("configs/openapi.json");
    check(WHAT, &mut lint, report);
}

/// The daemon against it.
fn contract(project: &Project, arguments: &[String], report: &mut Report) {
    const WHAT: &str = "the daemon's interface against its document (schemathesis)";
    let Some(schemathesis) = on_path("schemathesis") else {
        let remedy = "schemathesis is not installed; run `pipx install schemathesis`";
        return report.skip(WHAT, &remedy);
    };
    let root = match root::available() {
        Ok(root) => root,
        Err(reason) => return report.skip(WHAT, &reason),
    };
    if let Err(error) = build::product(project, BpfDebug::Silent) {
        return report.fail(WHAT, &format!("{error:#}"));
    }
    root.explain("the daemon that is tried");
    let injector = project.binary("injector");
    let environment = [("INJECTOR_BIN", injector.as_os_str())];
    let mut contract = root.command(project, &project.binary("contract"), &environment);
    let configs = project.root().join("configs");
    contract
        .arg(schemathesis)
        .arg(configs.join("openapi.json"))
        .arg(configs.join("openapi/schemathesis.toml"));
    if arguments.is_empty() {
        contract.args(USUAL);
    }
    check(WHAT, contract.args(arguments), report);
}

fn check(what: &str, command: &mut Command, report: &mut Report) {
    announce(what);
    match process::run(command, what) {
        Ok(()) => report.pass(),
        Err(error) if error.is::<CommandFailed>() => {
            report.fail(what, &"the reason is printed above");
        }
        Err(error) => report.fail(what, &format!("{error:#}")),
    }
}

/// A program of this user's, by its whole path: root has another PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
