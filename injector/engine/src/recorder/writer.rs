//! One stream of a terminal or pipe, written by a thread that may wait for its reader.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
};

use rustix::io::Errno;

use crate::tell::{self, Stream};

/// Bytes of progress that wait for a reader at most; what comes beyond is counted and left out.
const MOST_WAITING: usize = 1 << 20;

/// What the thread is told.
enum Item {
    Text(Stream, Vec<u8>),
    /// To say how writing went, once all before it is written.
    Mark(Sender<Outcome>),
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
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(stream: Stream, file: File) -> io::Result<Self> {
        let (items, inbox) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || write_all(&file, &inbox, &counted))?;
        Ok(Self {
            items,
            waiting,
            dropped: AtomicU64::new(0),
            stream,
        })
    }

    /// The same thread and the same file for another stream, so that texts of both keep their order.
    pub(super) fn also(&self, stream: Stream) -> Self {
        Self {
            items: self.items.clone(),
            waiting: Arc::clone(&self.waiting),
            dropped: AtomicU64::new(0),
            stream,
        }
    }

    /// Has a text written. Never waits. Results are never left out; progress is where its reader is far behind.
    pub(super) fn write(&self, text: Vec<u8>) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if self.stream == Stream::Aside && waiting + text.len() > MOST_WAITING {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.waiting.fetch_add(text.len(), Ordering::Relaxed);
        // The thread lives as long as this value.
        let _ = self.items.send(Item::Text(self.stream, text));
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

fn write_all(file: &File, inbox: &Receiver<Item>, waiting: &AtomicUsize) {
    let mut failed = None;
    let mut has_text = false;
    for item in inbox {
        match item {
            Item::Text(stream, text) => {
                has_text |= stream == Stream::Result;
                if failed.is_none() {
                    failed = tell::write(file.as_fd(), &text).err();
                }
                waiting.fetch_sub(text.len(), Ordering::Relaxed);
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
            }
        }
    }
}
