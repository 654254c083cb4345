//! `cargo xtask vm`: the same binaries on other kernels, under QEMU.
//!
//! The reading order is that of a run: [`catalogue`] says which kernels there are, [`debian`] gets
//! Debian's, [`initramfs`] packs what runs inside, [`machine`] boots it, [`console`] reads what it
//! says, [`matrix`] shows all kernels side by side.
//!
//! Invariants:
//! - A kernel that cannot be had is a skip with its reason, never a silent gap.
//! - Nothing but the target folder is written, and no root is needed: the guest's root is enough.
//!
//! Rejected: disk images, which need root or minutes to make; 9p shares of the host's files, which
//! not every kernel has, and which would let tests write to the host.

mod catalogue;
mod console;
mod debian;
mod harness;
mod initramfs;
mod libraries;
mod machine;
mod matrix;
mod modules;
mod survey;

mod verdict;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::{paths::Project, process::announce};
use catalogue::Candidate;
use initramfs::Initramfs;
use machine::{Ended, Machine};

/// What can be done in virtual machines.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Run the end-to-end tests on each kernel.
    Test {
        #[command(flatten)]
        kernels: Kernels,
        /// Run only the tests whose name contains this; all of them take most of an hour per kernel
        /// where the processor is emulated.
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
    },
    /// Show what `injector doctor` says on each kernel.
    Doctor {
        #[command(flatten)]
        kernels: Kernels,
    },
    /// Try every fault on each kernel, and write the table fault × kernel to `vm/table.md` in
    /// cargo's target folder.
    Table {
        #[command(flatten)]
        kernels: Kernels,
        /// Judge by the effect tests whose name contains this.
        #[arg(long, value_name = "TEXT", default_value = "effect::")]
        filter: String,
    },
}

/// Which kernels.
#[derive(Args)]
pub(crate) struct Kernels {
    /// A name as in the table at the end, the beginning of some, or the path of a bzImage; may be
    /// given several times. Without it, all kernels are booted.
    #[arg(long = "kernel", value_name = "NAME|PATH")]
    wanted: Vec<String>,
}

/// Does it, one machine at a time.
pub(crate) fn run(project: &Project, task: &Task) -> Result<ExitCode> {
    match task {
        Task::Test { kernels, filter } => harness::run(project, kernels, filter.as_deref()),
        Task::Table { kernels, filter } => harness::table(project, kernels, filter),
        Task::Doctor { kernels } => survey::run(project, kernels),
    }
}

/// The folder of all that is fetched and made here.
fn folder(project: &Project) -> PathBuf {
    project.target().join("vm")
}

/// What came of one kernel.
enum Visit {
    /// It cannot be had here, for this reason.
    Skipped(String),
    /// It was booted.
    Ran(Ended),
}

/// Boots each kernel that is wanted with what `pack` put into its initramfs.
fn visit(
    project: &Project,
    kernels: &Kernels,
    task: &str,
    pack: impl Fn(&mut Initramfs) -> Result<()>,
) -> Result<Vec<(String, Visit)>> {
    let mut machine = Machine::new(folder(project).join("logs"))?;
    catalogue::chosen(project, &kernels.wanted)?
        .into_iter()
        .map(|candidate| {
            announce(&format!("{task} on {}", candidate.name));
            let visited = enter(project, &mut machine, &candidate, task, &pack)?;
            Ok((candidate.name, visited))
        })
        .collect()
}

fn enter(
    project: &Project,
    machine: &mut Machine,
    candidate: &Candidate,
    task: &str,
    pack: impl Fn(&mut Initramfs) -> Result<()>,
) -> Result<Visit> {
    let kernel = match candidate.prepare(project) {
        Ok(kernel) => kernel,
        Err(reason) => return Ok(Visit::Skipped(format!("{reason:#}"))),
    };
    let mut initramfs = Initramfs::new(project)?;
    pack(&mut initramfs)?;
    if let Some(folder) = &kernel.modules {
        initramfs.modules(folder, &["tun", "veth", "fuse"])?;
    }
    let image = folder(project).join("initramfs.cpio");
    initramfs
        .write(&image)
        .with_context(|| format!("{} could not be written", image.display()))?;
    // The name of a kernel may be its path.
    let log = format!("{}-{task}", candidate.name.replace('/', "_"));
    Ok(Visit::Ran(machine.boot(&kernel, &image, &log)?))
}
