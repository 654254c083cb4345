//! The recorder: the process that writes to disks and terminals, so that no other has to wait for one.
//!
//! A thread that writes to a file system which stands still cannot be killed, and keeps every descriptor of
//! its process open until the file system goes on; a thread that writes to a terminal or a pipe that is not
//! read stands still as well. So no process that holds a link, a TAP, `/dev/fuse` or an undo writes to either.
//! They say what is to be written, and this process, which holds nothing of the kind, writes it.
//!
//! Invariants:
//! - What a record announces is done only after the recorder has said that the disk has it. An answer is
//!   waited for [`ANSWER_WITHIN`] at most, and without one the act is left out.
//! - The end of a fault waits for no answer.
//! - Records and lines of one process are written in the order in which it said them, also where it has died
//!   since.
//! - The recorder ends by itself when every process that talks to it has closed its end and the disk has taken
//!   what they said.
//!
//! Rejected: threads for it in the worker. A process that is killed while one of its threads waits for a disk is
//! gone only when that thread is (seen: 4 s after SIGKILL, until the file system was thawed), and its links with
//! it. Rejected as well: `io_uring`, whose workers are threads of the same process.

mod ask;
mod client;
mod disk;
mod run_journal;
mod spawn;
mod stage;
mod terminal;
mod writer;

use std::time::Duration;

pub use client::Recorder;
pub use run_journal::RunJournal;
pub use spawn::{Keys, Recording, start};
pub use terminal::{Flushed, LiveLine, Terminal};

use crate::channel::Channel;
use injector_host::privilege;
use injector_spec::error::Refusal;

/// How the hidden command is called.
pub const COMMAND: &str = "record";

/// How long a record may take to reach the disk before what it announces is left out.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The recorder's main function: the numbers are those of the descriptors that its parent left open.
pub fn run(disk: i32, terminal: i32) -> Result<(), Refusal> {
    let not_for_people = |_| {
        Refusal::usage(format!(
            "`injector {COMMAND}` is started by injector itself."
        ))
    };
    // What the host withholds, the supervisor has told.
    let _ = privilege::confine_supervisor();
    let disk = Channel::inherited(disk).map_err(not_for_people)?;
    let terminal = Channel::inherited(terminal).map_err(not_for_people)?;
    let printing = std::thread::Builder::new()
        .name("terminal".into())
        .spawn(move || terminal::serve(terminal))
        .map_err(|error| Refusal::failed(format!("a thread cannot be started: {error}.")))?;
    disk::serve(disk);
    // A panic there was printed; nothing is left to do.
    let _ = printing.join();
    Ok(())
}
