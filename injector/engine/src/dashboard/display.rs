//! A terminal that shows a board, from the first picture to the screen from before.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui_core::terminal::Terminal;

use super::{
    Board,
    ansi::{self, Ansi, ENTER, LEAVE},
    has_room,
    mode::{self, TerminalMode},
};
use crate::tell;

/// The alternate screen of a terminal. Dropped, it puts back what was there.
pub struct Display {
    terminal: Terminal<Ansi>,
    output: File,
    is_over: Arc<AtomicBool>,
}

impl Display {
    /// Takes the terminal: pictures go to `output`, keys come from `keys`. `None` where it cannot be had: it is too
    /// small, or no terminal, or another job's.
    pub fn open(output: BorrowedFd<'_>, keys: BorrowedFd<'_>) -> Option<Self> {
        let file = || Some(File::from(output.try_clone_to_owned().ok()?));
        let output = file()?;
        if !ansi::size(&output).is_ok_and(has_room) {
            return None;
        }
        TerminalMode::of(keys)?.change().ok()?;
        let entered = tell::write(output.as_fd(), ENTER);
        let terminal = file().and_then(|file| Terminal::new(Ansi::new(file)).ok());
        let (Some(terminal), Ok(())) = (terminal, entered) else {
            mode::put_back();
            return None;
        };
        Some(Self {
            terminal,
            output,
            is_over: Arc::new(AtomicBool::new(false)),
        })
    }

    /// What says that no keys are wanted any more.
    pub fn is_over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_over)
    }

    /// Draws what has changed, on a terminal of whatever size it has by now. Waits for the terminal.
    pub fn draw(&mut self, board: &Board, now_ns: u64) -> io::Result<()> {
        self.terminal
            .draw(|frame| board.draw(now_ns, frame.area(), frame.buffer_mut()))
            .map(drop)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // The mode first: it waits for no reader.
        mode::put_back();
        let _ = tell::write(self.output.as_fd(), LEAVE);
    }
}
