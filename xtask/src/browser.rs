//! `cargo xtask browser`: the pages of the five game days in a real browser, light and dark, wide and narrow, by keyboard,
//! without scripts and on paper.
//!
//! Neither the browser nor the two packages that drive and judge it are fetched from here: where one is missing, that is a
//! counted skip that says how to have it. `configs/browser/look.cjs` has what is looked at.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{
    game_day,
    openapi::on_path,
    paths::Project,
    process::{self, announce},
    report::Report,
    root::{self, Root},
};

const WHAT: &str = "reports in a browser (Chromium, playwright-core, axe-core)";
/// Names of the browser, the first that is there is taken.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The page of which the book has a picture.
const IN_THE_BOOK: &str = "deviates";
/// That picture's name.
pub(crate) const PICTURE: &str = "report.png";

/// Whether the book gets its picture anew.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Book {
    Kept,
    Drawn,
}

/// Looks, and counts.
pub(crate) fn run(project: &Project, book: Book) -> ExitCode {
    let mut report = Report::default();
    look(project, book, &mut report);
    println!("\n{report}");
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn look(project: &Project, book: Book, report: &mut Report) {
    let Some(browser) = BROWSERS.iter().find_map(|name| on_path(name)) else {
        return report.skip(WHAT, &"there is no Chromium; install Debian's `chromium`");
    };
    let Some(node) = on_path("node") else {
        return report.skip(WHAT, &"there is no node; install Debian's `nodejs`");
    };
    let folder = project.target().join("browser");
    let packages = folder.join("node_modules");
    if !["playwright-core", "axe-core"]
        .iter()
        .all(|name| packages.join(name).is_dir())
    {
        let remedy = format!(
            "the packages are not there; run `npm install --prefix {} playwright-core axe-core`",
            folder.display()
        );
        return report.skip(WHAT, &remedy);
    }
    let root = match root::available() {
        Ok(root) => root,
        Err(reason) => return report.skip(WHAT, &reason),
    };
    root.explain("the game days");
    let looked = pages(project, root, &folder).and_then(|pages| {
        announce("looking at the pages");
        let mut look = Command::new(&node);
        look.env("NODE_PATH", &packages)
            .arg(project.root().join("configs/browser/look.cjs"))
            .args([&browser, &folder])
            .args(pages);
        process::run(&mut look, "the look at the pages")
    });
    match looked.and_then(|()| draw(project, book, &folder)) {
        Ok(()) => report.pass(),
        Err(error) => report.fail(WHAT, &format!("{error:#}")),
    }
}

/// Plays the days and writes their pages.
fn pages(project: &Project, root: Root, folder: &Path) -> Result<Vec<PathBuf>> {
    let page = |day: &&str| {
        let journals = game_day::play(project, root, day)?;
        let environment = [("INJECTOR_STATE_DIR", journals.as_os_str())];
        let mut command = root.command(project, &project.binary("injector"), &environment);
        let page = process::answer(command.args(["report", "last", "--format", "html"]))
            .with_context(|| format!("there is no page of the game day {day}"))?;
        let path = folder.join(format!("{day}.html"));
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    game_day::ALL.iter().map(page).collect()
}

fn draw(project: &Project, book: Book, folder: &Path) -> Result<()> {
    match book {
        Book::Kept => Ok(()),
        Book::Drawn => {
            let from = folder.join(format!("{IN_THE_BOOK}-top.png"));
            let to = project.root().join("docs/src/pictures").join(PICTURE);
            fs::copy(from, to).context("the book did not get its picture")?;
            Ok(())
        }
    }
}
