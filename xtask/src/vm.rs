//! `cargo xtask vm`: the same binaries on other kernels, under QEMU.
//!
//! The reading order is that of a run: [`catalogue`] says which kernels there are, [`debian`] gets
//! Debian's, [`initramfs`] packs what runs inside, [`machine`] boots it, [`console`] reads what it
//! says, [`harness`] runs the tests on all kernels, [`everywhere`] is what `cargo xtask test` asks of each
//! kernel in one boot, and [`faults`] keeps the table of the book.
//!
//! Invariants:
//! - A kernel that cannot be had is a skip with its reason, never a silent gap.
//! - Nothing but the target folder is written, the table of kernels aside where that is asked for, and no root is needed: the guest's root is enough.
//!
//! Rejected: disk images, which need root or minutes to make; 9p shares of the host's files, which
//! not every kernel has, and which would let tests write to the host.

mod catalogue;
mod console;
mod debian;
mod demo;
mod everywhere;
mod faults;
mod harness;
mod initramfs;
mod libraries;
mod local;
mod machine;
mod matrix;
mod modules;
mod queue;
mod single;
mod survey;
mod table;
mod verdict;
mod verifier;

use std::{path::PathBuf, process::ExitCode, sync::Mutex, time::Duration};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::{paths::Project, process::announce};
use catalogue::{Candidate, Kernel};
pub(crate) use demo::run as demo;
pub(crate) use everywhere::{Told, run as everywhere};
pub(crate) use faults::contradictions_here;
use initramfs::Initramfs;
use machine::{Ended, Machine, Presence};
use queue::Beside;
pub(crate) use queue::Work;
pub(crate) use single::{Guest, run as single};
pub(crate) use verifier::{Findings as Bounds, here as bounds_here, run as verifier};

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
    /// Try every fault on each kernel, and print the table fault × kernel.
    ///
    /// This host has a column too, `restricted host`, where its kernel takes neither BPF LSM programs
    /// nor kprobes; that part needs root.
    Table {
        #[command(flatten)]
        kernels: Kernels,
        /// Put what was seen into docs/src/kernels.md; columns of other kernels stay as they are.
        #[arg(long)]
        write: bool,
    },
}

/// A question, or a short program.
const BRIEF: Duration = Duration::from_mins(5);

/// Which kernels.
#[derive(Args, Default)]
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
        Task::Table { kernels, write } => faults::table(
            project,
            kernels,
            if *write {
                faults::Book::Write
            } else {
                faults::Book::Keep
            },
        ),
        Task::Doctor { kernels } => survey::run(project, kernels),
    }
}

/// The kernel that `cargo xtask kernel build ubuntu-like` makes.
pub(crate) const UBUNTU_LIKE: &str = "ubuntu-like-6.12";

/// Where built kernels are, `NAME.bzImage`.
pub(crate) fn built_kernels(project: &Project) -> PathBuf {
    folder(project).join("kernels")
}

/// A package of Debian's, fetched and unpacked if it is not there.
pub(crate) fn debian_package(project: &Project, package: &str) -> Result<PathBuf> {
    debian::package(project, package)
}

/// The folder of all that is fetched and made here.
pub(crate) fn folder(project: &Project) -> PathBuf {
    project.target().join("vm")
}

/// What came of one kernel.
enum Visit {
    /// It cannot be had here, for this reason.
    Skipped(String),
    /// It was booted.
    Ran(Ended),
}

/// What is done on each kernel.
#[derive(Clone, Copy)]
struct Round<'a> {
    /// A word for it, also for the names of logs.
    task: &'a str,
    /// How long a guest may run.
    limit: Duration,
    beside: Beside<'a>,
}

/// A round that the caller waits for.
const fn watched(task: &str, limit: Duration) -> Round<'_> {
    Round {
        task,
        limit,
        beside: Beside::Nothing,
    }
}

/// Boots each kernel that is wanted with what `pack` put into its initramfs.
fn visit(
    project: &Project,
    kernels: &Kernels,
    round: Round<'_>,
    pack: impl Fn(&mut Initramfs) -> Result<()> + Sync,
) -> Result<Vec<(String, Visit)>> {
    let logs = folder(project).join("logs");
    let presence = match round.beside {
        Beside::Nothing => Presence::Foreground,
        Beside::Work(_) => Presence::Background,
    };
    let machine = Machine::new(logs, round.limit, presence)?;
    // What is fetched for one kernel may be another's too.
    let fetching = Mutex::new(());
    let candidates = catalogue::chosen(project, &kernels.wanted)?;
    queue::each(candidates, round.beside, |candidate| {
        announce(&format!("{} on {}", round.task, candidate.name));
        let ready = {
            let _alone = fetching.lock();
            ready(project, &candidate)
        };
        let visited = match ready {
            Ok(ready) => enter(project, &machine, &candidate, ready, round.task, &pack)?,
            Err(reason) => Visit::Skipped(format!("{reason:#}")),
        };
        if let Visit::Ran(ended) = &visited {
            let seconds = ended.took.as_secs();
            announce(&format!(
                "{} on {} ended after {seconds} s",
                round.task, candidate.name
            ));
        }
        Ok((candidate.name, visited))
    })
}

fn enter(
    project: &Project,
    machine: &Machine,
    candidate: &Candidate,
    (kernel, mut initramfs): (Kernel, Initramfs),
    task: &str,
    pack: impl Fn(&mut Initramfs) -> Result<()>,
) -> Result<Visit> {
    pack(&mut initramfs)?;
    if let Some(folder) = &kernel.modules {
        initramfs.modules(
            folder,
            &[
                "tun",
                "veth",
                "fuse",
                "loop",
                "bridge",
                "macvlan",
                "sch_ingress",
                "cls_bpf",
            ],
        )?;
    }
    // Its own: another machine may be running on the last one's.
    let image = tempfile::Builder::new()
        .prefix("initramfs-")
        .suffix(".cpio")
        .tempfile_in(folder(project))
        .context("there is no place for an initramfs")?;
    initramfs
        .write(image.path())
        .with_context(|| format!("{} could not be written", image.path().display()))?;
    // The name of a kernel may be its path.
    let log = format!("{}-{task}", candidate.name.replace('/', "_"));
    Ok(Visit::Ran(machine.boot(&kernel, image.path(), &log)?))
}

/// All that is not of our own making; an error is the reason why this kernel cannot be had here.
fn ready(project: &Project, candidate: &Candidate) -> Result<(Kernel, Initramfs)> {
    machine::ensure_qemu()?;
    Ok((candidate.prepare(project)?, Initramfs::new(project)?))
}

/// A word for the guest's shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_cannot_leave_its_quotes() {
        assert_eq!(quoted("a'; reboot"), r"'a'\''; reboot'");
    }
}
