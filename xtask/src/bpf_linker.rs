//! bpf-linker: found in the target folder or on PATH, else installed into the target folder.
//!
//! 0.10.3 is the last version that reads the bitcode of rustc 1.95 with rustc's own LLVM; later
//! ones want an LLVM of the system.

use std::{fs, io::ErrorKind, path::PathBuf, process::Command};

use anyhow::{Result, anyhow};

use crate::{paths::Project, process, toolchain::version_in};

const VERSION: &str = "0.10.3";

/// The folder with a bpf-linker of the right version, if it is not the one that PATH finds anyway.
pub(crate) fn ensure(project: &Project) -> Result<Option<PathBuf>> {
    let folder = project.tools().join("bin");
    if has_right_version(Command::new(folder.join("bpf-linker"))) {
        return Ok(Some(folder));
    }
    if has_right_version(Command::new("bpf-linker")) {
        return Ok(None);
    }
    install(project)?;
    Ok(Some(folder))
}

fn has_right_version(mut linker: Command) -> bool {
    let said = process::answer(linker.arg("--version"));
    said.as_deref().and_then(version_in) == Some(VERSION)
}

fn install(project: &Project) -> Result<()> {
    let tools = project.tools();
    process::announce(&format!(
        "installing bpf-linker {VERSION} into {} (once, about a minute)",
        tools.display()
    ));
    let scratch = tools.join("build");
    let words = format!("install bpf-linker --version {VERSION} --locked --force --quiet");
    let mut cargo = project.cargo(&words);
    cargo
        .arg("--root")
        .arg(&tools)
        .env("CARGO_TARGET_DIR", &scratch);
    let installed = process::run(&mut cargo, "cargo install").map_err(|error| {
        anyhow!(
            "bpf-linker {VERSION} could not be installed ({error:#}): it is downloaded once, so \
             try again with network access, or put a bpf-linker {VERSION} of your own on PATH"
        )
    });
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
