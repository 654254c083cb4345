//! One stream of a terminal or pipe, written by a thread that may wait for its reader.
//!
//! Of the live line no more than the newest waits: however long the reader stands still, nothing piles up.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use rustix::io::Errno;

use super::stage::Stage;
use crate::{
    dashboard::{self, Board, Outline, Viewer, Wish},
    live::{Live, Screen},
    page::{Look, Page},
    tell::{self, Stream},
};
use injector_host::kernel::clock::boot_ns;
use injector_record::event::RunEvent;

/// Bytes of progress that wait for a reader at most; what comes beyond is counted and left out.
const MOST_WAITING: usize = 1 << 20;

/// How long the end of a dashboard may wait for the terminal where this process ends.
const PUT_BACK_WITHIN: Duration = Duration::from_millis(500);

/// What the thread is told.
enum Item {
    Text(Stream, Vec<u8>),
    Page(Stream, Page),
    /// To look at the live line.
    Draw,
    /// To say how writing went, once all before it is written.
    Mark(Sender<Outcome>),
}

/// The live line and the board, as the threads see them.
#[derive(Debug, Default)]
struct Slot {
    state: LiveState,
    /// What a dashboard shows.
    board: Option<Arc<Board>>,
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

/// The slot, which one thread fills and the others look at.
#[derive(Debug)]
pub(super) struct Shared {
    slot: Mutex<Slot>,
    items: Sender<Item>,
}

/// As threads have it.
pub(super) type SharedSlot = Arc<Shared>;

impl Shared {
    /// The state is sound after a panic elsewhere: it is written in one step.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a key in, and has its answer drawn.
    pub(super) fn key(&self, key: u8) -> Option<Wish> {
        let mut slot = self.lock();
        let wish = Arc::make_mut(slot.board.as_mut()?).key(key);
        self.ask_to_draw(&mut slot);
        wish
    }

    fn ask_to_draw(&self, slot: &mut Slot) {
        if !slot.is_asked {
            slot.is_asked = true;
            let _ = self.items.send(Item::Draw);
        }
    }
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
    slot: SharedSlot,
}

impl Writer {
    /// Starts the thread; with keys, the stream may show a dashboard.
    pub(super) fn start(stream: Stream, file: File, keys: Option<File>) -> io::Result<Self> {
        let (items, inbox) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let slot = Arc::new(Shared {
            slot: Mutex::default(),
            items: items.clone(),
        });
        let thread = Writing {
            file,
            counted: Arc::clone(&waiting),
            slot: Arc::downgrade(&slot),
            screen: Screen::default(),
            stage: Stage::new(keys),
            held: Vec::new(),
            failed: None,
            has_text: false,
        };
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || thread.all(&inbox))?;
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
        let mut slot = self.slot.lock();
        if !matches!(slot.state, LiveState::Over) {
            slot.state = LiveState::On(live);
            self.slot.ask_to_draw(&mut slot);
        }
    }

    /// A run begins that a dashboard may show.
    pub(super) fn outline(&self, outline: Outline) {
        let board = Board::new(outline, Viewer::Owner, boot_ns());
        self.slot.lock().board = Some(Arc::new(board));
    }

    /// Takes its next turn in. Never waits.
    pub(super) fn turn(&self, event: &RunEvent) {
        if let Some(board) = &mut self.slot.lock().board {
            // A copy is made where the newest picture is being drawn, and nowhere else.
            Arc::make_mut(board).turn(event);
        }
    }

    /// Has the live line made anew.
    pub(super) fn draw(&self) {
        self.slot.ask_to_draw(&mut self.slot.lock());
    }

    /// Takes the live line, or the dashboard, away for good.
    pub(super) fn live_over(&self) {
        let mut slot = self.slot.lock();
        slot.state = LiveState::Over;
        self.slot.ask_to_draw(&mut slot);
    }

    /// Has the terminal put back before this process ends, however long its reader takes.
    pub(super) fn put_terminal_back(&self) {
        if dashboard::is_changed() {
            self.live_over();
            let _ = self.mark().recv_timeout(PUT_BACK_WITHIN);
            dashboard::put_back();
        }
    }

    /// Whether a run has said how it stands, and goes on.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.slot.lock().state, LiveState::On(_))
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

/// The thread that writes.
struct Writing {
    file: File,
    counted: Arc<AtomicUsize>,
    /// Gone where no thread fills it any more.
    slot: Weak<Shared>,
    screen: Screen,
    stage: Stage,
    /// What waits for the end of the dashboard.
    held: Vec<Item>,
    failed: Option<Errno>,
    has_text: bool,
}

/// What is to be seen beside texts.
enum Stands {
    Nothing,
    Line(Live),
    Board(Arc<Board>, Live),
}

impl Writing {
    fn all(mut self, inbox: &Receiver<Item>) {
        for item in inbox {
            match item {
                Item::Draw => self.draw(),
                Item::Mark(say) => {
                    self.end_dashboard();
                    let _ = say.send(self.outcome());
                }
                item if self.stage.is_set() => self.held.push(item),
                item => self.write(&item),
            }
        }
        self.end_dashboard();
    }

    fn stands(&self) -> Stands {
        let Some(shared) = self.slot.upgrade() else {
            return Stands::Nothing;
        };
        let mut slot = shared.lock();
        slot.is_asked = false;
        match (&slot.state, &slot.board) {
            (LiveState::On(live), Some(board)) => Stands::Board(Arc::clone(board), live.clone()),
            (LiveState::On(live), None) => Stands::Line(live.clone()),
            (LiveState::NotYet | LiveState::Over, _) => Stands::Nothing,
        }
    }

    fn draw(&mut self) {
        let stands = match self.stands() {
            Stands::Nothing => {
                self.end_dashboard();
                None
            }
            Stands::Line(live) => Some(live),
            Stands::Board(board, live) => {
                if self.stage.may_be_set() {
                    // The screen that comes back has no live line on it.
                    self.say(Stream::Aside, |screen, _| screen.draw(None));
                }
                let Some(shared) = self.slot.upgrade() else {
                    return;
                };
                if self.stage.show(&self.file, &board, &shared) {
                    return;
                }
                self.end_dashboard();
                Some(live)
            }
        };
        self.say(Stream::Aside, |screen, look| {
            let line = stands.as_ref().and_then(|live| live.line(boot_ns(), look));
            screen.draw(line.as_deref())
        });
    }

    /// Puts the screen from before back, and writes what has waited.
    fn end_dashboard(&mut self) {
        self.stage.close();
        for item in std::mem::take(&mut self.held) {
            self.write(&item);
        }
    }

    /// Writes a text or a page, with the live line below it.
    fn write(&mut self, item: &Item) {
        let stands = match self.stands() {
            Stands::Line(live) | Stands::Board(_, live) => Some(live),
            Stands::Nothing => None,
        };
        let line = |look| stands.as_ref().and_then(|live| live.line(boot_ns(), look));
        match item {
            Item::Text(stream, text) => {
                self.say(*stream, |screen, look| {
                    screen.text(text, line(look).as_deref())
                });
            }
            Item::Page(stream, page) => self.say(*stream, |screen, look| {
                screen.text(&page.bytes(look), line(look).as_deref())
            }),
            Item::Draw | Item::Mark(_) => {}
        }
        self.counted.fetch_sub(item.size(), Ordering::Relaxed);
    }

    /// Writes what is to be said on a terminal of the width that it has by now.
    fn say(&mut self, stream: Stream, bytes: impl FnOnce(&mut Screen, Look) -> Vec<u8>) {
        let bytes = bytes(&mut self.screen, Look::of(&self.file));
        self.has_text |= stream == Stream::Result;
        if self.failed.is_none() && !bytes.is_empty() {
            self.failed = tell::write(self.file.as_fd(), &bytes).err();
        }
    }

    fn outcome(&mut self) -> Outcome {
        if self.has_text && self.failed.is_none() {
            self.failed = tell::settle(self.file.as_fd()).err();
        }
        Outcome {
            has_text: self.has_text,
            failed: self
                .failed
                // A reader that has closed its end has read enough.
                .filter(|errno| *errno != Errno::PIPE)
                .map(Errno::raw_os_error),
        }
    }
}
