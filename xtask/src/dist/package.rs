//! The Debian package, by cargo-deb, which needs no tools of Debian's.
//!
//! What is in it stands in `[package.metadata.deb]` of injector's manifest. cargo-deb looks for `target/release/...` in
//! the folder of the build's own profile, so what is generated is put there first, below `package`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{PROFILE, built, musl};
use crate::{cargo_install, paths::Project, process, toolchain::version_in};

const VERSION: &str = "3.8.0";

/// Where the unit of the checkout has the program, and where the package has it.
const BY_HAND: &str = "/usr/local/bin/injector";
const PACKAGED: &str = "/usr/bin/injector";

/// Packs what is in the folder, and returns the package, which is there too.
pub(super) fn build(project: &Project, folder: &Path) -> Result<PathBuf> {
    let tool = ensure_tool(project)?;
    let target = musl::triple();
    stage(project, folder, &built(project))?;
    for old in packages(folder)? {
        fs::remove_file(&old)
            .with_context(|| format!("{} could not be replaced", old.display()))?;
    }
    process::announce("packing");
    let mut pack = Command::new(tool);
    pack.current_dir(project.root())
        .env("CARGO_TARGET_DIR", project.target())
        .args([
            "--package",
            "injector",
            "--profile",
            PROFILE,
            "--target",
            &target,
        ])
        .args([
            "--no-build",
            "--no-strip",
            "--locked",
            "--quiet",
            "--output",
        ])
        .arg(folder);
    process::run(&mut pack, "cargo-deb")?;
    let mut made = packages(folder)?;
    ensure!(made.len() == 1, "cargo-deb made {} packages", made.len());
    made.pop().context("cargo-deb made no package")
}

/// cargo-deb, which is installed where it is not there.
fn ensure_tool(project: &Project) -> Result<PathBuf> {
    let tool = project.tools().join("bin/cargo-deb");
    let said = process::answer(Command::new(&tool).arg("--version"));
    if said.as_deref().and_then(version_in) != Some(VERSION) {
        cargo_install::install(project, "cargo-deb", VERSION, "some minutes").map_err(|error| {
            anyhow!(
                "cargo-deb {VERSION} could not be installed ({error:#}): it is downloaded once, so try again with \
                 network access"
            )
        })?;
    }
    Ok(tool)
}

/// Puts what cargo has not built beside what it has.
fn stage(project: &Project, folder: &Path, built: &Path) -> Result<()> {
    let staged = built.join("package");
    if staged.exists() {
        fs::remove_dir_all(&staged).context("the last package's files could not be removed")?;
    }
    for pages in ["man", "completions"] {
        let (from, into) = (folder.join(pages), staged.join(pages));
        fs::create_dir_all(&into)
            .with_context(|| format!("{} could not be made", into.display()))?;
        let entries =
            fs::read_dir(&from).with_context(|| format!("{} is not there", from.display()))?;
        for entry in entries {
            let entry = entry.context("a page could not be read")?;
            fs::copy(entry.path(), into.join(entry.file_name()))
                .with_context(|| format!("{} could not be copied", entry.path().display()))?;
        }
    }
    compress(&staged.join("man"))?;
    let unit = project.root().join("configs/injector.service");
    let text = fs::read_to_string(&unit)
        .with_context(|| format!("{} could not be read", unit.display()))?;
    fs::write(staged.join("injector.service"), packaged(&text))
        .context("the unit could not be written")
}

/// Compresses man pages as Debian's policy says (12.3); cargo-deb does so with what it takes for no product of the build.
fn compress(man: &Path) -> Result<()> {
    let entries = fs::read_dir(man).with_context(|| format!("{} is not there", man.display()))?;
    let pages = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut gzip = Command::new("gzip");
    gzip.args(["-9", "-n"]).args(pages);
    process::run(&mut gzip, "gzip")
}

/// The unit as the package has it: without the words on how to install it by hand, and with the package's program.
fn packaged(unit: &str) -> String {
    let by_hand = unit.find("\n#\n").map_or(0, |end| end + "\n#\n".len());
    let head = "# systemd unit of the injector daemon. `systemctl enable --now injector` starts it, where\n\
                # /etc/injector/injector.toml enables the daemon.\n#\n";
    format!("{head}{}", &unit[by_hand..]).replace(BY_HAND, PACKAGED)
}

fn packages(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} is not there", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths
        .filter(|path| path.extension().is_some_and(|it| it == "deb"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_unit_starts_the_packaged_program() {
        let unit = include_str!("../../../configs/injector.service");
        let packaged = packaged(unit);
        assert!(packaged.contains("\nExecStart=/usr/bin/injector daemon\n"));
        assert!(!packaged.contains("/usr/local") && !packaged.contains("Install it as"));
        let settings = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(settings(&packaged), settings(unit));
    }
}
