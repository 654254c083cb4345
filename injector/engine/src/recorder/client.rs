//! The recorder, as other processes see it.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    ANSWER_WITHIN, RunJournal,
    ask::{Answer, Answered, Answering, Ask, Asked},
};
use crate::channel::{Channel, ChannelError, Wait};
use injector_record::halt::Halt;
use injector_record::journal::{self, Record, RunId};
use injector_spec::error::Refusal;

/// How long cleaning up after dead runs may take: it reads journals, and restores what they say.
const SWEEP_WITHIN: Duration = Duration::from_secs(10);

/// How long a new recorder may take until it answers.
const STARTED_WITHIN: Duration = Duration::from_secs(10);

/// Namespaces that one message carries at most.
const MOST_NAMESPACES: usize = 3;

/// One process's conversation with the recorder.
pub struct Recorder(Mutex<Conversation>);

/// Requests and answers, one after the other.
pub(super) struct Conversation {
    channel: Channel,
    next_id: u64,
}

impl Conversation {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            next_id: 0,
        }
    }

    /// Asks and waits for the answer; one that comes too late is passed over by later calls.
    pub(super) fn ask(
        &mut self,
        ask: Ask,
        descriptors: &[BorrowedFd<'_>],
        within: Duration,
    ) -> Result<(Answer, Vec<OwnedFd>), Refusal> {
        let deadline = Instant::now() + within;
        let asked = self.number(ask, Answering::Wanted);
        let wait = Wait::Until(deadline);
        self.channel
            .send(&asked, descriptors, wait)
            .map_err(|error| unanswered(&error, within))?;
        loop {
            let (answered, came): (Answered, _) = self
                .channel
                .receive(wait)
                .map_err(|error| unanswered(&error, within))?;
            if answered.id == asked.id {
                return Ok((answered.answer?, came));
            }
        }
    }

    /// A request under the next number.
    pub(super) fn number(&mut self, ask: Ask, answer: Answering) -> Asked {
        let id = self.next_id;
        self.next_id += 1;
        Asked { id, answer, ask }
    }

    /// Says something that needs no answer, without waiting.
    pub(super) fn say(&self, asked: &Asked) -> Result<(), ChannelError> {
        self.channel.send(asked, &[], Wait::No)
    }

    /// Whether the recorder is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }
}

fn unanswered(error: &ChannelError, within: Duration) -> Refusal {
    let directory = journal::directory();
    let directory = directory.display();
    match error {
        ChannelError::Late => Refusal::usage(format!(
            "the file system of {directory} has not taken a record for {} s; injector does nothing before \
             it is on record. Find out why that file system stands still, or set INJECTOR_STATE_DIR to a \
             directory on another.",
            within.as_secs()
        )),
        ChannelError::Closed => Refusal::failed(
            "the process that writes the journal (injector record) has ended, and injector does nothing \
             that is not on record; start again.",
        ),
        ChannelError::Broken(error) => {
            Refusal::failed(format!("a record cannot be handed over: {error}."))
        }
    }
}

impl Recorder {
    /// Talks to the recorder over this channel.
    pub fn new(channel: Channel) -> Self {
        Self(Mutex::new(Conversation::new(channel)))
    }

    fn ask(
        &self,
        ask: Ask,
        descriptors: &[BorrowedFd<'_>],
        within: Duration,
    ) -> Result<(Answer, Vec<OwnedFd>), Refusal> {
        let mut conversation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        conversation.ask(ask, descriptors, within)
    }

    /// Waits until the recorder's program runs. Nothing has to reach a disk for that, so a slow start of a process on
    /// a busy host is not taken for a disk that stands still.
    pub(super) fn greet(&self) -> Result<(), Refusal> {
        let mut conversation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = conversation.number(Ask::Greet, Answering::Wanted);
        let wait = Wait::at_most(STARTED_WITHIN);
        let sent = conversation.channel.send(&asked, &[], wait);
        let answered = sent.and_then(|()| conversation.channel.receive::<Answered>(wait));
        match answered {
            Ok(_) => Ok(()),
            Err(ChannelError::Late) => Err(Refusal::failed(format!(
                "the process that writes the journal (injector record) has not started within {} s; this host \
                 is too busy. Nothing is armed; try again.",
                STARTED_WITHIN.as_secs()
            ))),
            Err(error) => Err(unanswered(&error, STARTED_WITHIN)),
        }
    }

    /// Another conversation: its other end is to be handed to the process or run that will have it.
    pub fn converse(&self) -> Result<Channel, Refusal> {
        use std::os::fd::AsFd;
        let (ours, theirs) = Channel::pair().map_err(|error| {
            Refusal::failed(format!("a socket pair cannot be made: {error}; try again."))
        })?;
        self.ask(Ask::Converse, &[theirs.as_fd()], ANSWER_WITHIN)?;
        Ok(ours)
    }

    /// Begins the journal of a run; no other has this name. It has a conversation of its own, so that no run
    /// waits for the answer to another.
    pub fn create(&self, run: &RunId) -> Result<RunJournal, Refusal> {
        RunJournal::create(Conversation::new(self.converse()?), run)
    }

    /// Adds a record to a journal that belongs to no run, some time soon. Waits for nothing.
    pub fn note(&self, path: &Path, record: &Record) {
        let mut conversation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = Ask::Note {
            path: path.to_owned(),
            record: Box::new(record.clone()),
        };
        let asked = conversation.number(ask, Answering::Unwanted);
        // The recorder tells where it cannot write; where it is gone, the process that speaks ends soon.
        let _ = conversation.say(&asked);
    }

    /// The file whose lock lets one start at a time in.
    pub fn start_lock(&self, directory: &Path) -> Result<OwnedFd, Refusal> {
        let directory = directory.to_owned();
        let (_, came) = self.ask(Ask::StartLock { directory }, &[], ANSWER_WITHIN)?;
        came.into_iter()
            .next()
            .ok_or_else(|| Refusal::failed("the start lock did not arrive; try again."))
    }

    /// Cleans up after runs whose processes have all died. Returns what to tell.
    pub fn sweep(&self) -> Result<Vec<String>, Refusal> {
        match self.ask(Ask::Sweep, &[], SWEEP_WITHIN)?.0 {
            Answer::Tell(lines) => Ok(lines),
            Answer::Done | Answer::Halted(_) => Ok(Vec::new()),
        }
    }

    /// Pulls the kill switch. Returns who has pulled it.
    pub fn pull_kill_switch(&self, directory: &Path, halt: &Halt) -> Result<Halt, Refusal> {
        let ask = Ask::PullKillSwitch {
            directory: directory.to_owned(),
            halt: halt.clone(),
        };
        match self.ask(ask, &[], ANSWER_WITHIN)?.0 {
            Answer::Halted(by) => Ok(by),
            Answer::Done | Answer::Tell(_) => Ok(halt.clone()),
        }
    }

    /// Releases the kill switch. Returns who had pulled it.
    pub fn release_kill_switch(&self, directory: &Path) -> Result<Option<Halt>, Refusal> {
        let directory = directory.to_owned();
        match self
            .ask(Ask::ReleaseKillSwitch { directory }, &[], ANSWER_WITHIN)?
            .0
        {
            Answer::Halted(by) => Ok(Some(by)),
            Answer::Done | Answer::Tell(_) => Ok(None),
        }
    }

    /// Closes the journal of a run whose worker is gone. Returns what to tell.
    pub fn conclude(
        &self,
        path: &Path,
        journal: BorrowedFd<'_>,
        namespaces: &[BorrowedFd<'_>],
        why: &str,
    ) -> Result<Vec<String>, Refusal> {
        let mut descriptors = vec![journal];
        // Others are looked for by their inodes.
        descriptors.extend(namespaces.iter().take(MOST_NAMESPACES));
        let ask = Ask::Conclude {
            path: path.to_owned(),
            why: why.to_owned(),
        };
        match self.ask(ask, &descriptors, ANSWER_WITHIN)?.0 {
            Answer::Tell(lines) => Ok(lines),
            Answer::Done | Answer::Halted(_) => Ok(Vec::new()),
        }
    }

    /// Waits until all that other processes have said is on the disk.
    pub fn settle(&self) -> Result<(), Refusal> {
        self.ask(Ask::Settle, &[], ANSWER_WITHIN).map(drop)
    }
}
