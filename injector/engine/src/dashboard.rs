//! The dashboard of a run: a whole terminal that says how the run stands, while it goes on.
//!
//! A [`Board`] takes in the turns of a run and is drawn from memory alone: steps with the one at hand, each probe with its
//! last answers, hits and their rate, limits, lease. A [`Display`] is the terminal: it draws on the alternate screen, so that what
//! was there before is there again behind it, and puts the terminal's mode back however it ends.
//!
//! Invariants:
//! - Only a process that holds nothing of a run has a [`Display`]: the recorder, a command that asks a daemon, and
//!   `injector watch`. A terminal that stands still holds up that process's own thread and no end of a run.
//! - Times are on the boot clock and go on while nothing is said, as the live line's do ([`crate::live`]).
//! - No word is cut: a row says less where there is no room. A name alone may be, with a mark.
//! - The meaning of a colour is written beside it.
//!
//! Rejected: the backend of crossterm. It asks the controlling terminal for size and keys, and the recorder is in a session
//! of its own, without one; and its raw mode takes Ctrl-C, which has to end a run whatever draws. Rejected as well: a
//! layout by constraints. Which section gives way to which is decided by rank here, and tested at each height.

mod ansi;
mod board;
mod display;
mod frame;
mod keys;
mod mode;
mod outline;
mod rows;
mod trace;

pub use board::{Board, Viewer, Wish};
pub use display::Display;
pub use keys::listen;
pub use mode::TerminalMode;
pub(crate) use mode::{is_changed, put_back};
pub use outline::{HeldTo, Outline, ProbeOutline, StepOutline};

use std::os::fd::BorrowedFd;

use ratatui_core::layout::Size;

use crate::tell;

/// Leaves the alternate screen of a terminal for a process that did not.
pub fn leave(output: BorrowedFd<'_>) {
    let _ = tell::write(output, ansi::LEAVE);
}

/// Whether a terminal is large enough.
pub const fn has_room(size: Size) -> bool {
    size.width >= 60 && size.height >= 15
}

#[cfg(test)]
mod tests;
