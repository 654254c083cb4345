//! Flags of the commands that arm.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::target::TargetFlags;
use crate::{quantity::duration, worker::Output};

/// What surrounds a fault on the command line.
#[derive(Args, Debug)]
pub(crate) struct OnCommandLine {
    #[command(flatten)]
    pub(crate) target: TargetFlags,
    /// How long the fault stays on, counted from when it is armed
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = "Run")]
    pub(crate) duration: Duration,
    #[command(flatten)]
    pub(crate) arming: ArmingFlags,
}

/// `injector run`.
#[derive(Args, Debug)]
pub(crate) struct RunFlags {
    /// The experiment
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replaces the selector of the experiment's only target
    #[command(flatten)]
    pub(crate) target: TargetFlags,
    #[command(flatten)]
    pub(crate) arming: ArmingFlags,
}

/// How a run is started and told.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Run")]
pub(crate) struct ArmingFlags {
    /// Print targets, plan and mechanisms; arm nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit 3 where a run would be refused
    #[arg(long, requires = "dry_run")]
    strict: bool,
    #[command(flatten)]
    output: OutputFlags,
}

/// How results are printed.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputFlags {
    /// Print JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Whether a run is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// It is carried out.
    No,
    /// It is planned and printed; a refusal is printed too, and no failure.
    DryRun,
    /// The same, and a refusal is one.
    StrictDryRun,
}

impl OutputFlags {
    pub(crate) fn output(self) -> Output {
        if self.json {
            Output::Json
        } else {
            Output::Text
        }
    }
}

impl ArmingFlags {
    pub(crate) fn output(self) -> Output {
        self.output.output()
    }

    pub(crate) fn rehearsal(self) -> Rehearsal {
        match (self.dry_run, self.strict) {
            (false, _) => Rehearsal::No,
            (true, false) => Rehearsal::DryRun,
            (true, true) => Rehearsal::StrictDryRun,
        }
    }
}
