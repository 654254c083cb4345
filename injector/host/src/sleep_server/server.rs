//! Answers the faults of sleepers when their time has come. One thread, no allocation of threads for
//! requests: a queue ordered by time, and `poll(2)`.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    thread::JoinHandle,
};

use injector_common::park::{MAX_SLEEP_NS, SLOTS};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    Error,
    protocol::{self, Numbered, Request},
    queue::Queue,
    sessions::{Life, Sessions},
};
use crate::kernel::clock::boot_ns;

/// The longest wait while a thread sleeps: the clock that `poll(2)` waits by stands still while the machine
/// is suspended, and the boot clock does not.
const LOOK_AGAIN_NS: u64 = 250_000_000;

/// How many requests are read before the queue is looked at again.
const BATCH: usize = 64;

/// The server of one file system.
pub(super) struct Server {
    device: OwnedFd,
    sessions: Arc<Sessions>,
    page_bytes: u64,
    queue: Queue,
    buffer: Vec<u8>,
}

/// Whether the file system is still there.
#[derive(PartialEq, Eq)]
enum Connection {
    Up,
    Down,
}

impl Server {
    /// A server behind `/dev/fuse`, which does not block.
    pub(super) fn new(device: OwnedFd, sessions: Arc<Sessions>, page_bytes: usize) -> Self {
        Self {
            device,
            sessions,
            page_bytes: page_bytes.max(1) as u64,
            queue: Queue::default(),
            buffer: vec![0; protocol::REQUEST_BYTES],
        }
    }

    /// Serves on a thread of its own, until the park is closed or the connection is gone. The device is closed
    /// with the thread, whatever ends it.
    pub(super) fn start(mut self) -> Result<JoinHandle<()>, Error> {
        std::thread::Builder::new()
            .name("park".into())
            .spawn(move || while self.turn() == Connection::Up {})
            .map_err(Error::system("start a thread"))
    }

    /// Does what is due, then waits for more.
    fn turn(&mut self) -> Connection {
        self.sessions.hush();
        let news = self.sessions.news();
        let closed = news.life == Life::Closed;
        for unique in self
            .queue
            .clear(|session| closed || news.left.contains(&session))
        {
            self.wake(unique);
        }
        while let Some(unique) = self.queue.next_due(boot_ns()) {
            self.wake(unique);
        }
        if closed || self.wait() == Connection::Down {
            return Connection::Down;
        }
        for _ in 0..BATCH {
            match rustix::io::read(&self.device, &mut self.buffer[..]) {
                Ok(0) | Err(Errno::NODEV) => return Connection::Down,
                Ok(length) => self.serve(length),
                Err(Errno::AGAIN) => break,
                // The thread that asked has given up before we could read it (fs/fuse/dev.c, `fuse_dev_do_read`).
                Err(Errno::NOENT | Errno::INTR) => {}
                Err(_) => return Connection::Down,
            }
        }
        Connection::Up
    }

    fn wait(&self) -> Connection {
        let timeout = self.queue.next_wake().map(|wake| {
            let left = wake.saturating_sub(boot_ns()).min(LOOK_AGAIN_NS);
            Timespec {
                tv_sec: 0,
                tv_nsec: left.cast_signed(),
            }
        });
        let wakeup = self.sessions.wakeup();
        let mut descriptors = [
            PollFd::new(&self.device, PollFlags::IN),
            PollFd::from_borrowed_fd(wakeup.as_fd(), PollFlags::IN),
        ];
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Connection::Up,
            Err(_) => Connection::Down,
        }
    }

    fn serve(&mut self, length: usize) {
        let Some(numbered) = self.buffer.get(..length).and_then(protocol::parse) else {
            return;
        };
        match numbered.request {
            Request::Read(offset) => self.lull(numbered, offset),
            Request::Interrupt(of) => {
                if self.queue.remove(of) {
                    self.wake(of);
                }
            }
            _ => {
                if let Some(bytes) = protocol::answer(numbered) {
                    self.send(&bytes);
                }
            }
        }
    }

    /// Keeps a thread that asks for a page until its time has come. One that has not said until when is no sleeper.
    fn lull(&mut self, Numbered { unique, .. }: Numbered, offset: u64) {
        let page = offset / self.page_bytes;
        let slot = u32::try_from(page % u64::from(SLOTS)).unwrap_or(0);
        let session = usize::try_from(page / u64::from(SLOTS)).unwrap_or(usize::MAX);
        match self.sessions.wake_boot_ns(session, slot) {
            Some(wake) => {
                let latest = boot_ns().saturating_add(MAX_SLEEP_NS);
                self.queue.add(unique, wake.min(latest), session);
            }
            None => self.wake(unique),
        }
    }

    fn wake(&self, unique: u64) {
        self.send(&protocol::wake(unique));
    }

    /// A sleeper that was killed meanwhile is gone (ENOENT), and so is one of a connection that was aborted.
    fn send(&self, bytes: &[u8]) {
        let _ = rustix::io::write(&self.device, bytes);
    }
}

#[cfg(test)]
mod tests;
