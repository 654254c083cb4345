//! Flags of the commands that arm.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::trials::Times;
use injector_engine::worker::Output;
use injector_plan::policy::Override;
use injector_spec::grammar::TargetFlags;
use injector_spec::{
    condition::Condition,
    experiment::{Flaw, OnTargetExit, Setting},
    quantity::duration,
};

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
    /// The experiment; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replaces the selector of the experiment's only target
    #[command(flatten)]
    pub(crate) target: TargetFlags,
    /// Make so many runs, one after the other, and tell what they show together
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub(crate) repeat: Option<Times>,
    /// Give a variable of the file another value, as in `latency=1s`, or a parameter by its path, as in
    /// `steps[0].latency=1s`; repeatable
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Variables")]
    pub(crate) set: Vec<Setting>,
    /// Take the values of this profile of the file
    #[arg(long, value_name = "NAME", help_heading = "Variables")]
    pub(crate) profile: Option<String>,
    #[command(flatten)]
    pub(crate) stage: StageFlags,
    /// Tell each turn on a line of its own, without the dashboard and without the live line
    #[arg(long, conflicts_with = "repeat", help_heading = "Run")]
    pub(crate) plain: bool,
    #[command(flatten)]
    pub(crate) arming: ArmingFlags,
}

/// As which of its stages a file is run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Stages")]
pub(crate) struct StageFlags {
    /// Run a file as this one of its stages; as the first where none is named
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// Who answers for a run of a stage that needs it, on record
    #[arg(long, value_name = "NAME", requires = "stage")]
    pub(crate) approved_by: Option<String>,
}

/// How a run is started and told.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Run")]
pub(crate) struct ArmingFlags {
    /// Print targets, plan and mechanisms; arm nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit 3 where a run would be refused
    #[arg(long, requires = "dry_run")]
    strict: bool,
    /// End the run when this comes to hold, as in `host.load > 8`; repeatable
    #[arg(long, value_name = "CONDITION")]
    halt_if: Vec<Condition>,
    /// Fail where the target shows this flaw; repeatable
    #[arg(long, value_name = "FLAW")]
    fail_on: Vec<Flaw>,
    /// What the run does when a target has ended; `wait` where nothing is said
    #[arg(long, value_name = "WHAT")]
    on_target_exit: Option<OnTargetExit>,
    #[command(flatten)]
    overrides: OverrideFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// Each lifts one limit of the configuration, for this run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits of this host, each lifted on record")]
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "eight flags, each on its own and called what it is called; `overrides` makes values of them"
)]
struct OverrideFlags {
    /// More processes than `max_processes`
    #[arg(long)]
    allow_many_processes: bool,
    /// More of a cgroup than `max_share`
    #[arg(long)]
    allow_large_share: bool,
    /// A budget over `max_hits`
    #[arg(long)]
    allow_many_hits: bool,
    /// More hits a second than `max_hit_rate`
    #[arg(long)]
    allow_high_rate: bool,
    /// More bytes than `max_bytes`
    #[arg(long)]
    allow_many_bytes: bool,
    /// More runs at a time than `max_experiments`
    #[arg(long)]
    allow_many_experiments: bool,
    /// Longer than `max_duration`
    #[arg(long)]
    allow_long: bool,
    /// Now, although it is outside the hours
    #[arg(long)]
    allow_outside_hours: bool,
    /// A fault that is not allowed here, as in `net.delay`; repeatable
    #[arg(long, value_name = "NAME")]
    allow_fault: Vec<String>,
    /// A target that is protected by this name in the configuration; repeatable
    #[arg(long, value_name = "NAME")]
    allow_protected: Vec<String>,
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
    pub(crate) fn output(&self) -> Output {
        self.output.output()
    }

    /// The halt conditions.
    pub(crate) fn halt(&self) -> Vec<Condition> {
        self.halt_if.clone()
    }

    /// The flaws on which it fails.
    pub(crate) fn fail_on(&self) -> Vec<Flaw> {
        self.fail_on.clone()
    }

    /// What the run does when a target has ended, where that was said.
    pub(crate) const fn on_target_exit(&self) -> Option<OnTargetExit> {
        self.on_target_exit
    }

    /// The limits that are to be lifted.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let flags = &self.overrides;
        let plain = [
            (flags.allow_many_processes, Override::ManyProcesses),
            (flags.allow_large_share, Override::LargeShare),
            (flags.allow_many_hits, Override::ManyHits),
            (flags.allow_high_rate, Override::HighRate),
            (flags.allow_many_bytes, Override::ManyBytes),
            (flags.allow_many_experiments, Override::ManyExperiments),
            (flags.allow_long, Override::Long),
            (flags.allow_outside_hours, Override::OutsideHours),
        ];
        let faults = flags.allow_fault.iter().cloned().map(Override::Fault);
        let protected = flags.allow_protected.iter().cloned();
        plain
            .into_iter()
            .filter_map(|(is_given, limit)| is_given.then_some(limit))
            .chain(faults)
            .chain(protected.map(Override::Protected))
            .collect()
    }

    pub(crate) fn rehearsal(&self) -> Rehearsal {
        match (self.dry_run, self.strict) {
            (false, _) => Rehearsal::No,
            (true, false) => Rehearsal::DryRun,
            (true, true) => Rehearsal::StrictDryRun,
        }
    }
}
