//! The delay line as the rest of the program sees it: a thread that can be told things.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::JoinHandle,
};

use rustix::event::{EventfdFlags, eventfd};

use injector_common::RuleId;
use injector_plan::line::{LineTable, Model};

use super::{
    Error, Stats,
    clock::{BootClock, Clock},
    stats::Counters,
    worker::{Turn, Worker},
};

/// How much the delay line may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of memory for held frames; used only as needed.
    pub bytes: usize,
    /// Frames at a time.
    pub frames: usize,
}

impl Default for Options {
    /// 64 MiB and half a million frames: half a second of 1 Gbit/s, or six seconds of 80 000 small
    /// datagrams a second.
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            frames: 1 << 19,
        }
    }
}

/// A running delay line. Dropping it loses what it holds; [`DelayLine::flush`] ends it well.
#[derive(Debug)]
pub struct DelayLine {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    counters: Arc<Counters>,
    outcome: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    Change(RuleId, Box<Model>),
    Flush,
    Discard,
}

impl DelayLine {
    /// Starts the thread on a TAP ([`super::Tap::fd`]) with these rules. Any non-blocking descriptor
    /// that reads and writes whole frames serves.
    pub fn spawn(tap: OwnedFd, table: &LineTable, options: &Options) -> Result<Self, Error> {
        let failed = |step| move |source| Error::Start { step, source };
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| failed("making its event descriptor")(errno.into()))?;
        let wake = Arc::new(wake);
        let counters = Arc::new(Counters::default());
        let outcome = Arc::new(Mutex::new(None));
        let (commands, orders) = mpsc::channel();
        let worker = Worker::new(tap, table, options, Arc::clone(&counters), BootClock);
        let thread = std::thread::Builder::new()
            .name("delay-line".into())
            .spawn({
                let (wake, outcome) = (Arc::clone(&wake), Arc::clone(&outcome));
                move || {
                    block_signals();
                    sharpen_timers();
                    let ended = run(worker, &orders, &wake);
                    *outcome.lock().unwrap_or_else(PoisonError::into_inner) =
                        ended.err().map(|error| error.to_string());
                }
            });
        let thread = Some(thread.map_err(failed("starting its thread"))?);
        Ok(Self {
            commands,
            wake,
            counters,
            outcome,
            thread,
        })
    }

    /// Changes what a rule does to frames that come from now on; those that wait keep their times, and the rule what it
    /// remembers.
    pub fn change(&self, rule: RuleId, model: Model) -> Result<(), Error> {
        self.tell(Command::Change(rule, Box::new(model)))
    }

    /// Lets every frame go at once, in order and undamaged, and ends the thread. Call it when nothing
    /// sends frames to the TAP any more, but its ingress program still takes them back. Returns when the
    /// last frame is written.
    pub fn flush(mut self) -> Result<Stats, Error> {
        self.tell(Command::Flush)?;
        let joined = self.thread.take().map(JoinHandle::join);
        if matches!(joined, Some(Err(_))) {
            return Err(Error::Stopped("it panicked".into()));
        }
        match self
            .outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            Some(error) => Err(Error::Stopped(error)),
            None => Ok(self.counters.read()),
        }
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Whether the thread still runs. When it does not, frames sent to the TAP are lost: disarm.
    pub fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    fn tell(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).map_err(|_| self.stopped())?;
        // Only a counter at its end refuses, and then the thread is awake anyway.
        let _ = rustix::io::write(self.wake.as_fd(), &1u64.to_ne_bytes());
        Ok(())
    }

    fn stopped(&self) -> Error {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        Error::Stopped(outcome.clone().unwrap_or_else(|| "it ended early".into()))
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Errors mean that it has ended, which is what is wanted.
            let _ = self.tell(Command::Discard);
            let _ = thread.join();
        }
    }
}

/// Works until told to end.
fn run<C: Clock>(
    mut worker: Worker<C>,
    orders: &Receiver<Command>,
    wake: &OwnedFd,
) -> io::Result<()> {
    loop {
        let turn = worker.turn()?;
        match orders.try_recv() {
            Ok(Command::Change(rule, model)) => worker.change(rule, *model),
            Ok(Command::Flush) => return worker.flush(),
            Ok(Command::Discard) | Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) if turn == Turn::Idle => {
                if worker.wait(wake.as_fd())? {
                    // Clears the event; the command itself is in the channel.
                    let _ = rustix::io::read(wake.as_fd(), &mut [0; 8]);
                }
            }
            Err(TryRecvError::Empty) => {}
        }
    }
}

/// Signals are for the threads that handle them; here they would only interrupt waits.
fn block_signals() {
    // SAFETY: both calls only write the set, which lives on this stack; all zero is a valid set.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// Wakes on time instead of within the usual 50 µs.
fn sharpen_timers() {
    // SAFETY: takes a number and touches no memory. A refusal only costs precision.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delay_line::testing::{self, Peer};
    use injector_plan::line::Model;
    use std::time::{Duration, Instant};

    fn held(latency_ms: u64) -> LineTable {
        let latency = Duration::from_millis(latency_ms);
        LineTable::from_iter([((0, 0), Model::Reorder { latency })])
    }

    fn start(latency_ms: u64) -> (DelayLine, Peer) {
        let (tap, peer) = testing::pair();
        (
            DelayLine::spawn(tap, &held(latency_ms), &Options::default()).unwrap(),
            peer,
        )
    }

    /// Polls until `n` frames have come back.
    fn await_frames(peer: &Peer, n: usize) -> Vec<u32> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut all = Vec::new();
        while all.len() < n {
            assert!(
                Instant::now() < deadline,
                "only {} of {n} frames",
                all.len()
            );
            all.extend(peer.received());
            std::thread::yield_now();
        }
        all
    }

    #[test]
    fn frames_come_back_no_earlier_than_asked() {
        let (line, peer) = start(80);
        let sent = Instant::now();
        for n in 0..20 {
            peer.send(n, 1);
        }
        assert_eq!(await_frames(&peer, 20), (0..20).collect::<Vec<_>>());
        assert!(sent.elapsed() >= Duration::from_millis(80));
        assert_eq!(line.stats().released, 20);
    }

    #[test]
    fn after_a_flush_everything_has_come_back() {
        let (line, peer) = start(60_000);
        for n in 0..30 {
            peer.send(n, 1);
        }
        let stats = line.flush().unwrap();
        assert_eq!(peer.received(), (0..30).collect::<Vec<_>>());
        assert_eq!((stats.frames, stats.released), (30, 30));
    }

    #[test]
    fn a_change_is_for_what_comes_after_it() {
        let (line, peer) = start(60_000);
        peer.send(0, 1);
        let deadline = Instant::now() + Duration::from_secs(10);
        while line.stats().frames == 0 {
            assert!(Instant::now() < deadline, "the first frame is not taken in");
            std::thread::yield_now();
        }
        let latency = Duration::from_millis(1);
        line.change(0, Model::Reorder { latency }).unwrap();
        // The order is taken between two turns, and frames that came before it are held as before.
        let mut sent = 0;
        while peer.received().is_empty() {
            assert!(Instant::now() < deadline, "the change is not heard of");
            sent += 1;
            peer.send(sent, 1);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(line.flush().unwrap().early >= 1);
    }

    #[test]
    fn dropping_the_line_is_quick_and_loses_what_waits() {
        let (line, peer) = start(60_000);
        peer.send(0, 1);
        let before = Instant::now();
        drop(line);
        assert!(before.elapsed() < Duration::from_secs(5));
        assert!(peer.received().is_empty());
    }

    #[test]
    fn a_lost_device_is_noticed_and_said() {
        let (line, peer) = start(10);
        drop(peer);
        let deadline = Instant::now() + Duration::from_secs(10);
        while line.is_running() {
            assert!(
                Instant::now() < deadline,
                "the thread goes on without a device"
            );
            std::thread::yield_now();
        }
        assert!(matches!(line.flush(), Err(Error::Stopped(_))));
    }
}
