//! One stream of a terminal or pipe, written by a thread that may wait for its reader.
//!
//! Of the live line no more than the newest waits: however long the reader stands still, nothing piles up.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
};

use rustix::io::Errno;

use crate::{
    live::{Live, Screen},
    page::{Look, Page},
    tell::{self, Stream},
};
use injector_host::kernel::clock::boot_ns;

/// Bytes of progress that wait for a reader at most; what comes beyond is counted and left out.
const MOST_WAITING: usize = 1 << 20;

/// What the thread is told.
enum Item {
    Text(Stream, Vec<u8>),
    Page(Stream, Page),
    /// To look at the live line.
    Draw,
    /// To say how writing went, once all before it is written.
    Mark(Sender<Outcome>),
}

/// The live line, as both threads see it.
#[derive(Debug, Default)]
struct Slot {
    state: LiveState,
    /// Whether a [`Item::Draw`] waits already.
    is_asked: bool,
}

#[derive(Debug, Default)]
enum LiveState {
    /// No run has said how it stands yet.
    #[default]
    NotYet,
    On(Live),
    /// The run is over: what is said late is not shown.
    Over,
}

impl Item {
    /// How much memory it takes, about.
    fn size(&self) -> usize {
        match self {
            Self::Text(_, text) => text.len(),
            Self::Page(_, page) => page.size(),
            Self::Draw | Self::Mark(_) => 0,
        }
    }
}

/// How writing went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Whether there were results.
    pub(super) has_text: bool,
    /// The first failure, as a number of errno(3); nothing where the reader has closed its end.
    pub(super) failed: Option<i32>,
}

/// A stream, as the thread that reads messages sees it.
pub(super) struct Writer {
    items: Sender<Item>,
    waiting: Arc<AtomicUsize>,
    dropped: AtomicU64,
    stream: Stream,
    slot: Arc<Mutex<Slot>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(stream: Stream, file: File) -> io::Result<Self> {
        let (items, inbox) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        let slot = Arc::new(Mutex::new(Slot::default()));
        let shared = Arc::clone(&slot);
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || write_all(&file, &inbox, &counted, &shared))?;
        Ok(Self {
            items,
            waiting,
            dropped: AtomicU64::new(0),
            stream,
            slot,
        })
    }

    /// The same thread and the same file for another stream, so that texts of both keep their order.
    pub(super) fn also(&self, stream: Stream) -> Self {
        Self {
            items: self.items.clone(),
            waiting: Arc::clone(&self.waiting),
            dropped: AtomicU64::new(0),
            stream,
            slot: Arc::clone(&self.slot),
        }
    }

    /// Has a text written as it is. Never waits. Results are never left out; progress is where its reader is far behind.
    pub(super) fn write(&self, text: Vec<u8>) {
        self.hand_over(Item::Text(self.stream, text));
    }

    /// The same for a page.
    pub(super) fn show(&self, page: Page) {
        self.hand_over(Item::Page(self.stream, page));
    }

    fn hand_over(&self, item: Item) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let size = item.size();
        if self.stream == Stream::Aside && waiting + size > MOST_WAITING {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.waiting.fetch_add(size, Ordering::Relaxed);
        // The thread lives as long as this value.
        let _ = self.items.send(item);
    }

    /// Puts this in the place of the live line, unless the run is over. Never waits.
    pub(super) fn live(&self, live: Live) {
        let mut slot = lock(&self.slot);
        if !matches!(slot.state, LiveState::Over) {
            slot.state = LiveState::On(live);
            self.ask_to_draw(&mut slot);
        }
    }

    /// Has the live line made anew.
    pub(super) fn draw(&self) {
        self.ask_to_draw(&mut lock(&self.slot));
    }

    /// Takes the live line away for good.
    pub(super) fn live_over(&self) {
        let mut slot = lock(&self.slot);
        slot.state = LiveState::Over;
        self.ask_to_draw(&mut slot);
    }

    /// Whether a run has said how it stands, and goes on.
    pub(super) fn is_live(&self) -> bool {
        matches!(lock(&self.slot).state, LiveState::On(_))
    }

    fn ask_to_draw(&self, slot: &mut Slot) {
        if !slot.is_asked {
            slot.is_asked = true;
            let _ = self.items.send(Item::Draw);
        }
    }

    /// What will say how writing went, once all of it is written.
    pub(super) fn mark(&self) -> Receiver<Outcome> {
        let (say, hear) = mpsc::channel();
        let _ = self.items.send(Item::Mark(say));
        hear
    }

    /// How many texts were left out.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The state is sound after a panic elsewhere: it is written in one step.
fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_all(file: &File, inbox: &Receiver<Item>, waiting: &AtomicUsize, slot: &Mutex<Slot>) {
    let mut failed = None;
    let mut has_text = false;
    let mut screen = Screen::default();
    for item in inbox {
        let size = item.size();
        // The terminal may have another width by now.
        let look = Look::of(file);
        let line = || match &lock(slot).state {
            LiveState::On(live) => live.line(boot_ns(), look),
            LiveState::NotYet | LiveState::Over => None,
        };
        let (stream, bytes) = match item {
            Item::Text(stream, text) => (stream, screen.text(&text, line().as_deref())),
            Item::Page(stream, page) => (stream, screen.text(&page.bytes(look), line().as_deref())),
            Item::Draw => {
                lock(slot).is_asked = false;
                (Stream::Aside, screen.draw(line().as_deref()))
            }
            Item::Mark(say) => {
                if has_text && failed.is_none() {
                    failed = tell::settle(file.as_fd()).err();
                }
                let failed = failed
                    // A reader that has closed its end has read enough.
                    .filter(|errno| *errno != Errno::PIPE)
                    .map(Errno::raw_os_error);
                let _ = say.send(Outcome { has_text, failed });
                continue;
            }
        };
        has_text |= stream == Stream::Result;
        if failed.is_none() && !bytes.is_empty() {
            failed = tell::write(file.as_fd(), &bytes).err();
        }
        waiting.fetch_sub(size, Ordering::Relaxed);
    }
}
