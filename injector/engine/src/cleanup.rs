//! Leftovers: what is still there although the process that made it is dead.
//!
//! Found by evidence and removed only where the evidence says that it is ours and no process uses it any more:
//!
//! - a journal without a lock and without an end: its run is dead, and what it changed is restored;
//! - a TAP with a delay line's name and our label, whose run is dead and which no process holds open;
//! - classic filters with our label and program, whose run is dead;
//! - the socket of a daemon that does not listen;
//! - a journal that died before it had its name.
//!
//! The rest is told and left alone: BPF objects that others pinned, devices without our label, and the
//! kill switch, which only `injector resume` releases. BPF programs, maps and links need no sweep: they are
//! held by descriptors and go with the last one.
//!
//! Every start of a run sweeps dead runs; `injector sweep` looks for all of it, after a daemon's end
//! (`ExecStopPost=`) or when a person asks.

mod files;
mod filters;
mod known;
mod runs;
mod taps;

use std::{fmt, path::PathBuf};

use serde::Serialize;

pub use runs::{bury_dead_runs, tend_journals};

use crate::kill_switch;
use injector_host::kernel::pins;
use injector_record::halt::Halt;
use injector_record::journal::{HostChange, Look, RunId};
use injector_spec::{error::Refusal, printable, quantity::count};
use known::Known;

/// Whether what is found is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweeping {
    /// It is.
    Remove,
    /// It is told.
    FindOnly,
}

/// Something that is left, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// The kinds of leftovers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "leftover", rename_all = "kebab-case")]
pub enum What {
    /// A run whose supervisor and worker both died.
    Run {
        /// Its name.
        run: RunId,
        /// Its experiment's name.
        name: String,
        /// Host settings that may still have its value.
        to_restore: Vec<HostChange>,
    },
    /// A device of a delay line.
    Tap {
        /// Its name.
        device: String,
        /// The inode of its network namespace.
        netns_inode: u64,
        /// Its label.
        label: Option<String>,
    },
    /// Classic filters on a device.
    Filters {
        /// The device's name.
        device: String,
        /// The inode of its network namespace.
        netns_inode: u64,
        /// The run on their labels.
        run: String,
    },
    /// A device that cannot be looked at.
    UnseenDevice {
        /// The device's name.
        device: String,
        /// The inode of its network namespace.
        netns_inode: u64,
    },
    /// The socket of a dead daemon.
    Socket {
        /// Its path.
        path: PathBuf,
    },
    /// A journal that never got its name.
    UnnamedJournal {
        /// Its path.
        path: PathBuf,
    },
    /// What has the name of a journal and cannot be read.
    Unreadable {
        /// Its path.
        path: PathBuf,
    },
    /// A pinned BPF object.
    Pin {
        /// Its file.
        path: PathBuf,
        /// Its name.
        name: String,
    },
    /// The kill switch is pulled.
    KillSwitch {
        /// Who pulled it.
        halt: Halt,
    },
}

/// What became of a leftover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// It is gone, or as it was before.
    Removed {
        /// In words.
        how: String,
    },
    /// It would be.
    Found,
    /// It is not ours to remove.
    Left {
        /// Why.
        why: String,
    },
    /// It ought to be gone, and is not.
    Failed {
        /// Why.
        why: String,
    },
}

/// Looks for everything.
pub fn sweep(sweeping: Sweeping) -> Result<Vec<Leftover>, Refusal> {
    // Devices first: a device says which run it belongs to, and that run's journal says that it is dead.
    let known = Known::gather()?;
    let mut found = filters::sweep(sweeping, &known)?;
    found.extend(taps::sweep(sweeping, &known)?);
    drop(known);
    found.extend(bury_dead_runs(sweeping, Look::Whole)?);
    if sweeping == Sweeping::Remove {
        tend_journals(Look::Whole);
    }
    found.extend(files::sweep(sweeping));
    found.extend(pins::ours().into_iter().map(|pin| Leftover {
        what: What::Pin {
            path: pin.path,
            name: pin.name,
        },
        fate: Fate::Left {
            why: "injector pins nothing, so another program did; `rm` of the file ends it".into(),
        },
    }));
    let halt = kill_switch::standing(&injector_record::journal::directory())?;
    found.extend(halt.map(|halt| Leftover {
        what: What::KillSwitch { halt },
        fate: Fate::Left {
            why: "only `injector resume` releases it".into(),
        },
    }));
    Ok(found)
}

impl fmt::Display for Leftover {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Run { run, name, .. } => {
                write!(
                    out,
                    "run {run} ({}) was aborted with its supervisor",
                    printable::line(name)
                )
            }
            What::Tap { device, .. } => write!(out, "device {device} of a delay line"),
            What::Filters { device, run, .. } => {
                write!(out, "filters (clsact) of run {run} on {device}")
            }
            What::UnseenDevice { device, .. } => {
                write!(out, "device {device}, where filters (clsact) may stand")
            }
            What::Socket { path } => {
                write!(out, "socket {} of a daemon that is gone", path.display())
            }
            What::UnnamedJournal { path } => {
                write!(out, "journal {} of a start that died", path.display())
            }
            What::Unreadable { path } => write!(out, "journal {}", printable::path(path)),
            What::Pin { path, name } => write!(out, "{name}, pinned at {}", path.display()),
            What::KillSwitch { halt } => halt.fmt(out),
        }?;
        match (&self.fate, &self.what) {
            (Fate::Removed { how }, _) => write!(out, "; {how}"),
            (Fate::Found, What::Run { to_restore, .. }) => {
                let settings = count(to_restore.len(), "host setting", "host settings");
                write!(out, "; {settings} would be restored")
            }
            (Fate::Found, _) => out.write_str("; would be removed"),
            (Fate::Left { why }, _) => write!(out, "; left alone: {why}"),
            (Fate::Failed { why }, _) => write!(out, "; not removed: {why}"),
        }
    }
}
