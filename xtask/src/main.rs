//! `cargo xtask`: what it takes to build, test and show injector on a fresh machine.
//!
//! Invariants:
//! - Every step says what it does before it starts, and a step that cannot be done says in one
//!   sentence what is missing and what to do about it.
//! - Only finished executables run as root ([`root`]); cargo and rustc run as the user who called.
//! - Nothing is written outside cargo's target folder, but for rustup's own `rust-src` component and its target for
//!   musl, and for what is asked for: the table of kernels (`vm table --write`), those of clients (`clients --write`) and the
//!   book's pictures (`pictures`).
//!
//! Rejected: a `build.rs` that builds the BPF programs. It would run inside every `cargo check`,
//! would need the BPF toolchain there, and would nest cargo in cargo, which locks the target folder.

mod apt;
mod bench;
mod bpf_linker;
mod browser;
mod build;
mod campaign;
mod cargo_install;
mod clients;
mod debian;
mod demo;
mod dist;
mod game_day;
mod kernel;
#[cfg(test)]
mod layers;
mod libtest;
mod mutation;
mod openapi;
mod page;
mod paths;
mod pictures;
mod process;
mod report;
mod root;
mod rust_src;
mod test;
mod toolchain;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    browser::Book,
    build::BpfDebug,
    paths::{Profile, Project},
    process::CommandFailed,
    test::Choice,
};

/// Build, test and demonstrate injector.
///
/// Start with `cargo xtask demo`. It fetches what is missing, builds, and shows the main job on
/// real processes in under a minute of run time. Loading BPF programs needs root: `demo`, `test`
/// and `bench` run the finished executables through sudo when you are not root; they never build
/// as root when you are not.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = false)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the release binary, `release/injector` in cargo's target folder.
    ///
    /// The first build also fetches rust-src (about a second) and builds bpf-linker (about a
    /// minute) into the target folder; later builds find them there.
    Build {
        /// Keep the debug messages of the BPF programs; they show up in injector's own log.
        #[arg(long)]
        debug_log: bool,
    },
    /// Build, then put a chosen process through a bad network and take it out again (needs root).
    Demo {
        /// Show it in a virtual machine, without root (needs qemu-system-x86_64).
        #[arg(long)]
        vm: bool,
        /// On this kernel, instead of Debian's 7.3: a name as `cargo xtask vm` has them, or a path.
        #[arg(long, value_name = "NAME|PATH", requires = "vm")]
        kernel: Option<String>,
    },
    /// Make what is installed without a checkout: a static program, and a Debian package with man pages and completions.
    ///
    /// It is in `dist` of cargo's target folder. The first build takes some ten minutes.
    Dist {
        /// Install the package on a clean Debian that debootstrap makes, use it, purge it, and see that nothing is
        /// left (needs root and debootstrap; nothing of the host's own packages is touched).
        #[arg(long)]
        check: bool,
    },
    /// Run every test that this machine can run, and count passed, failed and skipped.
    ///
    /// Format and lints, unit, property and documentation tests, then the end-to-end tests on real
    /// processes (as root), and a few of them on other kernels. What cannot run here is counted as skipped, with the reason. A failing
    /// step does not stop the later ones; the exit code is 1 if anything failed.
    Test {
        /// Run only the tests whose name contains this; format and lint checks are left out, and so
        /// are other kernels.
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// What answers in five minutes where most is built: format, lints, unit tests, and of the end-to-end
        /// tests on this host the effects and refusals.
        #[arg(long, conflicts_with = "filter")]
        quick: bool,
    },
    /// The first steps of `test` alone: format, lints of both workspaces, licences and advisories (no root).
    Lint,
    /// Have redocly read configs/openapi.json, and schemathesis try the daemon's interface against it.
    ///
    /// Each is a counted skip where it is not on PATH. schemathesis needs root, and takes some minutes; what follows `--` is for it, as
    /// in `-- --max-time 600 --seed 7`.
    Openapi {
        /// Arguments of `schemathesis run`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Look at the pages of the five game days in Chromium (needs root, two minutes).
    ///
    /// A counted skip where Chromium, node, playwright-core or axe-core is missing.
    Browser {
        /// Draw the book's picture of such a page anew, too.
        #[arg(long)]
        write: bool,
    },
    /// Have clients from Python's and Node's registries meet faults, and hold the book to what they do (needs root, ten minutes).
    ///
    /// The packages are fetched into the target folder, in the versions that `tests/clients` names. Where they cannot be had, that is a
    /// counted skip.
    Clients {
        /// Only clients whose name contains this.
        #[arg(long, value_name = "TEXT", conflicts_with = "write")]
        only: Option<String>,
        /// Each fault with one client alone, as `test` does.
        #[arg(long, conflicts_with_all = ["only", "write"])]
        brief: bool,
        /// Write the tables of the book anew.
        #[arg(long)]
        write: bool,
    },
    /// Measure injector on this machine; writes a table to `bench/` in cargo's target folder.
    Bench {
        #[command(subcommand)]
        subject: bench::Subject,
    },
    /// Try to break the promise, many times over, and count (needs root, or a kernel for a virtual machine).
    Campaign(campaign::Campaign),
    /// Draw what real commands print into docs/src/pictures (needs root, a minute).
    Pictures {
        /// Only those whose name contains this; `list` and `audit` show the run of `net-delay`.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// Print what the verifiers of this host and of other kernels say of each BPF program.
    ///
    /// Instructions looked at, and bytes of stack; fails where a program is over the bound. This host
    /// needs root, the others qemu-system-x86_64.
    Verifier {
        #[command(flatten)]
        kernels: vm::Kernels,
    },
    /// Build a kernel for virtual machines that no package has (no root).
    Kernel {
        #[command(subcommand)]
        task: kernel::Task,
    },
    /// Run injector on other kernels, in virtual machines (needs qemu-system-x86_64, no root).
    ///
    /// Debian's kernels are fetched into the target folder; `INJECTOR_KERNELS` may name a folder of
    /// further ones, NAME.bzImage. A kernel that cannot be had is skipped, with the reason.
    Vm {
        #[command(subcommand)]
        task: vm::Task,
    },
}

impl Task {
    /// How what it runs is compiled.
    const fn profile(&self) -> Profile {
        match self {
            Self::Build { .. } | Self::Bench { .. } => Profile::Optimized,
            Self::Demo { .. }
            | Self::Dist { .. }
            | Self::Test { .. }
            | Self::Lint
            | Self::Openapi { .. }
            | Self::Browser { .. }
            | Self::Clients { .. }
            | Self::Campaign(_)
            | Self::Pictures { .. }
            | Self::Verifier { .. }
            | Self::Kernel { .. }
            | Self::Vm { .. } => Profile::Checked,
        }
    }
}

fn main() -> ExitCode {
    match perform(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            // 1: a tool ran and failed, its own message is above. 2: the set-up lacks something.
            ExitCode::from(if error.is::<CommandFailed>() { 1 } else { 2 })
        }
    }
}

fn perform(task: Task) -> anyhow::Result<ExitCode> {
    let project = Project::locate(task.profile())?;
    match task {
        Task::Build { debug_log } => {
            let debug = if debug_log {
                BpfDebug::Logged
            } else {
                BpfDebug::Silent
            };
            build::product(&project, debug)?;
            println!("xtask: built {}", project.binary("injector").display());
            Ok(ExitCode::SUCCESS)
        }
        Task::Demo { vm: true, kernel } => vm::demo(&project, kernel.as_deref()),
        Task::Demo { vm: false, .. } => demo::run(&project),
        Task::Dist { check: false } => dist::run(&project),
        Task::Dist { check: true } => Ok(dist::check(&project)),
        Task::Test { quick: true, .. } => Ok(test::run(&project, Choice::Quick)),
        Task::Test { filter, .. } => {
            let choice = filter.as_deref().map_or(Choice::All, Choice::Named);
            Ok(test::run(&project, choice))
        }
        Task::Pictures { only } => pictures::run(&project, only.as_deref()),
        Task::Lint => Ok(test::run(&project, Choice::Lint)),
        Task::Openapi { arguments } => Ok(openapi::run(&project, &arguments)),
        Task::Browser { write } => {
            let book = if write { Book::Drawn } else { Book::Kept };
            Ok(browser::run(&project, book))
        }
        Task::Clients { only, brief, write } => {
            let calls = match (&only, brief) {
                (Some(text), _) => clients::Calls::Of(text),
                (None, true) => clients::Calls::Brief,
                (None, false) => clients::Calls::All,
            };
            let book = if write {
                clients::Book::Written
            } else {
                clients::Book::HeldTo
            };
            clients::run(&project, calls, book)
        }
        Task::Bench { subject } => bench::run(&project, &subject),
        Task::Campaign(campaign) => campaign::run(&project, &campaign),
        Task::Kernel { task } => kernel::run(&project, &task),
        Task::Verifier { kernels } => vm::verifier(&project, &kernels),
        Task::Vm { task } => vm::run(&project, &task),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_test_filter_is_read() {
        let cli = Cli::try_parse_from(["xtask", "test", "--filter", "loss"]).unwrap();
        assert!(matches!(cli.task, Task::Test { filter: Some(text), .. } if text == "loss"));
    }
}
