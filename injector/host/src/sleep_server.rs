//! Where threads of a target sleep, without burning CPU and without anything that outlives this process.
//!
//! BPF cannot sleep. A sleepable BPF program may read another process's memory, though, and where that
//! is a page of a FUSE file, the thread waits until the file's server answers. Three roles:
//!
//! - the *page holder* ([`page_holder`]), a process that maps the file and does nothing else, for ever;
//! - the *server* ([`server`]), a thread here that answers each read when the sleeper's time has come, with
//!   an error, so that no page is ever kept and every sleep asks again;
//! - the *sleeper*, whose BPF program writes down until when, and faults (`injector-ebpf/src/park.rs`).
//!
//! Invariants:
//! - No thread of this process ever waits for the server: one that did could not be killed, and would
//!   keep `/dev/fuse` open meanwhile. The page holder opens the file, and programs refuse to let us sleep.
//! - `/dev/fuse` is open here and nowhere else. When this process dies, the kernel ends the connection and
//!   every sleeper goes on (fs/fuse/dev.c, `fuse_dev_release`).
//! - The file system is mounted nowhere: it goes with the last descriptor.
//! - A sleeper that gets a signal goes on at once (`FUSE_INTERRUPT`), so it can always be killed.
//! - The page holder's memory map never changes while a thread sleeps, for the sleeper holds its lock.
//!
//! Rejected: userfaultfd (the fault comes without `FAULT_FLAG_ALLOW_RETRY`, so it is answered with SIGBUS);
//! the page holder as a thread or fork of the worker (its allocations would wait for sleepers); SIGSTOP (stops
//! whole processes, and their parents see it); a busy loop (burns the CPU that others need).

mod error;
mod mount;
pub mod page_holder;
mod protocol;
mod queue;
mod server;
mod sessions;
pub mod trial;

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::JoinHandle,
};

use injector_common::park::{Park as Record, SLOTS};
use rustix::process::getpid;

pub use error::Error;
use page_holder::PageHolder;
use server::Server;
use sessions::{SESSIONS, Sessions};

use crate::targets::process::is_in_initial_pid_namespace;

/// A running sleep server. Closed when dropped: all sleepers go on, and no thread sleeps any more.
pub struct SleepServer {
    sessions: Arc<Sessions>,
    // Dropped in this order: the server ends before the page holder.
    server: Option<JoinHandle<()>>,
    page_holder: PageHolder,
    page_bytes: u32,
}

/// A run's part of the sleep server. When it is dropped, the run's sleepers go on.
pub struct Session {
    sleep_server: Arc<SleepServer>,
    number: usize,
}

impl SleepServer {
    /// Mounts the file system and starts server and page holder.
    pub fn start() -> Result<Self, Error> {
        // BPF programs know the ids of the initial namespace alone (kernel/bpf/helpers.c, `bpf_task_from_pid`).
        if !is_in_initial_pid_namespace() {
            return Err(Error::PidNamespace);
        }
        let page_bytes = rustix::param::page_size();
        let (device, mount) = mount::mount()?;
        let sessions = Arc::new(Sessions::new()?);
        let server = Server::new(device, Arc::clone(&sessions), page_bytes).start()?;
        let page_holder = match PageHolder::start(mount, SESSIONS * SLOTS as usize * page_bytes) {
            Ok(page_holder) => page_holder,
            Err(error) => {
                end(&sessions, server);
                return Err(error);
            }
        };
        Ok(Self {
            sessions,
            server: Some(server),
            page_holder,
            page_bytes: u32::try_from(page_bytes).unwrap_or(0),
        })
    }

    /// This process's sleep server, started by the first run that asks and closed by the last that lets go.
    pub fn shared() -> Result<Arc<Self>, Error> {
        static SHARED: Mutex<Weak<SleepServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade().filter(|running| running.is_serving()) {
            return Ok(running);
        }
        let started = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// Whether sleepers are still served: root can abort the connection, and the page holder can be killed. Then
    /// no thread sleeps any more, and those that did go on.
    pub fn is_serving(&self) -> bool {
        self.page_holder.is_alive()
            && self
                .server
                .as_ref()
                .is_some_and(|server| !server.is_finished())
    }

    /// Takes part. `wake_boot_ns` says until when the thread in a slot sleeps, on the boot clock in
    /// nanoseconds; it is asked on the server's thread, and `None` wakes it at once.
    pub fn session(
        self: &Arc<Self>,
        wake_boot_ns: impl Fn(u32) -> Option<u64> + Send + 'static,
    ) -> Result<Session, Error> {
        let number = self
            .sessions
            .take(Box::new(wake_boot_ns))
            .ok_or(Error::Full(SESSIONS))?;
        Ok(Session {
            sleep_server: Arc::clone(self),
            number,
        })
    }

    /// Wakes all sleepers and ends.
    pub fn close(self) {}
}

impl Drop for SleepServer {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            end(&self.sessions, server);
        }
    }
}

impl Session {
    /// What the run's BPF programs need to know (`Maps::write_park`).
    pub fn record(&self) -> Record {
        let bytes = self.number as u64 * u64::from(SLOTS) * u64::from(self.sleep_server.page_bytes);
        Record {
            base: self.sleep_server.page_holder.base() + bytes,
            holder: self.sleep_server.page_holder.pid(),
            server: getpid().as_raw_nonzero().get().cast_unsigned(),
            slots: SLOTS,
            page_bytes: self.sleep_server.page_bytes,
        }
    }

    /// The sleep server, to ask whether it is still there.
    pub fn sleep_server(&self) -> &SleepServer {
        &self.sleep_server
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sleep_server.sessions.leave(self.number);
    }
}

fn end(sessions: &Sessions, server: JoinHandle<()>) {
    sessions.close();
    // A server that panicked has closed the device as well.
    let _ = server.join();
}
