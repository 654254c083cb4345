//! The terminal as the writer's thread shows it: lines with a live line below them, or a dashboard.
//!
//! While a dashboard is there, pages and texts wait; they are written, in their order, to the screen that comes back behind
//! it. So what is left on the terminal is the same with a dashboard and without.

use std::{fs::File, os::fd::AsFd as _, sync::Arc};

use rustix::process::{Pid, Signal, getppid, kill_process};

use super::writer::SharedSlot;
use crate::dashboard::{self, Board, Display, Wish};
use injector_host::kernel::clock::boot_ns;

/// Where a dashboard may be.
pub(super) struct Stage {
    /// Where keys come from; `None` where there can be no dashboard.
    keys: Option<File>,
    display: Option<Display>,
    /// The process whose run it is.
    owner: Option<Pid>,
}

impl Stage {
    pub(super) fn new(keys: Option<File>) -> Self {
        Self {
            keys,
            display: None,
            owner: getppid(),
        }
    }

    /// Whether a dashboard is there.
    pub(super) const fn is_set(&self) -> bool {
        self.display.is_some()
    }

    /// Whether a dashboard may come yet.
    pub(super) const fn may_be_set(&self) -> bool {
        self.keys.is_some()
    }

    /// Shows the board, where it can be; says whether it does. What cannot be at first is not tried again.
    pub(super) fn show(&mut self, output: &File, board: &Board, slot: &SharedSlot) -> bool {
        if self.display.is_none()
            && board.is_armed()
            && let Some(keys) = self.keys.take()
        {
            self.open(output, keys, slot);
        }
        let Some(display) = &mut self.display else {
            return false;
        };
        if display.draw(board, boot_ns()).is_err() {
            self.close();
        }
        self.is_set()
    }

    fn open(&mut self, output: &File, keys: File, slot: &SharedSlot) {
        self.display = Display::open(output.as_fd(), keys.as_fd());
        let Some(display) = &self.display else { return };
        // The thread that waits for a key keeps nothing alive.
        let (slot, owner) = (Arc::downgrade(slot), self.owner);
        dashboard::listen(keys.into(), display.is_over(), move |key| {
            match slot.upgrade().and_then(|slot| slot.key(key)) {
                Some(Wish::Halt) => end(owner),
                // The owner's dashboard stays with its run, and its command does not stand still.
                Some(Wish::Leave | Wish::Suspend) | None => {}
            }
        });
    }

    /// Puts back what was there before.
    pub(super) fn close(&mut self) {
        self.display = None;
    }
}

/// Asks for the end of the run as Ctrl-C does. A parent that has died meanwhile is another process now.
fn end(owner: Option<Pid>) {
    if let Some(owner) = owner.filter(|owner| getppid() == Some(*owner)) {
        let _ = kill_process(owner, Signal::INT);
    }
}
