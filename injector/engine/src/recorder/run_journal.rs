//! The journal of a run, as the run itself writes it.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    ANSWER_WITHIN,
    ask::{Answering, Ask, Asked},
    client::Conversation,
};
use crate::channel::ChannelError;
use injector_host::kernel::clock::boot_ns;
use injector_record::journal::{self, Journal, Record, RunId, unix_ms};
use injector_spec::error::Refusal;

/// Records of a run, in order. What announces an act is [`RunJournal::before`] it, and everything else
/// [`RunJournal::after`].
pub struct RunJournal {
    path: PathBuf,
    to: To,
    /// What the recorder could not take yet, because it waits for the disk.
    waiting: VecDeque<Asked>,
}

/// Where the records go.
enum To {
    /// To the recorder; the descriptor is a copy of the journal's, and carries its lock.
    Recorder {
        conversation: Conversation,
        lock: OwnedFd,
    },
    /// Straight to the file, where the process holds nothing that could outlive it: in tests.
    File(Journal),
}

impl RunJournal {
    pub(super) fn create(mut conversation: Conversation, run: &RunId) -> Result<Self, Refusal> {
        let directory = journal::directory();
        let path = journal::file(&directory, run);
        let run = run.clone();
        let (_, came) = conversation.ask(Ask::Create { directory, run }, &[], ANSWER_WITHIN)?;
        let lock = came
            .into_iter()
            .next()
            .ok_or_else(|| Refusal::failed("the journal's lock did not arrive; try again."))?;
        Ok(Self {
            path,
            to: To::Recorder { conversation, lock },
            waiting: VecDeque::new(),
        })
    }

    /// A journal that this process writes itself.
    pub fn of_file(journal: Journal) -> Self {
        Self {
            path: journal.path().to_owned(),
            to: To::File(journal),
            waiting: VecDeque::new(),
        }
    }

    /// Writes down what is about to be done. It is on the disk when this returns; where it is not within
    /// [`ANSWER_WITHIN`], it must not be done.
    pub fn before(&mut self, record: &Record) -> Result<(), Refusal> {
        self.hand_over();
        match &mut self.to {
            To::File(journal) => Ok(journal.append(record)?),
            // Records keep their order, so none may overtake those that wait.
            To::Recorder { .. } if !self.waiting.is_empty() => Err(Refusal::usage(format!(
                "the file system of {} stands still; injector does nothing before it is on record.",
                self.path.display()
            ))),
            To::Recorder { conversation, .. } => conversation
                .ask(append(record), &[], ANSWER_WITHIN)
                .map(drop),
        }
    }

    /// Writes down what has happened. Waits for nothing.
    pub fn after(&mut self, record: &Record) {
        match &mut self.to {
            // A failure shows at the next record that is waited for.
            To::File(journal) => drop(journal.append(record)),
            To::Recorder { conversation, .. } => {
                let asked = conversation.number(append(record), Answering::Unwanted);
                self.waiting.push_back(asked);
                self.hand_over();
            }
        }
    }

    /// Writes down what may be left out: nothing where other records wait for the disk already, so that a disk that
    /// stands still for hours fills no memory. Returns whether it was taken.
    pub fn offer(&mut self, record: &Record) -> bool {
        self.hand_over();
        let is_behind = !self.waiting.is_empty();
        if !is_behind {
            self.after(record);
        }
        !is_behind
    }

    /// Writes the last record, and waits [`ANSWER_WITHIN`] for the disk to have all of them. Where it does not
    /// have them by then, the recorder goes on trying.
    pub fn finish(&mut self, last: &Record) -> Result<(), Refusal> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        while !self.waiting.is_empty() && Instant::now() < deadline {
            self.hand_over();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        if self.waiting.is_empty() {
            return self.before(last);
        }
        self.after(last);
        Err(Refusal::failed(format!(
            "the journal {} is not complete: its file system stands still.",
            self.path.display()
        )))
    }

    /// Hands over what waits, as far as the recorder takes it now.
    fn hand_over(&mut self) {
        let To::Recorder { conversation, .. } = &self.to else {
            return;
        };
        while let Some(asked) = self.waiting.front() {
            match conversation.say(asked) {
                Err(ChannelError::Late) => return,
                // What cannot be said to a recorder that is gone is lost; the run ends for it.
                Ok(()) | Err(ChannelError::Closed | ChannelError::Broken(_)) => {
                    self.waiting.pop_front();
                }
            }
        }
    }

    /// Whether records can still be written.
    pub fn has_recorder(&self) -> bool {
        match &self.to {
            To::Recorder { conversation, .. } => !conversation.is_closed(),
            To::File(_) => true,
        }
    }

    /// The run's name, which is the file's.
    pub fn run(&self) -> &str {
        let stem = self.path.file_stem().and_then(|stem| stem.to_str());
        stem.unwrap_or_default()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for RunJournal {
    /// The journal's descriptor or a copy of it: as long as one is open, the run lives.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.to {
            To::Recorder { lock, .. } => lock.as_fd(),
            To::File(journal) => journal.as_fd(),
        }
    }
}

fn append(record: &Record) -> Ask {
    Ask::Append {
        record: Box::new(record.clone()),
        boot_ns: boot_ns(),
        unix_ms: unix_ms(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Channel, Wait};

    /// A recorder that waits for its disk takes nothing; what may be left out does not wait in memory.
    #[test]
    fn what_may_be_left_out_does_not_queue() {
        let (here, recorder) = Channel::pair().unwrap();
        let mut journal = RunJournal {
            path: "r000000010001.jsonl".into(),
            to: To::Recorder {
                conversation: Conversation::new(here),
                lock: tempfile::tempfile().unwrap().into(),
            },
            waiting: VecDeque::new(),
        };
        let taken = (0..100_000)
            .take_while(|_| journal.offer(&Record::Armed))
            .count();
        assert!(taken < 100_000, "a socket that takes everything");
        assert!((0..1_000).all(|_| !journal.offer(&Record::Armed)));
        assert_eq!(journal.waiting.len(), 1);
        // What must be on record queues all the same, and nothing overtakes it.
        journal.after(&Record::Armed);
        assert_eq!(journal.waiting.len(), 2);
        // The last one that was taken is the one that waits.
        for _ in 1..taken {
            recorder.receive::<Asked>(Wait::No).unwrap();
        }
        assert!(journal.offer(&Record::Armed));
        assert!(journal.waiting.is_empty());
    }
}
