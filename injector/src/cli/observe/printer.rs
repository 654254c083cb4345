//! Prints from a thread of its own.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use injector_engine::tell;
use injector_spec::error::Refusal;

/// As many lines as wait for the reader; what comes on top is left out and counted.
const WAITING: usize = 4_096;

/// How long the end waits for a reader who stands still.
const PATIENCE: Duration = Duration::from_secs(2);

type Print = Box<dyn FnOnce() + Send>;

/// The way to the thread.
pub(super) struct Printer {
    ways: Option<SyncSender<Print>>,
    done: Receiver<()>,
    left_out: u64,
}

impl Printer {
    /// Starts the thread. It is left to itself where it hangs when all is over: it holds nothing but the output.
    pub(super) fn start() -> Result<Self, Refusal> {
        let (ways, waiting) = sync_channel::<Print>(WAITING);
        let (finished, done) = sync_channel(1);
        let thread = std::thread::Builder::new().name("printer".into());
        thread
            .spawn(move || {
                for print in waiting {
                    print();
                }
                // The one who waits may have lost patience.
                let _ = finished.send(());
            })
            .map_err(|error| {
                Refusal::failed(format!(
                    "the thread that prints cannot be started: {error}; try again"
                ))
            })?;
        Ok(Self {
            ways: Some(ways),
            done,
            left_out: 0,
        })
    }

    /// Prints when the reader is ready, and waits for nothing.
    pub(super) fn print(&mut self, print: impl FnOnce() + Send + 'static) {
        if let Some(ways) = &self.ways
            && ways.try_send(Box::new(print)).is_err()
        {
            self.left_out += 1;
        }
    }

    /// Lines that were left out because no reader took them.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Prints the last, and waits a moment until all is printed.
    pub(super) fn last(mut self, print: impl FnOnce() + Send + 'static) {
        self.print(print);
        self.ways = None;
        // Nothing is left to do where it takes longer, and nothing can be told.
        if self.done.recv_timeout(PATIENCE).is_err() {
            tell::give_up();
        }
    }
}
