//! bpf-linker: found in the target folder or on PATH, else installed into the target folder.
//!
//! 0.10.3 is the last version that reads the bitcode of rustc 1.95 with rustc's own LLVM; later
//! ones want an LLVM of the system.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, anyhow};

use crate::{cargo_install, paths::Project, process, toolchain::version_in};

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
    cargo_install::install(project, "bpf-linker", VERSION, "about a minute").map_err(|error| {
        anyhow!(
            "bpf-linker {VERSION} could not be installed ({error:#}): it is downloaded once, so \
             try again with network access, or put a bpf-linker {VERSION} of your own on PATH"
        )
    })
}
