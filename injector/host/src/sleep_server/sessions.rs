//! Which runs take part, and how the server hears from them.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::event::{EventfdFlags, eventfd};

use super::Error;

/// How many runs can put threads to sleep at once.
pub(super) const SESSIONS: usize = 64;

/// Says until when the thread in a slot sleeps.
pub(super) type Lookup = Box<dyn Fn(u32) -> Option<u64> + Send>;

/// The runs that take part. A session is known to the server before `take` returns, and so before any
/// program of the run can ask for a page.
pub(super) struct Sessions {
    state: Mutex<State>,
    /// Rings when there is news.
    wakeup: OwnedFd,
}

struct State {
    lookups: [Option<Lookup>; SESSIONS],
    news: News,
}

/// What the server has to do.
#[derive(Default)]
pub(super) struct News {
    /// Runs whose sleepers go on.
    pub(super) left: Vec<usize>,
    /// Whether all sleepers go on.
    pub(super) life: Life,
}

/// Whether the park goes on.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Life {
    /// It does.
    #[default]
    Open,
    /// It ends.
    Closed,
}

impl Sessions {
    pub(super) fn new() -> Result<Self, Error> {
        let wakeup = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(Error::system("make an eventfd"))?;
        Ok(Self {
            state: Mutex::new(State {
                lookups: [const { None }; SESSIONS],
                news: News::default(),
            }),
            wakeup,
        })
    }

    /// Takes the first free session.
    pub(super) fn take(&self, lookup: Lookup) -> Option<usize> {
        let mut state = self.state();
        let number = state.lookups.iter().position(Option::is_none)?;
        state.lookups[number] = Some(lookup);
        Some(number)
    }

    /// Gives a session back; its sleepers go on.
    pub(super) fn leave(&self, number: usize) {
        let mut state = self.state();
        if let Some(session) = state.lookups.get_mut(number) {
            *session = None;
            state.news.left.push(number);
        }
        drop(state);
        self.ring();
    }

    /// Ends the park; all sleepers go on.
    pub(super) fn close(&self) {
        self.state().news.life = Life::Closed;
        self.ring();
    }

    /// Until when the thread in a session's slot sleeps.
    pub(super) fn wake_boot_ns(&self, number: usize, slot: u32) -> Option<u64> {
        let state = self.state();
        state.lookups.get(number)?.as_ref()?(slot)
    }

    /// What has happened since it was asked last.
    pub(super) fn news(&self) -> News {
        let mut state = self.state();
        News {
            left: std::mem::take(&mut state.news.left),
            life: state.news.life,
        }
    }

    /// The descriptor to wait on; readable when there is news.
    pub(super) fn wakeup(&self) -> impl AsFd + '_ {
        &self.wakeup
    }

    /// Makes the wakeup silent again; to be called before the news is asked for.
    pub(super) fn hush(&self) {
        // It may be silent already.
        let _ = rustix::io::read(&self.wakeup, &mut [0_u8; 8]);
    }

    fn ring(&self) {
        // Fails only when it rings already, 2^64 times.
        let _ = rustix::io::write(&self.wakeup, &1_u64.to_ne_bytes());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
