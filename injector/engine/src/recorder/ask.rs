//! What the recorder is asked for, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use injector_record::halt::Halt;
use injector_record::journal::{Record, RunId};
use injector_spec::error::Refusal;

/// A request, with the number that its answer carries.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Counts up within one conversation.
    pub(super) id: u64,
    /// Whether an answer is waited for.
    pub(super) answer: Answering,
    /// What is asked for.
    pub(super) ask: Ask,
}

/// Whether the recorder answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answering {
    /// It does, once it is done.
    Wanted,
    /// It does not.
    Unwanted,
}

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// To say that it is there.
    Greet,
    /// To take part in another conversation. With it: the other end of it.
    Converse,
    /// To begin the journal of a run. Answered with a copy of its descriptor, which carries the lock.
    Create {
        /// Where journals are kept.
        directory: PathBuf,
        /// The run.
        run: RunId,
    },
    /// To add a record to the journal that this conversation has begun.
    Append {
        /// The record.
        record: Box<Record>,
        /// When it was made, on the boot clock, in nanoseconds.
        boot_ns: u64,
        /// When it was made, in milliseconds since 1970.
        unix_ms: u64,
    },
    /// To add a record to a journal that belongs to no run.
    Note {
        /// The journal.
        path: PathBuf,
        /// The record.
        record: Box<Record>,
    },
    /// To open the file whose lock lets one start at a time in. Answered with its descriptor.
    StartLock {
        /// Where journals are kept.
        directory: PathBuf,
    },
    /// To clean up after runs that no process looks after any more. Answered with what to tell.
    Sweep,
    /// To pull the kill switch. Answered with who has pulled it.
    PullKillSwitch {
        /// Where journals are kept.
        directory: PathBuf,
        /// Who pulls it.
        halt: Halt,
    },
    /// To release the kill switch. Answered with who had pulled it, and [`Answer::Done`] where it was not pulled.
    ReleaseKillSwitch {
        /// Where journals are kept.
        directory: PathBuf,
    },
    /// To close the journal of a run whose worker is gone, after what the worker said. With it: a copy of
    /// the journal's descriptor, then those of namespaces whose settings the run has changed. Answered with what to
    /// tell.
    Conclude {
        /// The journal.
        path: PathBuf,
        /// Why the run broke off.
        why: String,
    },
    /// To answer when all that other processes have said is on the disk.
    Settle,
}

/// What the recorder says to a request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    /// The request's number.
    pub(super) id: u64,
    /// What came of it.
    pub(super) answer: Result<Answer, Refusal>,
}

/// What came of a request that could be met.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// It is done, and this is to be told.
    Tell(Vec<String>),
    /// Who has pulled the kill switch.
    Halted(Halt),
}
