//! Flags that say who: the same on every command that arms, and under `targets:` in a file.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};

use super::values;
use crate::{
    experiment::{Follow, Many, Pick, Selector},
    quantity::Portion,
};

/// One way to choose processes, how far it reaches, and how many of them are meant.
#[derive(Args, Debug)]
pub struct TargetFlags {
    #[command(flatten)]
    found: FoundFlags,
    #[command(flatten)]
    pick: PickFlags,
    /// With --pick: the number that decides which; drawn where not given, and told
    #[arg(long, value_name = "NUMBER", requires = "pick", value_parser = values::count::<0, u64>)]
    pick_seed: Option<u64>,
}

/// One way to choose processes, and how far it reaches.
#[derive(Args, Debug)]
#[command(next_help_heading = "Target (one of them)")]
struct FoundFlags {
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

#[derive(Args, Debug)]
struct PickFlags {
    /// Of several --pid or of --process with --all: so many at random, or this share, as in `2` or `25%`
    #[arg(long, value_name = "HOW MANY", conflicts_with_all = ["cgroup", "unit", "container"])]
    pick: Option<Portion>,
}

/// A target as a file has it.
#[derive(Parser, Debug)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub struct TargetInFile {
    #[command(flatten)]
    found: FoundFlags,
    #[command(flatten)]
    pick: PickFlags,
    /// With --pick: the number that decides which; drawn where not given, and told
    #[arg(long, value_name = "NUMBER", requires = "pick", value_parser = values::count::<0, u64>)]
    seed: Option<u64>,
}

/// The processes of a probe as a file has them. Each question looks for them anew, so none is picked.
#[derive(Parser, Debug)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub struct ProcessInProbe {
    #[command(flatten)]
    found: FoundFlags,
}

impl TargetFlags {
    /// The selector; `None` where no target was named.
    pub fn selector(self) -> Option<Selector> {
        self.found.selector(self.pick.seeded(self.pick_seed))
    }
}

impl TargetInFile {
    /// The selector; `None` where no target was named.
    pub fn selector(self) -> Option<Selector> {
        self.found.selector(self.pick.seeded(self.seed))
    }
}

impl ProcessInProbe {
    /// The selector; `None` where none was named.
    pub fn selector(self) -> Option<Selector> {
        self.found.selector(None)
    }
}

impl PickFlags {
    fn seeded(self, seed: Option<u64>) -> Option<Pick> {
        self.pick.map(|portion| Pick { portion, seed })
    }
}

impl FoundFlags {
    fn selector(self, pick: Option<Pick>) -> Option<Selector> {
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
        let by_pid = || (!pids.is_empty()).then_some(Selector::Pids { pids, follow, pick });
        let by_pattern = || {
            process.map(|pattern| Selector::Process {
                pattern,
                many,
                follow,
                pick,
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
