//! The loop: take frames in, let due ones go, sleep until either is possible again.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use injector_common::{RuleId, frame::ETHERNET, lease::LEASE_NS};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    clock::Clock,
    handle::Options,
    rules::{Fate, Release, Rules},
    segment::{self, Scratch},
    stats::{Counters, add, count},
    store::{At, Store},
    tap::QUEUE,
    vnet::VNET,
    wheel::{TICK_NS, Wheel},
};
use injector_plan::line::{LineTable, Model};

/// The most frames taken in, and the most let go, before the other has its turn.
const BATCH: usize = 32;

/// A worker that sleeps for longer would not notice that it was stopped. Well below a lease.
const HEARTBEAT_NS: u64 = LEASE_NS / 4;

/// How long the kernel may refuse a frame before it counts as lost. A TAP never does.
const WRITABLE_WITHIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// A frame that waits.
#[derive(Clone, Copy)]
struct Held {
    at: At,
    damage: Option<u64>,
}

/// All that the thread works with.
pub(super) struct Worker<C> {
    tap: OwnedFd,
    clock: C,
    rules: Rules,
    wheel: Wheel<Held>,
    store: Store,
    /// Frames that find no room are read into it and forgotten.
    overflow: Box<[u8]>,
    scratch: Scratch,
    counters: Arc<Counters>,
    /// When the worker was last seen awake.
    awake: u64,
}

/// Whether there may be more to do without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Yes.
    Busy,
    /// The TAP is empty and nothing is due.
    Idle,
}

impl<C: Clock> Worker<C> {
    pub(super) fn new(
        tap: OwnedFd,
        table: &LineTable,
        options: &Options,
        counters: Arc<Counters>,
        clock: C,
    ) -> Self {
        let awake = clock.now();
        Self {
            tap,
            rules: Rules::new(table),
            wheel: Wheel::new(options.frames, awake),
            store: Store::new(options.bytes),
            overflow: vec![0; super::vnet::LARGEST].into_boxed_slice(),
            scratch: Scratch::new(),
            counters,
            awake,
            clock,
        }
    }

    /// Lets some due frames go and takes some new ones in.
    pub(super) fn turn(&mut self) -> io::Result<Turn> {
        let now = self.clock.now();
        let slept = now.saturating_sub(self.awake);
        self.awake = now;
        if slept > LEASE_NS {
            self.discard_queue()?;
        }
        let released = self.release_due(now);
        let taken = self.take_in()?;
        Ok(if released < BATCH && taken < BATCH {
            Turn::Idle
        } else {
            Turn::Busy
        })
    }

    /// Changes what a rule does from now on.
    pub(super) fn change(&mut self, rule: RuleId, model: Model) {
        self.rules.change(rule, model);
    }

    /// Sleeps until the TAP has a frame, a frame is due, or `wake` is readable, which it reports.
    pub(super) fn wait(&mut self, wake: BorrowedFd<'_>) -> io::Result<bool> {
        let now = self.clock.now();
        let due = self.wheel.next_ns().unwrap_or(u64::MAX).saturating_sub(now);
        let timeout = Duration::from_nanos(due.min(HEARTBEAT_NS));
        // Half a second at most, so both parts fit.
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut ready = [
            PollFd::from_borrowed_fd(self.tap.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(wake, PollFlags::IN),
        ];
        match poll(&mut ready, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(ready[1].revents().contains(PollFlags::IN))
    }

    /// Lets all frames go, undamaged and in order: those that wait, then those in the TAP's queue.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        while let Some((due, held)) = self.wheel.pop_any() {
            if due > now {
                count(&self.counters.early);
            }
            self.give_back(Held {
                damage: None,
                ..held
            });
        }
        // A full queue at most: should the kernel side still send, this ends all the same.
        for _ in 0..QUEUE {
            let Some(len) = read(self.tap.as_fd(), &mut self.overflow)? else {
                break;
            };
            self.count_in(len);
            let frame = &self.overflow[..len];
            write(self.tap.as_fd(), frame, &self.counters, Written::Frame);
        }
        Ok(())
    }

    /// Lets at most a batch of due frames go; what is overdue by a lease is lost instead, because the
    /// faults have ended meanwhile.
    fn release_due(&mut self, now: u64) -> usize {
        let mut released = 0;
        while released < BATCH
            && let Some((due, held)) = self.wheel.pop(now)
        {
            if now - due > LEASE_NS {
                count(&self.counters.late);
                self.store.release(held.at);
            } else {
                self.give_back(held);
            }
            released += 1;
        }
        released
    }

    fn give_back(&mut self, held: Held) {
        let (tap, counters) = (self.tap.as_fd(), &*self.counters);
        let frame = self.store.frame(held.at);
        match held.damage {
            None => write(tap, frame, counters, Written::Frame),
            Some(draw) => {
                count(&counters.damaged);
                segment::damage(frame, draw, &mut self.scratch, |segment, last| {
                    let what = if last { Written::Frame } else { Written::Part };
                    write(tap, segment, counters, what);
                });
            }
        }
        self.store.release(held.at);
    }

    /// Takes at most a batch of frames in.
    fn take_in(&mut self) -> io::Result<usize> {
        for taken in 0..BATCH {
            let wheel = &mut self.wheel;
            let room = self.store.make_room(|key, at| {
                if let Some(held) = wheel.get_mut(key) {
                    held.at = at;
                }
            });
            let buffer = if room {
                self.store.room()
            } else {
                &mut *self.overflow
            };
            let Some(len) = read(self.tap.as_fd(), buffer)? else {
                return Ok(taken);
            };
            self.count_in(len);
            if len < VNET + ETHERNET {
                count(&self.counters.foreign);
            } else if room {
                self.hold(len);
            } else {
                count(&self.counters.overflowed);
            }
        }
        Ok(BATCH)
    }

    /// Decides about the frame that was read into the store's room.
    fn hold(&mut self, len: usize) {
        let now = self.clock.now();
        let counters = &*self.counters;
        let frame = &mut self.store.room()[..len];
        let publish = |rule, look_ups| counters.set_dns(rule, look_ups);
        match self.rules.decide(frame, now, publish) {
            Fate::QueueFull => count(&counters.queue_full),
            Fate::LookUpLost => {}
            Fate::Release(Release {
                at,
                len,
                damage: None,
            }) if at <= now && self.wheel.next_ns().is_none_or(|next| next > now + TICK_NS) => {
                // What is due by now may still wait for its tick: then this one takes its turn behind it.
                write(self.tap.as_fd(), &frame[..len], counters, Written::Frame);
            }
            Fate::Release(Release { at, len, damage }) => {
                let held = Held {
                    at: self.store.next_at(),
                    damage,
                };
                match self.wheel.insert(at, held) {
                    Some(key) => self.store.commit(len, key),
                    None => count(&counters.overflowed),
                }
            }
        }
    }

    /// After a gap, the worker cannot know how long frames have been in the TAP's queue; all of them are lost.
    fn discard_queue(&mut self) -> io::Result<()> {
        for _ in 0..QUEUE {
            let Some(len) = read(self.tap.as_fd(), &mut self.overflow)? else {
                break;
            };
            self.count_in(len);
            count(&self.counters.late);
        }
        Ok(())
    }

    fn count_in(&self, len: usize) {
        count(&self.counters.frames);
        add(&self.counters.bytes, len.saturating_sub(VNET) as u64);
    }
}

/// What a write gives back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// A whole frame, or the last part of one.
    Frame,
    /// A segment that others follow.
    Part,
}

/// Reads a frame; `None` if there is none. One that the buffer cannot hold is cut by the TAP, which then
/// tells its whole length (drivers/net/tun.c, `tun_put_user`); of that nothing is kept.
fn read(tap: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match rustix::io::read(tap, &mut *buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) if len > buffer.len() => return Ok(Some(1)),
            Ok(len) => return Ok(Some(len)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Writes a frame and counts what became of it.
fn write(tap: BorrowedFd<'_>, frame: &[u8], counters: &Counters, what: Written) {
    let mut written = rustix::io::write(tap, frame);
    if matches!(written, Err(Errno::AGAIN | Errno::INTR)) {
        // The write that follows says what came of the wait.
        let _ = poll(
            &mut [PollFd::from_borrowed_fd(tap, PollFlags::OUT)],
            Some(&WRITABLE_WITHIN),
        );
        written = rustix::io::write(tap, frame);
    }
    match (written, what) {
        (Ok(_), Written::Frame) => count(&counters.released),
        (Ok(_), Written::Part) => {}
        (Err(_), _) => count(&counters.write_errors),
    }
}

#[cfg(test)]
mod tests;
