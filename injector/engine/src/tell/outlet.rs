//! Standard output and standard error: the only code of this program that writes to them.
//!
//! It remembers how the command wants to be told ([`speak`]) and the first write that failed, which
//! [`lost`] gives to `main`, so that the exit code says what the report could not. A closed pipe is no
//! failure: its reader has read enough.
//!
//! Bytes go out by write(2) at once and whole, one message at a time. Rejected: the buffers and locks of
//! the standard library. They take a closed descriptor for a success (`handle_ebadf`), and a descriptor
//! that does not block, as some runtimes hand down, for a failure.

use std::{
    io::{stderr, stdout},
    os::fd::{AsFd, BorrowedFd, IntoRawFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::fstat,
    io::Errno,
};

use serde::{Deserialize, Serialize};

use crate::{
    channel::ChannelError,
    dashboard::Outline,
    live::{Live, Screen},
    page::{Look, Page, Readers},
    recorder::{Flushed, LiveLine, Terminal},
    worker::Output,
};
use injector_host::kernel::clock::boot_ns;
use injector_record::event::RunEvent;

/// One of the two ways out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output: results.
    Result,
    /// Standard error: everything else.
    Aside,
}

/// What did not reach the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what this command tells did not reach {}: {errno}; name another place for it. Runs are on record: \
     `injector audit` shows them",
    match stream {
        Stream::Result => "standard output",
        Stream::Aside => "standard error",
    }
)]
pub struct Lost {
    /// Where it was written to.
    pub stream: Stream,
    /// What the kernel said.
    pub errno: Errno,
}

/// What is known of both.
struct Outlets {
    output: Output,
    /// The recorder, where it writes for this process ([`crate::recorder`]).
    terminal: Option<Terminal>,
    /// Whether standard output was there when this program started.
    is_closed: bool,
    /// Whether anything was written to standard output.
    has_result: bool,
    lost: Option<Lost>,
    live: LiveOutlet,
    /// What is written once the dashboard that this process draws has closed.
    held: Option<Vec<(Stream, Vec<u8>)>>,
}

/// Where this process says how its run stands.
enum LiveOutlet {
    /// Nowhere yet.
    NotYet,
    /// To the recorder.
    Recorder(LiveLine),
    /// On standard error, by itself.
    Own(Screen, Option<Live>),
    /// The run is over.
    Over,
}

static OUTLETS: Mutex<Outlets> = Mutex::new(Outlets {
    output: Output::Text,
    terminal: None,
    is_closed: false,
    has_result: false,
    lost: None,
    live: LiveOutlet::NotYet,
    held: None,
});

/// Whether the reader of standard output has gone. Beside the lock, which is held while a reader is waited for who stands still.
static HAS_LEFT: AtomicBool = AtomicBool::new(false);

/// Whether a reader is waited for no more.
static IS_GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// The lock also keeps the lines of two threads apart.
fn outlets() -> MutexGuard<'static, Outlets> {
    OUTLETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decides, once, how this process tells things.
pub fn speak(output: Output) {
    outlets().output = output;
}

/// How this process tells things.
pub fn output() -> Output {
    outlets().output
}

/// Says that standard output was closed when this program started. By now the standard library has put
/// /dev/null in its place.
pub fn without_result() {
    outlets().is_closed = true;
}

/// From now on the recorder writes: this process holds what must not wait for a reader.
pub fn through(terminal: Terminal) {
    outlets().terminal = Some(terminal);
}

/// Talks to the recorder about the terminal.
pub fn terminal<T>(
    talk: impl FnOnce(&Terminal) -> Result<T, ChannelError>,
) -> Result<T, ChannelError> {
    match &outlets().terminal {
        Some(terminal) => talk(terminal),
        None => Err(ChannelError::Closed),
    }
}

/// From now on this process writes itself again; how it went meanwhile, where that is known.
pub fn hang_up(flushed: Option<&Flushed>) {
    let mut outlets = outlets();
    outlets.terminal = None;
    let Some(flushed) = flushed else { return };
    outlets.has_result |= flushed.has_result;
    let errno = match flushed.failed {
        Some(errno) => Some(Errno::from_raw_os_error(errno)),
        None => (outlets.is_closed && flushed.has_result).then_some(Errno::BADF),
    };
    if let Some(errno) = errno {
        let stream = Stream::Result;
        outlets.lost.get_or_insert(Lost { stream, errno });
    }
}

/// Writes bytes as they are, all of them, and remembers where that fails.
pub fn pass_on(stream: Stream, bytes: &[u8]) {
    let mut outlets = outlets();
    if let Some(terminal) = &outlets.terminal {
        // What this program prints is text.
        return terminal.print(stream, String::from_utf8_lossy(bytes).into_owned());
    }
    outlets.write_above_live_line(stream, bytes);
}

/// Writes a page as the terminal is, for these readers.
pub fn show(stream: Stream, readers: Readers, page: Page) {
    let mut outlets = outlets();
    if let Some(terminal) = &outlets.terminal {
        return terminal.show(stream, readers, page);
    }
    let look = match stream {
        Stream::Result => Look::of(stdout()),
        Stream::Aside => Look::of(stderr()),
    };
    if matches!((look, readers), (Look::Full(_), Readers::WithoutLiveLine)) {
        return;
    }
    outlets.write_above_live_line(stream, &page.bytes(look));
}

/// Makes ready to say how this process's run stands; with an outline, on a dashboard where the recorder has the terminal for
/// one. To be called before anything is armed: this may wait for the recorder, and [`live`] and [`turn`] must not.
pub fn begin_live(outline: Option<Outline>) {
    let mut outlets = outlets();
    outlets.live = match &outlets.terminal {
        // Without a way to say it there is no live line.
        Some(terminal) => terminal
            .live(outline)
            .map_or(LiveOutlet::Over, LiveOutlet::Recorder),
        None => LiveOutlet::Own(Screen::default(), None),
    };
}

/// Says what has happened to whatever draws a dashboard for this process. Waits for nothing.
pub fn turn(event: &RunEvent) {
    if let LiveOutlet::Recorder(line) = &outlets().live {
        line.turn(event);
    }
}

/// Holds back what is to be written: this process draws a dashboard.
pub fn hold() {
    let mut outlets = outlets();
    if outlets.held.is_none() {
        outlets.take_live_line_away();
        outlets.held = Some(Vec::new());
    }
}

/// Writes what was held back.
pub fn let_go() {
    let mut outlets = outlets();
    for (stream, bytes) in outlets.held.take().unwrap_or_default() {
        outlets.write(stream, &bytes);
    }
    outlets.draw();
}

/// Says how this process's run stands. A process with a recorder waits for nothing.
pub fn live(stands: Live) {
    let mut outlets = outlets();
    match &mut outlets.live {
        LiveOutlet::NotYet | LiveOutlet::Over => {}
        LiveOutlet::Recorder(line) => line.say(stands),
        LiveOutlet::Own(_, now) => {
            *now = Some(stands);
            outlets.draw();
        }
    }
}

/// Makes the live line anew, where this process draws it itself.
pub fn draw_live() {
    outlets().draw();
}

/// Takes the live line away for good.
pub fn live_over() {
    let mut outlets = outlets();
    match std::mem::replace(&mut outlets.live, LiveOutlet::Over) {
        LiveOutlet::NotYet | LiveOutlet::Over => {}
        LiveOutlet::Recorder(_) => outlets.terminal.iter().for_each(Terminal::live_over),
        LiveOutlet::Own(mut screen, _) => {
            let away = screen.draw(None);
            let _ = write(stderr().as_fd(), &away);
        }
    }
}

impl Outlets {
    /// Writes to one of the two, and leaves the live line below it.
    fn write_above_live_line(&mut self, stream: Stream, bytes: &[u8]) {
        if let Some(held) = &mut self.held {
            held.push((stream, bytes.to_vec()));
            return;
        }
        self.take_live_line_away();
        self.write(stream, bytes);
        self.draw();
    }

    fn take_live_line_away(&mut self) {
        if let LiveOutlet::Own(screen, _) = &mut self.live
            && screen.is_live()
        {
            let away = screen.draw(None);
            self.write(Stream::Aside, &away);
        }
    }

    /// Makes the live line anew, where this process draws it.
    fn draw(&mut self) {
        if self.held.is_some() {
            return;
        }
        if let LiveOutlet::Own(screen, live) = &mut self.live {
            let line = live
                .as_ref()
                .and_then(|live| live.line(boot_ns(), Look::of(stderr())));
            let bytes = screen.draw(line.as_deref());
            self.write(Stream::Aside, &bytes);
        }
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let written = match stream {
            Stream::Result if self.is_closed => Err(Errno::BADF),
            Stream::Result => write(stdout().as_fd(), bytes),
            Stream::Aside => write(stderr().as_fd(), bytes),
        };
        self.has_result |= stream == Stream::Result;
        match written {
            Ok(()) => {}
            Err(Errno::PIPE) => {
                HAS_LEFT.fetch_or(stream == Stream::Result, Ordering::Relaxed);
            }
            Err(errno) => {
                self.lost.get_or_insert(Lost { stream, errno });
            }
        }
    }
}

/// Whether anything was written to standard output.
pub fn has_result() -> bool {
    outlets().has_result
}

/// Whether the reader of standard output has closed its end, so that going on is of no use. Waits for no reader.
pub fn has_left() -> bool {
    HAS_LEFT.load(Ordering::Relaxed)
}

/// Waits for a reader who stands still no more: what another thread is writing to it is left to itself, and nothing may be told
/// behind it.
pub fn give_up() {
    IS_GIVEN_UP.store(true, Ordering::Relaxed);
}

/// The first thing that did not reach its reader, once everything has been told.
pub(super) fn lost() -> Option<Lost> {
    if IS_GIVEN_UP.load(Ordering::Relaxed) {
        return None;
    }
    let mut outlets = outlets();
    if outlets.has_result
        && outlets.lost.is_none()
        && let Err(errno) = settle(stdout().as_fd())
    {
        let stream = Stream::Result;
        outlets.lost = Some(Lost { stream, errno });
    }
    outlets.lost
}

/// Whether both are one file, or one terminal.
pub fn is_one_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    matches!(
        (fstat(one), fstat(other)),
        (Ok(one), Ok(other)) if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
    )
}

/// Writes everything, however long the reader takes.
pub(crate) fn write(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                // It does not block; an interrupted wait is a short one.
                let _ = poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Some file systems tell that the disk was full when a descriptor is closed and not before (NFS, quotas:
/// `filp_close` calls `flush` for every copy of it).
pub(crate) fn settle(of: BorrowedFd<'_>) -> Result<(), Errno> {
    let copy = of.try_clone_to_owned();
    let copy = copy.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    // SAFETY: the descriptor is ours, was made above, and is not used again.
    match unsafe { libc::close(copy.into_raw_fd()) } {
        0 => Ok(()),
        // Linux has closed it all the same.
        _ => match Errno::from_io_error(&std::io::Error::last_os_error()) {
            Some(Errno::INTR) | None => Ok(()),
            Some(errno) => Err(errno),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Read, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_full_disk_and_a_closed_pipe_are_told_apart() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(write(full.as_fd(), b"report"), Err(Errno::NOSPC));
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(write(ours.as_fd(), b"report"), Err(Errno::PIPE));
        assert_eq!(settle(ours.as_fd()), Ok(()));
    }

    #[test]
    fn a_descriptor_that_does_not_block_is_waited_for() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let long = vec![b'x'; 4 << 20];
        let read = std::thread::scope(|scope| {
            let read = scope.spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                let mut all = Vec::new();
                theirs.read_to_end(&mut all).map(|_| all.len())
            });
            assert_eq!(write(ours.as_fd(), &long), Ok(()));
            drop(ours);
            read.join().unwrap()
        });
        assert_eq!(read.unwrap(), 4 << 20);
    }
}
