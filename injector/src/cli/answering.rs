//! How a command answers for a run: it puts the answer where the run looks for it, waits until it was seen, and takes it
//! away again, so that none is left over for a later question.

use std::{io, path::Path, time::Duration};

use serde::Serialize;

use injector_engine::approval::{self, AnswerFile};
use injector_host::kernel::clock::boot_ns;
use injector_record::journal::{self, RunId};
use injector_spec::{error::Refusal, printable, quantity::duration::nanos};

/// How long it may take to be seen: the run looks 20 times a second, the process that asks after an end once a second at
/// least, and the record goes through a disk.
pub(super) const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// How often the journal is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Answers, and returns what `seen` found in the journal; `None` where it found nothing in time.
pub(super) fn answer<T>(
    run: &RunId,
    which: AnswerFile,
    answer: &impl Serialize,
    seen: impl Fn() -> Result<Option<T>, Refusal>,
) -> Result<Option<T>, Refusal> {
    let directory = journal::directory();
    approval::give(&directory, run, which, answer)
        .map_err(|error| cannot(&directory, which, &error))?;
    let found = until_seen(seen);
    // Where it is gone already another command has taken it away.
    let _ = approval::take_away(&directory, run, which);
    found
}

fn until_seen<T>(seen: impl Fn() -> Result<Option<T>, Refusal>) -> Result<Option<T>, Refusal> {
    let deadline = boot_ns().saturating_add(nanos(SEEN_WITHIN));
    while boot_ns() < deadline {
        if let Some(found) = seen()? {
            return Ok(Some(found));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(None)
}

fn cannot(directory: &Path, which: AnswerFile, error: &io::Error) -> Refusal {
    let shown = printable::path(directory);
    let what = match which {
        AnswerFile::Approval => "lets a run go on",
        AnswerFile::Acknowledgement => "answers for a run",
    };
    Refusal::usage(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("only root {what}, for {shown} is root's; use sudo.")
        }
        _ => format!("the answer cannot be put into {shown}: {error}; free some space there."),
    })
}
