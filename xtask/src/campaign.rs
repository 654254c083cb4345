//! `cargo xtask campaign`: build as the user, then try to break the promise as root, here or on another
//! kernel.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{
    build::{self, BpfDebug},
    mutation,
    paths::Project,
    process, root, vm,
};

/// What `cargo xtask test` runs of each: enough to see it bite, in seconds.
pub(crate) const SHORT: [(&str, &str); 19] = [
    ("kill9-random", "30"),
    ("kill9-every-step", "1"),
    ("sigstop", "10"),
    ("freeze", "10"),
    ("hung-runtime", "10"),
    ("oom", "10"),
    ("stop-latency", "20"),
    ("standstill", "16"),
    ("scope", "200000"),
    ("probability-and-budget", "1"),
    ("overlap", "10"),
    ("target-churn", "30"),
    ("pid-reuse", "10"),
    ("hostile-peers", "5"),
    ("socket-abuse", "4"),
    ("upgrade", "6"),
    ("journal-faults", "30"),
    ("self-protection", "20"),
    ("soak", "10"),
];

/// How the program ends where the host is not one for the campaign.
pub(crate) const NOT_HERE: i32 = 4;

/// A campaign, as the program `campaign` knows it.
#[derive(Args)]
pub(crate) struct Campaign {
    /// Which one; `cargo xtask campaign help` lists them, and `mutation` breaks the injector itself.
    name: String,
    /// Where the moments are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs; for `soak`, how many seconds.
    #[arg(long)]
    runs: Option<u64>,
    /// How many faults at once, for those that end runs; fewer suit a slow machine.
    #[arg(long)]
    at_once: Option<usize>,
    /// Only faults that have this in their words; for `mutation`, only what has it in its description.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// On this kernel, in a virtual machine: a name as `cargo xtask vm` has them, or a path.
    #[arg(long, value_name = "NAME|PATH")]
    kernel: Option<String>,
}

impl Campaign {
    /// The program's words.
    fn words(&self) -> Vec<String> {
        if self.name == "help" {
            return vec!["--help".into()];
        }
        let mut words = vec![self.name.clone(), "--seed".into(), self.seed.to_string()];
        if let Some(runs) = self.runs {
            words.extend(["--runs".into(), runs.to_string()]);
        }
        if let Some(at_once) = self.at_once {
            words.extend(["--at-once".into(), at_once.to_string()]);
        }
        if let Some(only) = &self.only {
            words.extend(["--only".into(), only.clone()]);
        }
        words
    }
}

/// Builds and runs it; its exit code is the campaign's: 1 where a promise was broken.
pub(crate) fn run(project: &Project, campaign: &Campaign) -> Result<ExitCode> {
    if campaign.name == "mutation" {
        return mutation::run(project, campaign.only.as_deref());
    }
    let words = campaign.words();
    if let Some(kernel) = &campaign.kernel {
        build::product(project, BpfDebug::Silent)?;
        let guest = vm::Guest {
            program: "campaign",
            words: &words,
            tools: &[],
        };
        return vm::single(project, kernel, &guest);
    }
    let root = root::available()?;
    build::product(project, BpfDebug::Silent)?;
    root.explain("the campaign");
    let injector = project.binary("injector");
    let environment = [("INJECTOR_BIN", injector.as_os_str())];
    let mut program = root.command(project, &project.binary("campaign"), &environment);
    let outcome = process::stream(program.args(&words))?;
    Ok(if outcome.status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
