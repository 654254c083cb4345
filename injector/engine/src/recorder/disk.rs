//! The recorder's own side of what goes to disk.
//!
//! One thread, one request after the other: the order on the disk is the order in which requests came. Before
//! a request of the process that started the recorder is met, everything that the others have said by then is
//! written: the supervisor asks about runs whose worker is gone, and the worker's last words come first.

use std::{
    fs::OpenOptions,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use rustix::event::{PollFd, PollFlags, poll};

use super::ask::{Answer, Answered, Answering, Ask, Asked};
use crate::{
    channel::{Channel, ChannelError, Wait},
    cleanup::{self, Sweeping},
    kill_switch::{self, KillSwitchError},
    preflight::START_LOCK,
    supervisor::clean,
};
use injector_record::journal::{self, Journal, JournalError, Look};
use injector_record::regular;
use injector_spec::error::Refusal;

/// A conversation, and the journal that was begun in it.
struct Party {
    channel: Channel,
    journal: Option<Journal>,
}

/// What is left of a conversation after a look at it.
#[derive(PartialEq, Eq)]
enum Left {
    /// It goes on.
    Open,
    /// The other process has closed it, and everything that it said is done.
    Closed,
}

/// Serves until every process has closed its end. The first conversation is that of the process that started
/// the recorder.
pub(super) fn serve(first: Channel) {
    let mut owner = Some(Party::new(first));
    let mut others: Vec<Party> = Vec::new();
    while owner.is_some() || !others.is_empty() {
        wait_for_any(owner.as_ref(), &others);
        serve_all(&mut others);
        if let Some(party) = &mut owner
            && party.serve(&mut others) == Left::Closed
        {
            owner = None;
        }
    }
}

/// What is done once a request is answered, so that the process that asked does not wait for it.
enum Then {
    Nothing,
    /// The directory of journals is tended, which writes: a start on a disk that stands still is refused by its own
    /// journal, in time.
    Tend,
}

impl Then {
    const fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Sweep => Self::Tend,
            Ask::Converse
            | Ask::Create { .. }
            | Ask::Append { .. }
            | Ask::Note { .. }
            | Ask::StartLock { .. }
            | Ask::PullKillSwitch { .. }
            | Ask::ReleaseKillSwitch { .. }
            | Ask::Conclude { .. }
            | Ask::Greet
            | Ask::Settle => Self::Nothing,
        }
    }
}

fn wait_for_any(owner: Option<&Party>, others: &[Party]) {
    let parties = owner.into_iter().chain(others);
    let mut polled: Vec<_> = parties
        .map(|party| PollFd::new(&party.channel, PollFlags::IN))
        .collect();
    // An interrupted wait is a short one.
    let _ = poll(&mut polled, None);
}

/// Meets what these have asked for, and what those ask for that they bring in.
fn serve_all(parties: &mut Vec<Party>) {
    let mut brought = Vec::new();
    parties.retain_mut(|party| party.serve(&mut brought) == Left::Open);
    parties.append(&mut brought);
}

impl Party {
    fn new(channel: Channel) -> Self {
        Self {
            channel,
            journal: None,
        }
    }

    /// Meets all requests that have come.
    fn serve(&mut self, others: &mut Vec<Self>) -> Left {
        loop {
            let (asked, came): (Asked, _) = match self.channel.receive(Wait::No) {
                Ok(heard) => heard,
                Err(ChannelError::Late) => return Left::Open,
                Err(ChannelError::Closed) => return Left::Closed,
                // One message that makes no sense; its sender waits in vain, as for a late answer.
                Err(ChannelError::Broken(_)) => continue,
            };
            if let Ask::Conclude { .. } | Ask::Settle = asked.ask {
                serve_all(others);
            }
            let then = Then::of(&asked.ask);
            let met = self.meet(asked.ask, came, others);
            if asked.answer == Answering::Unwanted {
                continue;
            }
            let (answer, goes) = match met {
                Ok((answer, goes)) => (Ok(answer), goes),
                Err(refusal) => (Err(refusal), None),
            };
            let answered = Answered {
                id: asked.id,
                answer,
            };
            let goes: Vec<_> = goes.iter().map(AsFd::as_fd).collect();
            // A process that is gone, or reads no answers, waits for none.
            let _ = self.channel.send(&answered, &goes, Wait::No);
            match then {
                Then::Nothing => {}
                Then::Tend => cleanup::tend_journals(Look::Since),
            }
        }
    }

    /// Meets one request; what is answered may carry a descriptor.
    fn meet(
        &mut self,
        ask: Ask,
        came: Vec<OwnedFd>,
        others: &mut Vec<Self>,
    ) -> Result<(Answer, Option<OwnedFd>), Refusal> {
        let done = Ok((Answer::Done, None));
        let mut came = came.into_iter();
        match ask {
            Ask::Converse => {
                let end = came.next().ok_or_else(nothing_came)?;
                others.push(Self::new(Channel::from(end)));
                done
            }
            Ask::Create { directory, run } => {
                let journal = Journal::create_in(&directory, &run)?;
                let copy = journal.as_fd().try_clone_to_owned().map_err(|error| {
                    Refusal::failed(format!("a descriptor cannot be copied: {error}."))
                })?;
                self.journal = Some(journal);
                Ok((Answer::Done, Some(copy)))
            }
            Ask::Append {
                record,
                boot_ns,
                unix_ms,
            } => {
                let journal = self.journal.as_mut().ok_or_else(nothing_came)?;
                journal.append_made_at(&record, boot_ns, unix_ms)?;
                done
            }
            Ask::Note { path, record } => {
                if let Err(error) = Journal::note(&path, &record) {
                    // This process may wait for the terminal: it holds nothing.
                    eprintln!("injector: this is not on record: {error}");
                }
                done
            }
            Ask::StartLock { directory } => Ok((Answer::Done, Some(start_lock(&directory)?))),
            Ask::Sweep => {
                let found = cleanup::bury_dead_runs(Sweeping::Remove, Look::Since)?;
                let lines = found.iter().map(ToString::to_string).collect();
                Ok((Answer::Tell(lines), None))
            }
            Ask::PullKillSwitch { directory, halt } => {
                let by = kill_switch::pull(&directory, halt).map_err(|error| stuck(&error))?;
                Ok((Answer::Halted(by), None))
            }
            Ask::ReleaseKillSwitch { directory } => {
                let by = kill_switch::release(&directory).map_err(|error| stuck(&error))?;
                Ok((by.map_or(Answer::Done, Answer::Halted), None))
            }
            Ask::Conclude { path, why } => {
                let journal = came.next().ok_or_else(nothing_came)?;
                let told = clean::conclude(journal, came.collect(), &path, &why);
                Ok((Answer::Tell(vec![told]), None))
            }
            Ask::Greet | Ask::Settle => done,
        }
    }
}

fn nothing_came() -> Refusal {
    Refusal::failed("a request came without what belongs to it; this is a mistake in injector.")
}

/// A kill switch that does not move is the host's failure, and not the request's.
fn stuck(error: &KillSwitchError) -> Refusal {
    Refusal::failed(error.to_string())
}

/// Opens the file whose lock lets one start at a time in, and makes it where it is missing.
fn start_lock(directory: &Path) -> Result<OwnedFd, Refusal> {
    journal::make_directory(directory)?;
    let path: PathBuf = directory.join(START_LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .mode(0o600)
        .open(&path)
        .and_then(|file| {
            regular::check(&file.metadata()?)?;
            Ok(file)
        });
    match file {
        Ok(file) => Ok(file.into()),
        // Where this cannot be written, neither can a journal.
        Err(error) => Err(JournalError::Unwritable { path, error }.into()),
    }
}
