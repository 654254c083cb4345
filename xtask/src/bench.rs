//! `cargo xtask bench`: measure as root, keep the table as the user.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result};
use clap::Subcommand;

use crate::{
    build::{self, BpfDebug},
    paths::Project,
    process, root, vm,
};

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum Subject {
    /// Latency, throughput and overhead of the network faults (needs root, some minutes).
    Net {
        /// Only what has this in its promise; the table is printed and not kept.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// What a system call costs beside a fault and in it, and under strace (needs root, a minute).
    Sys {
        /// On this kernel, in a virtual machine: a name as `cargo xtask vm` has them, or a path.
        #[arg(long, value_name = "NAME|PATH")]
        kernel: Option<String>,
    },
    /// What commands and starts take beside a hundred thousand stored runs (needs root, two minutes).
    Store,
    /// What probes cost the host (needs root, two minutes).
    Probes,
    /// What the relay costs a request, beside mitmproxy where `mitmdump` is on PATH (needs root, a minute).
    Relay,
}

impl Subject {
    fn name(&self) -> &'static str {
        match self {
            Self::Net { .. } => "net",
            Self::Sys { .. } => "sys",
            Self::Store => "store",
            Self::Probes => "probes",
            Self::Relay => "relay",
        }
    }
}

/// Builds, measures, and writes the table that the bench prints to `bench/SUBJECT.md`.
pub(crate) fn run(project: &Project, subject: &Subject) -> Result<ExitCode> {
    if let Subject::Sys {
        kernel: Some(kernel),
    } = subject
    {
        build::product(project, BpfDebug::Silent)?;
        return in_a_machine(project, kernel);
    }
    let root = root::available()?;
    build::product(project, BpfDebug::Silent)?;
    root.explain("the bench");
    let program = project.binary(&format!("bench-{}", subject.name()));
    let injector = project.binary("injector");
    let mut bench = root.command(project, &program, &[("INJECTOR_BIN", injector.as_os_str())]);
    let only = match subject {
        Subject::Net { only } => only.as_deref(),
        Subject::Sys { .. } | Subject::Store | Subject::Probes | Subject::Relay => None,
    };
    let outcome = process::stream(bench.args(only))?;
    if !outcome.status.success() {
        // No table: half a measurement must not be mistaken for the last good one.
        process::announce("the bench failed; no table was written");
        return Ok(ExitCode::FAILURE);
    }
    if only.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    let folder = project.target().join("bench");
    let table = folder.join(subject.name()).with_extension("md");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&table, &outcome.stdout))
        .with_context(|| format!("the table could not be written to {}", table.display()))?;
    process::announce(&format!("wrote {}", table.display()));
    Ok(ExitCode::SUCCESS)
}

/// The table is on the console, and in the log whose name is told.
fn in_a_machine(project: &Project, kernel: &str) -> Result<ExitCode> {
    let strace = process::find("strace").context("install strace (Debian package strace)")?;
    let guest = vm::Guest {
        program: "bench-sys",
        words: &[],
        tools: &[strace],
    };
    vm::single(project, kernel, &guest)
}
