//! Flags that say who: the same on every command that arms, and under `targets:` in a file.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};

use super::values;
use crate::experiment::{Follow, Many, Selector};

/// One way to choose processes, and how far it reaches.
#[derive(Args, Debug)]
#[command(next_help_heading = "Target (one of them)")]
pub struct TargetFlags {
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
    #[arg(long, value_name = "PID", action = ArgAction::Append, value_delimiter = ',', value_parser = values::pid)]
    pid: Vec<u32>,
    /// Every process in this cgroup and below it; absolute, or relative to the cgroup v2 mount
    #[arg(long, value_name = "PATH", value_parser = values::cgroup)]
    cgroup: Option<PathBuf>,
    /// Every process of this systemd unit
    #[arg(long, value_name = "NAME")]
    unit: Option<String>,
    /// Every process of this container: its id or the beginning of it
    #[arg(long, value_name = "ID", value_parser = values::container)]
    container: Option<String>,
    /// The process whose command line matches this regular expression
    #[arg(long, value_name = "REGEX", value_parser = values::pattern)]
    process: Option<String>,
}

/// A target as a file has it.
#[derive(Parser, Debug)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub struct TargetInFile {
    #[command(flatten)]
    /// The selector.
    pub target: TargetFlags,
}

impl TargetFlags {
    /// The selector; `None` where no target was named.
    pub fn selector(self) -> Option<Selector> {
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
