//! The guardian: a process that can put everything back, and does when the processes that should cannot.
//!
//! What a run changes and no descriptor holds (a freeze, a stop, a limit, a sysctl) is handed over to it before the
//! change is made, with the moment by which it must be undone. It undoes what is left when that moment has come, when
//! the worker or the supervisor has died, or when the supervisor says that the worker stands still.
//!
//! Invariants:
//! - It writes to no disk and no terminal, and needs no journal and no lock file.
//! - It belongs to a session of its own, and takes no signal but SIGKILL.
//! - What the worker has taken back is never undone later: messages are heard before anything is.
//! - Its own death ends the runs: worker and supervisor watch it, as it watches them.
//!
//! So of command, worker and guardian any one may be killed. Only where worker and guardian die in one moment does the
//! supervisor, or the next start, have to read the journal for it.
//!
//! Rejected: the same in the supervisor alone, whose death would be the end of it, and threads of the worker, which
//! die with it.

mod client;
mod hold;
mod message;
mod spawn;

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use client::Guardian;
pub use spawn::{Guarding, start};

use crate::channel::{Channel, ChannelError, Wait};
use hold::Holds;
use injector_host::{kernel::clock::boot_ns, privilege};
use injector_spec::error::Refusal;
use message::{FromSupervisor, FromWorker};

/// How the hidden command is called.
pub const COMMAND: &str = "guard";

/// What the guardian watches.
struct Watched {
    supervisor: Channel,
    worker: Channel,
    /// Readable when the process has died.
    processes: Vec<OwnedFd>,
}

/// Why the guardian's work is over.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// The worker has closed its end, or one of the two has died.
    Left,
    /// The supervisor has said so.
    Asked,
}

/// The guardian's main function: the number is that of the descriptor that its parent left open.
pub fn run(link: i32) -> Result<(), Refusal> {
    let not_for_people = || {
        Refusal::usage(format!(
            "`injector {COMMAND}` is started by injector itself."
        ))
    };
    // What the host withholds, the supervisor has told.
    let _ = privilege::confine_supervisor();
    let supervisor = Channel::inherited(link).map_err(|_| not_for_people())?;
    let Ok((FromSupervisor::Watch, came)) = supervisor.receive(Wait::Forever) else {
        return Err(not_for_people());
    };
    let mut came = came.into_iter();
    let worker = came.next().map(Channel::from).ok_or_else(not_for_people)?;
    let watched = Watched {
        supervisor,
        worker,
        processes: came.collect(),
    };
    let mut holds = Holds::default();
    loop {
        watched.wait(holds.first_deadline());
        // What the worker says comes first: what it has taken back must not be undone.
        let heard = watched.hear(&mut holds);
        holds.undo_due(boot_ns());
        if heard.is_some() || watched.has_death() {
            // Words that came while it was looked who is dead.
            let _ = watched.hear(&mut holds);
            holds.undo_all();
            return Ok(());
        }
    }
}

impl Watched {
    /// Waits until a message comes, a watched process dies, or a deadline on the boot clock has come.
    fn wait(&self, deadline: Option<u64>) {
        let mut polled = vec![
            PollFd::new(&self.supervisor, PollFlags::IN),
            PollFd::new(&self.worker, PollFlags::IN),
        ];
        let processes = self.processes.iter();
        polled.extend(processes.map(|process| PollFd::new(process, PollFlags::IN)));
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_sub(boot_ns());
            Timespec {
                tv_sec: i64::try_from(left / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: (left % 1_000_000_000).cast_signed(),
            }
        });
        // An interrupted wait is a short one.
        let _ = poll(&mut polled, timeout.as_ref());
    }

    /// Takes in what was said.
    fn hear(&self, holds: &mut Holds) -> Option<Over> {
        let mut over = None;
        loop {
            match self.worker.receive(Wait::No) {
                Ok((FromWorker::Hold { number, hold }, came)) => {
                    holds.take(hold, came);
                    // A worker that reads no answer does not act.
                    let _ = self.worker.send(&number, &[], Wait::No);
                }
                Ok((FromWorker::Release { key }, _)) => holds.release(&key),
                Err(ChannelError::Late) => break,
                Err(ChannelError::Closed) => {
                    over = Some(Over::Left);
                    break;
                }
                Err(ChannelError::Broken(_)) => {}
            }
        }
        match self.supervisor.receive(Wait::No) {
            Ok((FromSupervisor::UndoAll, _)) => Some(Over::Asked),
            Err(ChannelError::Closed) => Some(Over::Left),
            Ok((FromSupervisor::Watch, _)) | Err(ChannelError::Late | ChannelError::Broken(_)) => {
                over
            }
        }
    }

    fn has_death(&self) -> bool {
        let mut polled: Vec<_> = self
            .processes
            .iter()
            .map(|process| PollFd::new(process, PollFlags::IN))
            .collect();
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut polled, Some(&none)), Ok(1..))
    }
}
