//! What goes to the terminal, or to whatever the command's output was redirected to.
//!
//! One thread reads what processes say, and never waits for a reader; each stream has a thread that does. So a
//! reader that stands still (a full pipe, Ctrl-S) holds up no other stream and no process but this one.
//!
//! How a run stands comes over a conversation of its own ([`LiveLine`]), so that what fills it up, where this process
//! stands still, keeps no word of another kind out.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::writer::{Outcome, Writer};
use crate::{
    channel::{Channel, ChannelError, Wait},
    dashboard::Outline,
    live::{self, Live},
    page::{Look, Page, Readers},
    tell::{self, Stream},
};
use injector_record::event::RunEvent;

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Say {
    /// Print this.
    Print { stream: Stream, text: String },
    /// Print this page as the terminal is.
    Show {
        stream: Stream,
        readers: Readers,
        page: Page,
    },
    /// The run stands so.
    Live { live: Live },
    /// A run in outline begins, which a dashboard may show.
    Outline { outline: Box<Outline> },
    /// Its next turn.
    Turn { event: Box<RunEvent> },
    /// The run is over: what is said of it late is not shown.
    LiveOver,
    /// Take part in another conversation. With it: its other end.
    Converse,
    /// Print what comes out of this pipe as progress: words of a process's last moments. With it: the pipe.
    Follow,
    /// Say when everything is printed.
    Flush,
}

/// How printing went.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Flushed {
    /// Whether there were results.
    pub has_result: bool,
    /// Why results could not be written, as a number of errno(3); nothing where their reader has closed its end.
    pub failed: Option<i32>,
    /// How many lines of progress were left out, because their reader was far behind.
    pub dropped: u64,
}

/// The terminal, as other processes see it.
#[derive(Debug)]
pub struct Terminal(Channel);

impl Terminal {
    /// Talks to the recorder over this channel.
    pub fn new(channel: Channel) -> Self {
        Self(channel)
    }

    /// Has a text printed. The recorder reads at once, so nothing is waited for but its turn to run; where it
    /// stands still, progress is left out.
    pub fn print(&self, stream: Stream, text: String) {
        let wait = match stream {
            Stream::Result => Wait::at_most(super::ANSWER_WITHIN),
            Stream::Aside => Wait::No,
        };
        let _ = self.0.send(&Say::Print { stream, text }, &[], wait);
    }

    /// Has a page printed, for these readers; waits as [`Self::print`] does.
    pub fn show(&self, stream: Stream, readers: Readers, page: Page) {
        let wait = match stream {
            Stream::Result => Wait::at_most(super::ANSWER_WITHIN),
            Stream::Aside => Wait::No,
        };
        let say = Say::Show {
            stream,
            readers,
            page,
        };
        let _ = self.0.send(&say, &[], wait);
    }

    /// A way to say how a run stands; with an outline, on a dashboard.
    pub fn live(&self, outline: Option<Outline>) -> Result<LiveLine, ChannelError> {
        let channel = self.converse()?;
        let wants_turns = outline.is_some();
        if let Some(outline) = outline {
            let outline = Box::new(outline);
            let wait = Wait::at_most(super::ANSWER_WITHIN);
            channel.send(&Say::Outline { outline }, &[], wait)?;
        }
        Ok(LiveLine {
            channel,
            wants_turns,
        })
    }

    /// Takes the live line away for good.
    pub fn live_over(&self) {
        let _ = self
            .0
            .send(&Say::LiveOver, &[], Wait::at_most(super::ANSWER_WITHIN));
    }

    /// Another conversation, to be handed to another process.
    pub fn converse(&self) -> Result<Channel, ChannelError> {
        let (ours, theirs) = Channel::pair().map_err(ChannelError::Broken)?;
        let wait = Wait::at_most(super::ANSWER_WITHIN);
        self.0.send(&Say::Converse, &[theirs.as_fd()], wait)?;
        Ok(ours)
    }

    /// Has what comes out of a pipe printed as progress.
    pub fn follow(&self, pipe: &OwnedFd) -> Result<(), ChannelError> {
        let wait = Wait::at_most(super::ANSWER_WITHIN);
        self.0.send(&Say::Follow, &[pipe.as_fd()], wait)
    }

    /// Asks for word when everything is printed; [`Terminal::flushed`] hears it.
    pub fn flush(&self) -> Result<(), ChannelError> {
        self.0
            .send(&Say::Flush, &[], Wait::at_most(super::ANSWER_WITHIN))
    }

    /// How printing went, once it is done.
    pub fn flushed(&self) -> Result<Flushed, ChannelError> {
        self.0.receive(Wait::No).map(|(flushed, _)| flushed)
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Says how a run stands.
#[derive(Debug)]
pub struct LiveLine {
    channel: Channel,
    wants_turns: bool,
}

impl LiveLine {
    /// The run stands so. Waits for nothing: where the recorder stands still, the word is lost.
    pub fn say(&self, live: Live) {
        let _ = self.channel.send(&Say::Live { live }, &[], Wait::No);
    }

    /// The run's next turn, where a dashboard may show it. Waits for nothing either.
    pub fn turn(&self, event: &RunEvent) {
        if self.wants_turns {
            let event = Box::new(event.clone());
            let _ = self.channel.send(&Say::Turn { event }, &[], Wait::No);
        }
    }
}

/// What is read from.
enum Source {
    Conversation(Channel),
    Pipe(File),
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Conversation(channel) => channel.as_fd(),
            Self::Pipe(pipe) => pipe.as_fd(),
        }
    }
}

struct Printer {
    results: Writer,
    progress: Writer,
    /// Whether progress goes to a terminal that takes control sequences.
    shows_live_line: bool,
}

/// Serves until every process has closed its end. The first conversation is that of the process that started
/// the recorder; where it ends, no process waits for the rest to be printed.
pub(super) fn serve(first: Channel) {
    let Ok(printer) = Printer::start(std::io::stdout().as_fd(), std::io::stderr().as_fd()) else {
        return;
    };
    let mut sources = vec![Source::Conversation(first)];
    while !sources.is_empty() {
        let mut polled: Vec<_> = sources
            .iter()
            .map(|source| PollFd::new(source, PollFlags::IN))
            .collect();
        let anew = Timespec {
            tv_sec: 0,
            tv_nsec: live::EVERY.subsec_nanos().into(),
        };
        let is_live = printer.progress.is_live();
        // An interrupted wait is a short one.
        let _ = poll(&mut polled, is_live.then_some(&anew));
        if is_live {
            printer.progress.draw();
        }
        // The owner comes last: what it asks about the others is asked after what they said.
        let mut brought = Vec::new();
        let owner = sources.remove(0);
        let before = sources.len();
        sources.retain(|source| printer.hear(source, &mut brought));
        if sources.len() < before {
            // Only a worker, which ends with its run, closes its end before the owner does.
            printer.progress.live_over();
        }
        let is_open = printer.hear(&owner, &mut brought);
        sources.append(&mut brought);
        if !is_open {
            break;
        }
        sources.insert(0, owner);
    }
    printer.progress.put_terminal_back();
    drop(printer);
    let_go();
}

/// Closes the streams: a disk may keep this process for long, and a reader waits for the last writer of its pipe.
fn let_go() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

impl Printer {
    /// Starts to write. Where both streams go to one terminal or file, one thread writes both.
    fn start(results: BorrowedFd<'_>, progress: BorrowedFd<'_>) -> std::io::Result<Self> {
        let file =
            |fd: BorrowedFd<'_>| Ok::<_, std::io::Error>(File::from(fd.try_clone_to_owned()?));
        let is_one = tell::is_one_file(results, progress);
        let shows_live_line = matches!(Look::of(progress), Look::Full(_));
        // A dashboard takes the screen and the keys, so it is for a terminal that has all three streams.
        let keys = std::io::stdin();
        let is_seat = is_one && tell::is_one_file(results, keys.as_fd());
        let keys = is_seat.then(|| file(keys.as_fd())).transpose()?;
        let results = Writer::start(Stream::Result, file(results)?, keys)?;
        let progress = if is_one {
            results.also(Stream::Aside)
        } else {
            Writer::start(Stream::Aside, file(progress)?, None)?
        };
        Ok(Self {
            results,
            progress,
            shows_live_line,
        })
    }

    /// Takes in what a source has said; whether it may say more.
    fn hear(&self, source: &Source, brought: &mut Vec<Source>) -> bool {
        match source {
            Source::Conversation(channel) => loop {
                match channel.receive(Wait::No) {
                    Ok((say, came)) => self.meet(channel, say, came.into_iter().next(), brought),
                    Err(ChannelError::Late) => return true,
                    Err(ChannelError::Closed) => return false,
                    Err(ChannelError::Broken(_)) => {}
                }
            },
            Source::Pipe(pipe) => self.copy(pipe),
        }
    }

    fn meet(&self, channel: &Channel, say: Say, came: Option<OwnedFd>, brought: &mut Vec<Source>) {
        match say {
            Say::Print { stream, text } => match stream {
                Stream::Result => self.results.write(text.into_bytes()),
                Stream::Aside => self.progress.write(text.into_bytes()),
            },
            Say::Show {
                stream,
                readers,
                page,
            } => match (stream, readers) {
                (Stream::Aside, Readers::WithoutLiveLine) if self.shows_live_line => {}
                (Stream::Result, _) => self.results.show(page),
                (Stream::Aside, _) => self.progress.show(page),
            },
            Say::Live { live } if self.shows_live_line => self.progress.live(live),
            Say::Outline { outline } if self.shows_live_line => self.progress.outline(*outline),
            Say::Turn { event } if self.shows_live_line => self.progress.turn(&event),
            Say::Live { .. } | Say::Outline { .. } | Say::Turn { .. } => {}
            Say::LiveOver => self.progress.live_over(),
            Say::Converse => {
                brought.extend(came.map(|end| Source::Conversation(Channel::from(end))));
            }
            Say::Follow => brought.extend(came.map(|pipe| Source::Pipe(File::from(pipe)))),
            Say::Flush => {
                let Ok(answer) = channel.as_fd().try_clone_to_owned() else {
                    return;
                };
                let marks = (self.results.mark(), self.progress.mark());
                let dropped = self.progress.dropped();
                // Waits for readers, so it is not this thread that does.
                let _ = std::thread::Builder::new()
                    .name("flush".into())
                    .spawn(move || {
                        let Outcome { has_text, failed } = marks.0.recv().unwrap_or_default();
                        let _ = marks.1.recv();
                        let flushed = Flushed {
                            has_result: has_text,
                            failed,
                            dropped,
                        };
                        let _ = Channel::from(answer).send(&flushed, &[], Wait::Forever);
                    });
            }
        }
    }

    /// Copies what a pipe has; whether more may come.
    fn copy(&self, mut pipe: &File) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match pipe.read(&mut bytes) {
                Ok(0) => return false,
                Ok(length) => self.progress.write(bytes[..length].to_vec()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a wait in it, this test would not end.
    #[test]
    fn a_recorder_that_stands_still_keeps_no_worker_waiting() {
        let (ours, theirs) = Channel::pair().unwrap();
        let way = LiveLine {
            channel: ours,
            wants_turns: false,
        };
        let live = Live {
            step: None,
            until_boot_ns: 7,
            met: None,
        };
        for _ in 0..10_000 {
            way.say(live.clone());
        }
        // What it hears when it goes on is what was said first, and not more than its socket has room for.
        let heard = std::iter::from_fn(|| theirs.receive::<Say>(Wait::No).ok());
        let count = heard.count();
        assert!((1..10_000).contains(&count), "{count}");
    }
}
