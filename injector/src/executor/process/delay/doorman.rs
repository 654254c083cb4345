//! Answers the kernel: at once where it is about somebody else, later where it is about a target.
//!
//! Others wait for this thread, so it waits for nobody: it takes no lock that is held for longer than a copy,
//! and touches no file but /proc. It answers everything at once when the lease is over; when this process is
//! stopped, its supervisor kills it, and the kernel lets everybody through.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use injector_common::{
    call::CallRule,
    glob,
    rule::{Counters, Rule},
};
use procfs::process::Process;
use rustix::event::{EventfdFlags, eventfd};

use crate::{
    executor::process::choice::Choice,
    kernel::{
        Error,
        clock::boot_ns,
        fanotify::{Listener, Question},
    },
    target::process::{self, TaskKey},
    watchdog::Pulse,
};

/// How often it looks at the lease, and whether those that wait still live.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How many wait at most, for all faults of this process together. Each takes a descriptor, of which a process
/// usually has 1024; where none is left the kernel answers by itself, and says no.
const MOST: usize = 512;

/// How many wait now.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Who is a target.
#[derive(Debug)]
pub(super) enum Whom {
    /// Everything in this cgroup, by its path from the root of the hierarchy.
    Cgroup(PathBuf),
    /// The processes that it was told of.
    Processes,
}

/// What a doorman is to do.
pub(super) struct Orders {
    pub(super) whom: Whom,
    /// Pattern of the thread's name.
    pub(super) thread: Option<Vec<u8>>,
    pub(super) rule: Rule,
    pub(super) record: CallRule,
    pub(super) pulse: Pulse,
}

/// A thread that answers, and what it shares with the run.
#[derive(Debug)]
pub(super) struct Doorman {
    listener: Arc<Listener>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    is_over: AtomicBool,
    /// Wakes it.
    wake: OwnedFd,
    members: Mutex<HashSet<TaskKey>>,
    choice: Mutex<Choice>,
}

/// Somebody who waits; let through when dropped.
struct Waiting {
    question: Question,
    _place: Place,
}

/// One of [`MOST`].
struct Place;

impl Doorman {
    pub(super) fn start(orders: Orders) -> Result<Self, Error> {
        let listener = Arc::new(Listener::new()?);
        let wake = eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(|errno| Error::system("make an eventfd", errno))?;
        let shared = Arc::new(Shared {
            is_over: AtomicBool::new(false),
            wake,
            members: Mutex::default(),
            choice: Mutex::default(),
        });
        let thread = std::thread::Builder::new()
            .name("doorman".into())
            .spawn({
                let (listener, shared) = (Arc::clone(&listener), Arc::clone(&shared));
                move || {
                    // The run sees at its next look that this thread has ended, and ends too.
                    let _ended = answer(&orders, &listener, &shared);
                }
            })
            .map_err(|error| Error::system("start a thread that answers", error))?;
        Ok(Self {
            listener,
            shared,
            thread: Some(thread),
        })
    }

    /// Where marks are made.
    pub(super) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Whether it still answers.
    pub(super) fn is_there(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Who is a target from now on.
    pub(super) fn know(&self, members: Vec<TaskKey>) {
        *lock(&self.shared.members) = members.into_iter().collect();
    }

    /// What it has done so far.
    pub(super) fn counters(&self) -> Counters {
        lock(&self.shared.choice).counters
    }

    /// Lets everybody through, and is gone.
    pub(super) fn end(mut self) -> Counters {
        self.stop();
        self.counters()
    }

    fn stop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Where it cannot be woken it looks within `LOOK_EVERY`.
        let _ = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed, and has let everybody through.
            let _ = thread.join();
        }
    }
}

impl Drop for Doorman {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Answers until it is over.
fn answer(orders: &Orders, listener: &Listener, shared: &Shared) -> Result<(), Error> {
    // By when each is let through, and which came first.
    let mut waiting: BTreeMap<(u64, u64), Waiting> = BTreeMap::new();
    let mut number = 0;
    while !shared.is_over.load(Ordering::Relaxed) {
        let now = boot_ns();
        let is_live = orders.pulse.is_live();
        waiting.retain(|(due, _), one| is_live && *due > now && one.is_alive());
        let next = waiting.keys().next().map_or(u64::MAX, |(due, _)| due - now);
        listener.wait(
            LOOK_EVERY.min(Duration::from_nanos(next)),
            Some(&shared.wake),
        )?;
        for question in listener.questions()? {
            if !orders.pulse.is_live() {
                continue;
            }
            if let Some((ns, place)) = orders.delay(question.thread(), shared) {
                number += 1;
                let one = Waiting {
                    question,
                    _place: place,
                };
                waiting.insert((boot_ns().saturating_add(ns), number), one);
            }
        }
    }
    Ok(())
}

impl Orders {
    /// For how long a thread is to wait, if it is.
    fn delay(&self, thread: u32, shared: &Shared) -> Option<(u64, Place)> {
        if !self.is_target(thread, shared) {
            return None;
        }
        let mut choice = lock(&shared.choice);
        choice.counters.seen += 1;
        if !self.is_named(thread) || !choice.falls_on(&self.rule, 0) {
            return None;
        }
        let Some(place) = Place::take() else {
            choice.counters.missed += 1;
            return None;
        };
        let ns = self
            .record
            .sleep_of(self.rule.seed, choice.counters.matched);
        choice.counters.hit_at(boot_ns());
        Some((ns, place))
    }

    fn is_target(&self, thread: u32, shared: &Shared) -> bool {
        let Some(process) = process_of(thread) else {
            return false;
        };
        if process == std::process::id() {
            return false;
        }
        match &self.whom {
            Whom::Cgroup(path) => is_in(thread, path),
            Whom::Processes => {
                let members = lock(&shared.members);
                members
                    .iter()
                    .any(|key| key.tgid == process && key.is_alive())
            }
        }
    }

    fn is_named(&self, thread: u32) -> bool {
        let Some(pattern) = &self.thread else {
            return true;
        };
        let name = fs::read(format!("/proc/{thread}/comm")).unwrap_or_default();
        glob::matches(pattern, name.trim_ascii_end())
    }
}

/// The process of a thread.
fn process_of(thread: u32) -> Option<u32> {
    let status = Process::new(i32::try_from(thread).ok()?)
        .ok()?
        .status()
        .ok()?;
    u32::try_from(status.tgid).ok()
}

fn is_in(thread: u32, path: &Path) -> bool {
    process::cgroup(thread).is_ok_and(|cgroup| cgroup.starts_with(path))
}

impl Waiting {
    /// Whether anybody is there still. A question that nobody waits for takes a place for nothing.
    fn is_alive(&self) -> bool {
        Path::new(&format!("/proc/{}", self.question.thread())).exists()
    }
}

impl Place {
    fn take() -> Option<Self> {
        let less = |taken: usize| (taken < MOST).then_some(taken + 1);
        let taken = WAITING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok().then_some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
