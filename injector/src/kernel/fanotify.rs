//! Permission events of fanotify: before the kernel opens or reads what is marked, it asks, and whoever calls
//! waits for the answer (fs/notify/fanotify/fanotify.c, `fanotify_get_response`). Only a fatal signal ends that.
//! It asks about files and folders only, never about pipes (`fanotify_group_event_mask`; tried on 6.1 and 6.12).
//!
//! Invariants:
//! - Held by a descriptor: when it is closed, by whatever end of its process, everybody who waits is let
//!   through (`fanotify_release`), and every mark is gone.
//! - Marks are on single inodes, never on a mount or a file system: nobody waits but who opens or reads these.
//! - A question that is dropped is answered: yes.

use std::{
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::fanotify::{
        EventFFlags, Fanotify, FanotifyEvent, FanotifyResponse, InitFlags, MarkFlags, MaskFlags,
        Response,
    },
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{CWD, Timespec},
};

use super::Error;

/// What the kernel asks about.
pub type Asked = MaskFlags;

/// Whom the kernel asks.
#[derive(Debug)]
pub struct Listener(Arc<Fanotify>);

/// What it asks. Whoever waits goes on when this is dropped.
#[derive(Debug)]
pub struct Question {
    listener: Arc<Fanotify>,
    event: FanotifyEvent,
}

impl Listener {
    /// One that nobody waits for yet.
    ///
    /// # Errors
    /// Without `CAP_SYS_ADMIN`, and where the kernel was built without such events.
    pub fn new() -> Result<Self, Error> {
        let how = InitFlags::FAN_CLASS_CONTENT
            | InitFlags::FAN_CLOEXEC
            | InitFlags::FAN_NONBLOCK
            | InitFlags::FAN_REPORT_TID
            | InitFlags::FAN_UNLIMITED_QUEUE
            | InitFlags::FAN_UNLIMITED_MARKS;
        let descriptors = EventFFlags::O_RDONLY
            | EventFFlags::O_LARGEFILE
            | EventFFlags::O_CLOEXEC
            | EventFFlags::O_NONBLOCK;
        let listener = Fanotify::init(how, descriptors)
            .map_err(|errno| Error::system("listen by fanotify", errno))?;
        Ok(Self(Arc::new(listener)))
    }

    /// Is asked about an open file of this process from now on.
    pub fn mark(&self, file: BorrowedFd<'_>, asked: Asked) -> Result<(), Error> {
        // The file may be open for its name only, which `fanotify_mark` does not take as a descriptor.
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.0
            .mark(MarkFlags::FAN_MARK_ADD, asked, CWD, Some(link.as_str()))
            .map_err(|errno| match errno {
                Errno::EINVAL => Error::Probe(
                    "the kernel asks nobody about a file that is named: it lies on a file system of the \
                     kernel's own, as /proc is; name another file"
                        .into(),
                ),
                errno => Error::system("mark a file by fanotify", errno),
            })
    }

    /// Waits until there are questions, `wake` can be read, or so much time is over.
    pub fn wait(&self, at_most: Duration, wake: Option<&OwnedFd>) -> Result<(), Error> {
        let mut watched = vec![PollFd::new(self.0.as_ref(), PollFlags::IN)];
        watched.extend(wake.map(|wake| PollFd::new(wake, PollFlags::IN)));
        let at_most = Timespec::try_from(at_most).unwrap_or_default();
        match poll(&mut watched, Some(&at_most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::system("wait for fanotify", errno)),
        }
    }

    /// What is asked now.
    pub fn questions(&self) -> Result<Vec<Question>, Error> {
        let events = match self.0.read_events() {
            Ok(events) => events,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Vec::new()),
            Err(errno) => return Err(Error::system("read from fanotify", errno)),
        };
        let question = |event| Question {
            listener: Arc::clone(&self.0),
            event,
        };
        Ok(events.into_iter().map(question).collect())
    }
}

impl Question {
    /// The thread that waits.
    pub fn thread(&self) -> u32 {
        self.event.pid().unsigned_abs()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(file) = self.event.fd() {
            let yes = FanotifyResponse::new(file, Response::FAN_ALLOW);
            // Fails where whoever waited was killed.
            let _gone = self.listener.write_response(yes);
        }
    }
}
