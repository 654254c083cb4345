//! Why a target is not accepted.

use std::path::PathBuf;

use crate::kernel;
use injector_spec::{error::Refusal, experiment::Target, printable, quantity::count};

/// Why something cannot be, or must not be, a target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such process.
    #[error("there is no process with PID {0}; it may have ended, check with `ps -p {0}`")]
    NoProcess(u32),
    /// The number is a thread's.
    #[error(
        "{tid} is a thread of process {tgid}; faults are for whole processes, so name --pid {tgid}"
    )]
    Thread {
        /// The thread that was named.
        tid: u32,
        /// Its process.
        tgid: u32,
    },
    /// The process is never a target.
    #[error("process {pid} ({comm}) is never a target: {why}")]
    Protected {
        /// The process.
        pid: u32,
        /// Its name, escaped.
        comm: String,
        /// Which rule protects it.
        why: &'static str,
    },
    /// The cgroup holds a process that is never a target.
    #[error(
        "the cgroup {} is never a target, because it holds process {pid} ({comm}): {why}; name a narrower cgroup",
        printable::path(path)
    )]
    ProtectedCgroup {
        /// The cgroup.
        path: PathBuf,
        /// The process.
        pid: u32,
        /// Its name, escaped.
        comm: String,
        /// Which rule protects it.
        why: &'static str,
    },
    /// The root of the hierarchy.
    #[error(
        "the root cgroup holds the whole host and is never a target; name a cgroup below it, or single processes with --pid"
    )]
    RootCgroup,
    /// The path is on a cgroup v1 hierarchy.
    #[error(
        "{} is a cgroup v1 path; targets are cgroup v2, which is mounted at {}",
        printable::path(path),
        printable::path(mount)
    )]
    CgroupV1 {
        /// What was named.
        path: PathBuf,
        /// Where v2 is.
        mount: PathBuf,
    },
    /// The host has no cgroup v2 hierarchy.
    #[error(
        "no cgroup v2 hierarchy is mounted here; mount one with `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    NoCgroupV2,
    /// There is no such cgroup.
    #[error(
        "there is no cgroup {} below {}; list them with `systemd-cgls` or `find`",
        printable::path(path),
        printable::path(mount)
    )]
    NoCgroup {
        /// What was named.
        path: PathBuf,
        /// Where v2 is.
        mount: PathBuf,
    },
    /// The path is not UTF-8.
    #[error(
        "{what} has the path {}, which is not UTF-8, and journals are; name its processes with --pid or --process",
        printable::path(path)
    )]
    NoText {
        /// What has it.
        what: String,
        /// The path.
        path: PathBuf,
    },
    /// The tree is deeper than the programs look.
    #[error(
        "the cgroup {} is {depth} levels deep; at most {most} are followed",
        printable::path(path)
    )]
    TooDeep {
        /// The cgroup.
        path: PathBuf,
        /// Its level.
        depth: usize,
        /// The most.
        most: usize,
    },
    /// The kernel cannot freeze cgroups.
    #[error("the cgroup {} has no file cgroup.freeze", .0.display())]
    NoFreezer(PathBuf),
    /// The hierarchy is read-only.
    #[error("the cgroup {} cannot be made: {why}", path.display())]
    Unwritable {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// No unit or container of that name.
    #[error(
        "no cgroup of {what} `{}` was found below {}; is it running?",
        printable::line(name),
        printable::path(mount)
    )]
    NotFound {
        /// `the unit`, `the host's own unit` or `the container`.
        what: &'static str,
        /// What was named.
        name: String,
        /// Where was looked.
        mount: PathBuf,
    },
    /// The name is not unique.
    #[error("{what} `{}` is ambiguous: {}; name one of them with --cgroup", printable::line(name), found.join(", "))]
    Ambiguous {
        /// `the unit`, `the host's own unit` or `the container`.
        what: &'static str,
        /// What was named.
        name: String,
        /// What it may mean.
        found: Vec<String>,
    },
    /// No command line matches.
    #[error("no process has a command line that matches `{}`; check with `ps -eo pid,args`", printable::line(.0))]
    NoMatch(String),
    /// More than one matches and one was meant.
    #[error("`{}` matches {} processes ({}); make it narrower, or add --all", printable::line(pattern), found.len(), shown(found))]
    ManyMatches {
        /// The pattern.
        pattern: String,
        /// The PIDs.
        found: Vec<u32>,
    },
    /// A pick of more processes than were found.
    #[error("{} picks {picked} of {}; pick at most so many", Target::in_words(name), count(*.of, "process that is there", "processes that are there"))]
    PickOfFewer {
        /// The name of the target.
        name: String,
        /// How many were asked for.
        picked: usize,
        /// How many there are.
        of: usize,
    },
    /// The pattern does not compile.
    #[error("`{}` is not a regular expression: {why}", printable::line(pattern))]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What the parser said.
        why: String,
    },
    /// It lives in more than one network namespace.
    #[error(
        "the target `{name}` spans {count} network namespaces; name the parts as separate targets"
    )]
    ManyNamespaces {
        /// The target.
        name: String,
        /// How many.
        count: usize,
    },
    /// Two targets of a run share processes.
    #[error(
        "the targets `{one}` and `{other}` overlap, and a packet can belong to one target only; make them disjoint, or put their faults on one target"
    )]
    Overlap {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// Seen from inside a PID namespace.
    #[error(
        "the injector runs in a PID namespace of its own, where process ids are not the kernel's; run it in the host's PID namespace (for a container: --pid=host)"
    )]
    PidNamespace,
    /// `/proc` said something unexpected.
    #[error("cannot read {what} from /proc: {why}")]
    Proc {
        /// What was read.
        what: String,
        /// Why not.
        why: String,
    },
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
}

impl Error {
    /// Whether it says no more than that nothing of the name is there now, or that it went while it was looked
    /// at.
    pub const fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NoProcess(_) | Self::NoCgroup { .. } | Self::NotFound { .. } | Self::NoMatch(_)
        )
    }
}

fn shown(pids: &[u32]) -> String {
    let mut text: Vec<_> = pids.iter().take(8).map(ToString::to_string).collect();
    if pids.len() > text.len() {
        text.push("...".into());
    }
    text.join(", ")
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Protected { .. } | Error::ProtectedCgroup { .. } | Error::RootCgroup => {
                Self::endangers(message)
            }
            _ => Self::usage(message),
        }
    }
}
