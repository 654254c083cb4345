//! `cargo xtask demo`: build as the user, show as root.

use std::{os::unix::process::CommandExt, process::ExitCode};

use anyhow::{Context, Result};

use crate::{
    build::{self, BpfDebug},
    paths::Project,
    root,
};

/// Builds, then becomes the demo, so that its exit code and Ctrl-C are its own.
///
/// Returns only if that was not possible.
pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    // Asked before the build: who has no way to root should not wait minutes to hear it.
    let root = root::available()?;
    build::product(project, BpfDebug::Silent)?;
    root.explain("the demo");
    let program = project.binary("demo");
    let injector = project.binary("injector");
    let error = root
        .command(project, &program, &[("INJECTOR_BIN", injector.as_os_str())])
        .exec();
    Err(error).with_context(|| format!("the demo {} could not be started", program.display()))
}
