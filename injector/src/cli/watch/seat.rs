//! A person's seat before a dashboard that this process draws: what is shown, and what they want by a key.
//!
//! While it is taken, what this command tells waits; it is written to the screen that comes back.

use std::{
    future::pending,
    io::{stderr, stdin, stdout},
    os::fd::AsFd,
    time::Duration,
};

use rustix::process::{Signal, kill_current_process_group};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use injector_engine::{
    dashboard::{self, Board, Display, Outline, Viewer, Wish},
    page::Look,
    tell,
    worker::{Output, Showing},
};
use injector_host::kernel::clock::boot_ns;
use injector_record::event::RunEvent;
use injector_spec::{error::Refusal, experiment::Experiment, quantity::duration::nanos};

/// How often it is tried to take a terminal that was given up.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// A seat, taken or not.
pub(in crate::cli) struct Seat {
    /// `None` where there is no dashboard, and will be none.
    board: Option<Board>,
    display: Option<Display>,
    /// When it was tried last to take the terminal, on the boot clock, in nanoseconds.
    tried_ns: u64,
    heard: UnboundedReceiver<u8>,
    keys: UnboundedSender<u8>,
}

impl Seat {
    /// The seat of the command whose run it is; it is taken once the run is armed.
    pub(in crate::cli) fn for_run(
        experiment: &Experiment,
        output: Output,
        showing: Showing,
    ) -> Self {
        let outline = Outline::of(experiment);
        let is_wanted =
            (output, showing) == (Output::Text, Showing::Dashboard) && outline.has_much_to_show();
        let board = Board::new(outline, Viewer::Owner, boot_ns());
        Self::empty((is_wanted && is_at_a_terminal()).then_some(board))
    }

    /// A seat that is taken at once, where the terminal and the person let it.
    pub(super) fn new(board: Board, showing: Showing) -> Self {
        let is_wanted = showing == Showing::Dashboard && is_at_a_terminal();
        let mut seat = Self::empty(is_wanted.then_some(board));
        seat.take();
        if !seat.is_taken() {
            seat.board = None;
        }
        seat
    }

    fn empty(board: Option<Board>) -> Self {
        let (keys, heard) = mpsc::unbounded_channel();
        Self {
            board,
            display: None,
            tried_ns: 0,
            heard,
            keys,
        }
    }

    /// Whether the dashboard is there.
    pub(super) const fn is_taken(&self) -> bool {
        self.display.is_some()
    }

    fn take(&mut self) {
        if self.board.is_none() {
            return;
        }
        self.tried_ns = boot_ns();
        tell::hold();
        let (output, input) = (stdout(), stdin());
        self.display = Display::open(output.as_fd(), input.as_fd());
        let listened = self.display.as_ref().and_then(|display| {
            let input = input.as_fd().try_clone_to_owned().ok()?;
            let keys = self.keys.clone();
            dashboard::listen(input, display.is_over(), move |key| {
                let _ = keys.send(key);
            });
            Some(())
        });
        if listened.is_none() {
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.display = None;
        tell::let_go();
    }

    /// Takes the terminal where another job has it no more, or where it is large enough again; tries once in a while.
    pub(super) fn take_again(&mut self, now_ns: u64) {
        let is_due = now_ns.saturating_sub(self.tried_ns) >= nanos(TRY_EVERY);
        if self.display.is_none() && is_due {
            self.take();
            self.draw();
        }
    }

    /// Takes a turn in.
    pub(in crate::cli) fn turn(&mut self, event: &RunEvent) {
        let Some(board) = &mut self.board else { return };
        let was_armed = board.is_armed();
        board.turn(event);
        if !was_armed && board.is_armed() && self.display.is_none() {
            self.take();
            if self.display.is_none() {
                self.board = None;
            }
        }
    }

    /// Draws what has changed.
    pub(in crate::cli) fn draw(&mut self) {
        if let (Some(board), Some(display)) = (&self.board, &mut self.display)
            && display.draw(board, boot_ns()).is_err()
        {
            self.leave();
        }
    }

    /// Waits for what the person wants.
    pub(in crate::cli) async fn wish(&mut self) -> Wish {
        loop {
            // There is a sender as long as there is a seat.
            let Some(key) = self.heard.recv().await else {
                pending::<()>().await;
                continue;
            };
            let wish = self.board.as_mut().and_then(|board| board.key(key));
            self.draw();
            if let Some(wish) = wish {
                return wish;
            }
        }
    }

    /// Stands still as by Ctrl-Z, on the screen from before, until the shell lets the job go on.
    pub(super) fn suspend(&mut self) {
        self.leave();
        let _ = kill_current_process_group(Signal::TSTP);
        self.take();
    }

    /// Says why the run goes on.
    pub(super) fn not_halted(&mut self, refusal: &Refusal) {
        if let Some(board) = &mut self.board {
            board.go_on();
            board.remember(refusal.to_string());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.is_taken() {
            self.leave();
        }
    }
}

/// Whether one terminal, which takes control sequences, has all three streams.
fn is_at_a_terminal() -> bool {
    let (input, output, aside) = (stdin(), stdout(), stderr());
    matches!(Look::of(&output), Look::Full(_))
        && tell::is_one_file(output.as_fd(), input.as_fd())
        && tell::is_one_file(output.as_fd(), aside.as_fd())
}
