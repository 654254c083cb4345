//! Who is put through it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Pick;
use crate::printable;

/// Processes under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What faults and reports call it.
    pub name: String,
    /// How its processes are found.
    pub selector: Selector,
}

impl Target {
    /// What one command's only target is called, and that of a file without targets.
    pub const ONLY: &str = "target";

    /// A target's name in a sentence: `target agent`, or `the target` where it is the only one and has no name.
    pub fn in_words(name: &str) -> String {
        if name == Self::ONLY {
            "the target".to_owned()
        } else {
            format!("target {}", printable::line(name))
        }
    }
}

/// How the processes of a target are found, when the run is armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Selector {
    /// By process id.
    Pids {
        /// The ids, at least one, none of them 0.
        pids: Vec<u32>,
        /// Whether children come along.
        follow: Follow,
        /// How many of them are the target; all where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pick: Option<Pick>,
    },
    /// Everything in a cgroup and below it; absolute, or relative to the cgroup v2 mount.
    Cgroup(PathBuf),
    /// A systemd unit, by name.
    Unit(String),
    /// A container, by its id or the first characters of it.
    Container(String),
    /// By command line.
    Process {
        /// A regular expression that compiles, matched against the command line.
        pattern: String,
        /// How many processes it may match.
        many: Many,
        /// Whether children come along.
        follow: Follow,
        /// How many of those that match are the target; all where nothing is said, and none but with [`Many::All`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pick: Option<Pick>,
    },
}

/// Whether the children of a process belong to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Follow {
    /// The process alone, with all its threads.
    #[default]
    Process,
    /// The process, its present descendants, and all that they will fork.
    Tree,
}

/// How many processes a pattern may match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Many {
    /// One; more are refused, because the person had one in mind.
    #[default]
    ExactlyOne,
    /// All of them.
    All,
}

/// What a run does when a target has ended: when none of its processes is left.
///
/// It goes on as a rule: scripts count on a run's time, containers and units come back under the same name, and how
/// long another process takes to notice the end of a target is often what an experiment is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnTargetExit {
    /// It goes on until its time is over, and meets what comes back under the same name
    #[default]
    Wait,
    /// It ends in good order
    End,
}

impl OnTargetExit {
    /// Whether it is what is done where nothing is said.
    pub const fn is_usual(&self) -> bool {
        matches!(self, Self::Wait)
    }
}

impl Selector {
    /// Whether it names a cgroup with all that is in it, so that no process outside the target is a sibling there.
    pub fn is_whole_cgroup(&self) -> bool {
        match self {
            Self::Cgroup(_) | Self::Unit(_) | Self::Container(_) => true,
            Self::Pids { .. } | Self::Process { .. } => false,
        }
    }

    /// Whether children of the chosen processes come along.
    pub fn follows(&self) -> bool {
        match self {
            Self::Pids { follow, .. } | Self::Process { follow, .. } => *follow == Follow::Tree,
            Self::Cgroup(_) | Self::Unit(_) | Self::Container(_) => false,
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tree = |follow: &Follow| {
            if *follow == Follow::Tree {
                " and its tree"
            } else {
                ""
            }
        };
        let pick = self.pick().map_or_else(String::new, Pick::to_string);
        match self {
            Self::Pids { pids, follow, .. } => {
                let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
                write!(out, "{pick}pid {}{}", pids.join(", "), tree(follow))
            }
            Self::Cgroup(path) => write!(out, "cgroup {}", printable::path(path)),
            Self::Unit(name) => write!(out, "unit {}", printable::line(name)),
            Self::Container(id) => write!(out, "container {}", printable::line(id)),
            Self::Process {
                pattern,
                many: Many::ExactlyOne,
                follow,
                ..
            } => {
                let pattern = printable::line(pattern);
                write!(out, "the process that matches `{pattern}`{}", tree(follow))
            }
            Self::Process {
                pattern,
                many: Many::All,
                follow,
                ..
            } => {
                let pattern = printable::line(pattern);
                write!(
                    out,
                    "{pick}all processes that match `{pattern}`{}",
                    tree(follow)
                )
            }
        }
    }
}
