//! Flags that say who: the same on every command that arms, and under `targets:` in a file.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, builder::RangedU64ValueParser};

use crate::experiment::{Follow, Many, Selector};

/// One way to choose processes, and how far it reaches.
#[derive(Args, Debug)]
#[command(next_help_heading = "Target (one of them)")]
pub(crate) struct TargetFlags {
    #[command(flatten)]
    one_of: SelectorFlags,
    /// With --pid or --process: its children too, present and future
    #[arg(long, conflicts_with_all = ["cgroup", "unit", "container"])]
    tree: bool,
    /// With --process: all processes that match, where one is expected otherwise
    #[arg(long, conflicts_with_all = ["pid", "cgroup", "unit", "container"])]
    all: bool,
}

#[derive(Args, Debug)]
#[group(id = "selector", multiple = false)]
struct SelectorFlags {
    /// This process; repeatable
    #[arg(long, value_name = "PID", action = ArgAction::Append, value_delimiter = ',',
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=4_194_304))]
    pid: Vec<u32>,
    /// Every process in this cgroup and below it; absolute, or relative to the cgroup v2 mount
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// Every process of this systemd unit
    #[arg(long, value_name = "NAME")]
    unit: Option<String>,
    /// Every process of this container: its id or the beginning of it
    #[arg(long, value_name = "ID")]
    container: Option<String>,
    /// The process whose command line matches this regular expression
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    process: Option<String>,
}

/// A target as a file has it.
#[derive(Parser, Debug)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(crate) struct TargetInFile {
    #[command(flatten)]
    pub(crate) target: TargetFlags,
}

impl TargetFlags {
    /// The selector; `None` where nobody was named.
    pub(crate) fn selector(self) -> Option<Selector> {
        let SelectorFlags {
            pid: pids,
            cgroup,
            unit,
            container,
            process,
        } = self.one_of;
        let follow = if self.tree {
            Follow::Tree
        } else {
            Follow::Process
        };
        let many = if self.all {
            Many::All
        } else {
            Many::ExactlyOne
        };
        let by_pid = || (!pids.is_empty()).then_some(Selector::Pids { pids, follow });
        let by_pattern = || {
            process.map(|pattern| Selector::Process {
                pattern,
                many,
                follow,
            })
        };
        cgroup
            .map(Selector::Cgroup)
            .or_else(|| unit.map(Selector::Unit))
            .or_else(|| container.map(Selector::Container))
            .or_else(by_pattern)
            .or_else(by_pid)
    }
}

/// A pattern that does not compile, or that would match every process there is.
#[derive(Debug, thiserror::Error)]
enum PatternError {
    #[error("`{0}` is not a regular expression: {1}; correct it, or escape it with a backslash")]
    Broken(String, String),
    #[error("an empty regular expression matches every process; write what the command line holds")]
    Empty,
}

fn parse_pattern(text: &str) -> Result<String, PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    match crate::experiment::why_no_regex(text) {
        None => Ok(text.to_owned()),
        Some(why) => Err(PatternError::Broken(text.to_owned(), why)),
    }
}
