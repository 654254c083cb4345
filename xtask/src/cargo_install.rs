//! Programs that cargo installs into the target folder, once.

use std::{fs, io::ErrorKind};

use anyhow::Result;

use crate::{paths::Project, process};

/// Installs this version into [`Project::tools`]; `time` says how long that takes.
pub(crate) fn install(project: &Project, name: &str, version: &str, time: &str) -> Result<()> {
    let tools = project.tools();
    process::announce(&format!(
        "installing {name} {version} into {} (once, {time})",
        tools.display()
    ));
    let scratch = tools.join("build");
    let words = format!("install {name} --version {version} --locked --force --quiet");
    let mut cargo = project.cargo(&words);
    cargo
        .arg("--root")
        .arg(&tools)
        .env("CARGO_TARGET_DIR", &scratch);
    let installed = process::run(&mut cargo, "cargo install");
    // Some hundred megabytes of intermediate files that no later build will read.
    if let Err(error) = fs::remove_dir_all(&scratch)
        && error.kind() != ErrorKind::NotFound
    {
        process::announce(&format!(
            "{} could not be removed: {error}",
            scratch.display()
        ));
    }
    installed
}
