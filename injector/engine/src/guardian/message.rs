//! What the guardian is told.

use serde::{Deserialize, Serialize};

use injector_record::journal::HostChange;

/// What the supervisor says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromSupervisor {
    /// Which processes to watch. With it: the guardian's end of the conversation with the worker, then a pidfd of
    /// each process.
    Watch,
    /// The worker stands still: undo all that it has handed over.
    UndoAll,
}

/// What the worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromWorker {
    /// A change is about to be made, or its deadline is another. With it: the namespace of a sysctl. The guardian
    /// answers with the number.
    Hold {
        /// Counts up.
        number: u64,
        /// What is handed over.
        hold: Hold,
    },
    /// The change is undone.
    Release {
        /// Which.
        key: Key,
    },
}

/// Which change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    /// The run's name.
    pub(super) run: String,
    /// Number of the change within the run.
    pub(super) id: u32,
}

/// A change, and when it must be undone at the latest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) key: Key,
    pub(super) change: HostChange,
    /// On the boot clock, in nanoseconds.
    pub(super) until_boot_ns: u64,
}
