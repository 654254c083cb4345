//! `cargo xtask clients`: what clients from package registries make of faults, and whether that is what the book says.
//!
//! The packages are fetched into the target folder, in the versions that `tests/clients` names. Who calls fetches them;
//! only the program that starts runs is root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, Result};

use crate::{
    build::{self, BpfDebug},
    openapi::on_path,
    page::Page,
    paths::Project,
    process::{self, announce},
    report::Report,
    root::{self, Root},
};

const WHAT: &str = "clients from package registries";
const PAGE: Page = Page {
    path: "docs/src/faults/clients.md",
    begin: "<!-- stock clients: `cargo xtask clients --write` writes these tables -->\n\n",
    end: "<!-- end of stock clients -->\n",
};

/// What becomes of what was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Book {
    /// It is held to.
    HeldTo,
    /// It is written anew.
    Written,
}

/// How many of the calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls<'a> {
    /// All.
    All,
    /// Those of clients whose name contains this.
    Of(&'a str),
    /// Each fault once.
    Brief,
}

/// Has them meet the faults, and counts.
pub(crate) fn run(project: &Project, calls: Calls<'_>, book: Book) -> Result<ExitCode> {
    let mut report = Report::default();
    build::product(project, BpfDebug::Silent)?;
    look(project, calls, book, &mut report);
    println!("\n{report}");
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The same where all is built.
pub(crate) fn look(project: &Project, calls: Calls<'_>, book: Book, report: &mut Report) {
    let root = match root::available() {
        Ok(root) => root,
        Err(reason) => return report.skip(WHAT, &reason),
    };
    let began = Instant::now();
    announce("fetching clients from their registries");
    let folder = project.target().join("clients");
    let scripts = project.root().join("tests/clients");
    let python = match python(&folder, &scripts) {
        Ok(python) => python,
        Err(lack) => return report.skip(WHAT, &format!("{lack:#}")),
    };
    let node = match node(&folder, &scripts) {
        Ok(node) => Some(node),
        Err(lack) => {
            report.skip("clients from Node's registry", &format!("{lack:#}"));
            None
        }
    };
    let packages = Packages { python, node };
    announce(WHAT);
    let outcome = meet(project, root, &packages, calls, book);
    report.took(WHAT, began);
    match outcome {
        Ok(true) => report.pass(),
        Ok(false) => report.fail(WHAT, &"the calls that differ are printed above"),
        Err(error) => report.fail(WHAT, &format!("{error:#}")),
    }
}

struct Packages {
    python: PathBuf,
    node: Option<PathBuf>,
}

fn meet(
    project: &Project,
    root: Root,
    packages: &Packages,
    calls: Calls<'_>,
    book: Book,
) -> Result<bool> {
    root.explain("the clients");
    let injector = project.binary("injector");
    let environment = [("INJECTOR_BIN", injector.as_os_str())];
    let mut command = root.command(project, &project.binary("clients"), &environment);
    command
        .arg("--scripts")
        .arg(project.root().join("tests/clients"));
    command.arg("--python").arg(&packages.python);
    if let Some(node) = &packages.node {
        command.arg("--node").arg(node);
    }
    match calls {
        Calls::All => {}
        Calls::Of(text) => {
            command.args(["--only", text]);
        }
        Calls::Brief => {
            command.arg("--brief");
        }
    }
    if book == Book::HeldTo {
        command.arg("--held-to").arg(project.root().join(PAGE.path));
    }
    let outcome = process::stream(&mut command)?;
    if book == Book::Written && outcome.status.success() {
        PAGE.write(project, &outcome.stdout)?;
    }
    Ok(outcome.status.success())
}

/// A Python with the packages.
fn python(folder: &Path, scripts: &Path) -> Result<PathBuf> {
    let wanted = scripts.join("requirements.txt");
    let environment = folder.join("python");
    let python = environment.join("bin/python");
    installed(&environment, &[&wanted], || {
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(&environment);
        process::run(&mut make, "python3 -m venv")
            .context("there is no Python 3.11 or newer that makes environments; install Debian's `python3-venv`")?;
        let mut fetch = Command::new(&python);
        fetch.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        process::run(fetch.arg("--requirement").arg(&wanted), "pip install")
            .context("the packages could not be fetched from Python's registry")
    })?;
    Ok(python)
}

/// A folder with the packages of Node.
fn node(folder: &Path, scripts: &Path) -> Result<PathBuf> {
    if on_path("node").is_none() {
        anyhow::bail!("there is no node; install Debian's `nodejs`");
    }
    let npm = on_path("npm").context("there is no npm; install Debian's `npm`")?;
    let home = folder.join("node");
    let wanted = ["package.json", "package-lock.json"].map(|name| scripts.join(name));
    installed(&home, &[&wanted[0], &wanted[1]], || {
        for path in &wanted {
            let name = path.file_name().context("a file without a name")?;
            fs::copy(path, home.join(name)).context("the list of packages could not be copied")?;
        }
        let mut fetch = Command::new(&npm);
        fetch.args(["ci", "--silent", "--ignore-scripts", "--prefix"]);
        process::run(fetch.arg(&home), "npm ci")
            .context("the packages could not be fetched from Node's registry")
    })?;
    Ok(home)
}

/// Installs where what is wanted has changed since the last time.
fn installed(
    folder: &Path,
    wanted: &[&PathBuf],
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    const DONE: &str = "installed";
    let mut lists = String::new();
    for path in wanted {
        lists += &fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
    }
    let done = folder.join(DONE);
    if fs::read_to_string(&done).is_ok_and(|done| done == lists) {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    install()?;
    fs::write(&done, lists).with_context(|| format!("{} cannot be written", done.display()))
}
