//! The mode of a terminal: how it was, how the dashboard needs it, and the way back.
//!
//! Keys come at once and are not echoed; Ctrl-C, Ctrl-\ and Ctrl-S mean what they mean everywhere. Ctrl-Z comes as a key,
//! so that the terminal is put back before a command stands still; a run's own command pays no heed to it, as always.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    io::Errno,
    process::getpgrp,
    termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
    },
};

/// The code by which a special character is turned off (`_POSIX_VDISABLE`).
const NO_CHARACTER: u8 = 0;

/// A terminal with the mode that it had.
pub struct TerminalMode {
    terminal: OwnedFd,
    mode: Termios,
}

/// What a display of this process has changed, so that the process can put it back while the display's own thread waits
/// for the terminal.
static CHANGED: Mutex<Option<TerminalMode>> = Mutex::new(None);

impl TerminalMode {
    /// The mode of a terminal now; `None` where it is none, or other programs have it: a job in the background.
    pub fn of(terminal: BorrowedFd<'_>) -> Option<Self> {
        if is_others(terminal) {
            return None;
        }
        Some(Self {
            mode: tcgetattr(terminal).ok()?,
            terminal: terminal.try_clone_to_owned().ok()?,
        })
    }

    /// Lets keys come one by one, until [`put_back`].
    pub(super) fn change(self) -> Result<(), Errno> {
        let mut mode = self.mode.clone();
        mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        mode.special_codes[SpecialCodeIndex::VMIN] = 1;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        mode.special_codes[SpecialCodeIndex::VSUSP] = NO_CHARACTER;
        tcsetattr(&self.terminal, OptionalActions::Now, &mode)?;
        *changed() = Some(self);
        Ok(())
    }

    /// Puts it back where it is another by now, as after a recorder that was killed; whether it was.
    pub fn restore(&self) -> bool {
        if is_others(self.terminal.as_fd()) {
            return false;
        }
        let is_other =
            tcgetattr(&self.terminal).is_ok_and(|now| now.local_modes != self.mode.local_modes);
        if is_other {
            // Waits for nothing: what was written may wait for its reader.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.mode);
        }
        is_other
    }
}

/// Puts back what a display has changed, if one has.
pub(crate) fn put_back() {
    if let Some(changed) = changed().take() {
        let _ = tcsetattr(&changed.terminal, OptionalActions::Now, &changed.mode);
    }
}

/// Whether a display of this process has changed a terminal's mode.
pub(crate) fn is_changed() -> bool {
    changed().is_some()
}

/// A panic elsewhere leaves a whole value.
fn changed() -> std::sync::MutexGuard<'static, Option<TerminalMode>> {
    CHANGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it is this process's controlling terminal, and another job has it in the foreground.
fn is_others(terminal: BorrowedFd<'_>) -> bool {
    tcgetpgrp(terminal).is_ok_and(|foreground| foreground != getpgrp())
}
