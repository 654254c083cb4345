//! The supervisor: the process that a person starts, which starts the others and outlives them.
//!
//! Every command that arms is a supervisor. Its children are the worker, which does all the work, the guardian, which
//! can undo what the worker has changed, and the recorder, which writes to disks and terminals for all of them. The
//! supervisor holds copies of what must not vanish with the worker (TAPs, journals, namespaces), listens for its
//! heartbeat, and kills it when its heartbeats stop. It has no runtime and no BPF, and it writes to nothing: it cannot hang.
//!
//! Order when the worker dies: its links are gone with it, so nothing is redirected any more; the guardian undoes host
//! settings; then the TAPs are closed; then the recorder closes the journals.
//!
//! Rejected: doing the work in the process that the person started, with another that cleans up. That one is
//! killed first by the same mistake, and the person's shell would hold the wrong process.

pub(crate) mod clean;
pub mod link;
mod notify;
mod signals;

use std::{
    io,
    os::fd::AsFd,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use injector_common::lease::LEASE_NS;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
};

use crate::tell;
use crate::{
    channel::{Channel, ChannelError},
    dashboard::{self, TerminalMode},
    guardian::{self, Guarding},
    recorder::{self, Flushed, Keys, Recorder, Recording},
    spawn,
    worker::{Job, Output},
};
use clean::Kept;
use injector_host::{kernel::clock::boot_ns, privilege};
use injector_spec::error::{Exit, Refusal};
use link::{SupervisorEnd, ToSupervisor};
use notify::{Notify, State};
pub use signals::ENDING;
pub(crate) use signals::Signals;

/// How often the supervisor looks at the clock when nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a worker may take to end after it was asked to.
const END_WITHIN_NS: u64 = 8_000_000_000;

/// How long a process that was killed may take to be gone. One that waits for a file system that stands still is not.
const GONE_WITHIN_NS: u64 = 2_000_000_000;

/// How long the recorder may take to end after everything was printed.
const RECORDER_WITHIN: Duration = Duration::from_millis(500);

/// Starts a worker for the job and stays until it has ended and everything is put back.
pub fn run(job: &Job) -> Result<Exit, Refusal> {
    if !rustix::process::geteuid().is_root() {
        return Err(Refusal::usage(
            "injector loads BPF programs and therefore needs root; run it with sudo.",
        ));
    }
    let signals = Signals::block()?;
    let withheld = privilege::withheld();
    let shielded = privilege::shield_worker();
    // The recorder puts it back itself; this is for one that was killed, or that waits for the terminal still.
    let mode = TerminalMode::of(io::stdin().as_fd());
    let Recording {
        mut process,
        recorder,
        terminal,
    } = recorder::start(match mode {
        Some(_) => Keys::Standard,
        None => Keys::None,
    })?;
    tell::through(terminal);
    let ended = supervise(job, &mut process, recorder, &signals, withheld, shielded);
    // The run is over: from here on this may wait for the reader, as any program does.
    let flushed = printed(&signals);
    tell::hang_up(flushed.as_ref().ok());
    await_end(process);
    if mode.is_some_and(|mode| mode.restore()) {
        dashboard::leave(io::stderr().as_fd());
    }
    let ended = ended?;
    let is_told = flushed.as_ref().is_ok_and(|flushed| flushed.has_result);
    if let (Some(broke), Output::Json, Job::Run { .. }, false) =
        (ended.broke, tell::output(), job, is_told)
    {
        // A program that reads our output gets its document, though the worker died before it could print one.
        tell::json(&Refusal::failed(broke));
    }
    match (ended.exit, flushed) {
        // The reader did not come to it, or the recorder is gone.
        (Exit::Done, Err(_)) => Ok(Exit::Failed),
        (exit, _) => Ok(exit),
    }
}

/// How a worker's end came out.
struct Ended {
    exit: Exit,
    /// What broke it, if it did not end by itself: a report may never have been told.
    broke: Option<String>,
}

/// Starts the other processes and watches them to their end.
fn supervise(
    job: &Job,
    recording: &mut Child,
    recorder: Recorder,
    signals: &Signals,
    mut withheld: Vec<String>,
    shielded: io::Result<()>,
) -> Result<Ended, Refusal> {
    let mut supervisor = start(job, recording, recorder)?;
    if let Err(error) = shielded.and_then(|()| privilege::shield_supervisor()) {
        withheld.push(format!(
            "CAP_SYS_RESOURCE (to lower oom_score_adj: {error}; when memory is short, injector may be ended \
             early, and its faults with it)"
        ));
    }
    if let Err(errno) = privilege::confine_supervisor() {
        withheld.push(format!("giving up of capabilities ({errno})"));
    }
    let withheld = (!withheld.is_empty()).then(|| {
        let withheld = withheld.join("; ");
        format!("injector: this host withholds {withheld}.")
    });
    if matches!(job, Job::Daemon { .. }) {
        // Its end may be far away, and its log has no other place for it.
        withheld.iter().for_each(tell::remark);
    }
    let status = supervisor.watch(signals)?;
    let ended = supervisor.conclude(status);
    if matches!(job, Job::Run { .. }) {
        withheld.iter().for_each(tell::remark);
    }
    Ok(ended)
}

/// Waits for the recorder, which ends when the last process has closed its end, so that nothing is left behind a command.
/// One that waits for a disk goes on without it.
fn await_end(mut recording: Child) {
    let deadline = Instant::now() + RECORDER_WITHIN;
    while matches!(recording.try_wait(), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts the processes that are missing.
fn start<'r>(
    job: &Job,
    recording: &'r mut Child,
    recorder: Recorder,
) -> Result<Supervisor<'r>, Refusal> {
    let failed = |error: ChannelError| {
        Refusal::failed(format!("the worker cannot be started: {error}; try again."))
    };
    let (link, theirs) = link::pair()?;
    let disk = recorder.converse()?;
    let (mut worker, terminal) = worker(&theirs)?;
    drop(theirs);
    let (guarded, end) = Channel::pair()
        .map_err(ChannelError::Broken)
        .map_err(failed)?;
    let guardian = match guardian::start(&worker, &end) {
        Ok(guardian) => guardian,
        Err(refusal) => {
            let _ = worker.kill();
            let _ = worker.wait();
            return Err(refusal);
        }
    };
    link.send_job(job, [&disk, &terminal, &guarded])?;
    Ok(Supervisor {
        link,
        worker,
        guardian,
        recording,
        recorder,
        kept: Kept::default(),
        last_heartbeat: boot_ns(),
        beats: false,
        end_by: None,
        killed_at: None,
        notify: match job {
            Job::Daemon { .. } => Notify::from_environment(),
            // Not the service that a one-shot command may be a part of.
            Job::Run { .. } => Notify::default(),
        },
    })
}

/// Starts the worker, whose last words (a panic) the recorder prints, and opens its way to the terminal.
fn worker(link: &Channel) -> Result<(Child, Channel), Refusal> {
    let failed = |error: io::Error| {
        Refusal::failed(format!("the worker cannot be started: {error}; try again."))
    };
    let told = |error: ChannelError| failed(io::Error::other(error));
    let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
    let (words, pipe) = rustix::pipe::pipe_with(flags).map_err(|errno| failed(errno.into()))?;
    let terminal = tell::terminal(|terminal| {
        terminal.follow(&words)?;
        terminal.converse()
    })
    .map_err(told)?;
    let mut command = spawn::own("worker");
    spawn::leave_open(&mut command, "--link", link);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(pipe));
    let worker = spawn::start(command, spawn::Lifetime::WithParent).map_err(failed)?;
    Ok((worker, terminal))
}

/// Waits until the recorder has printed everything; a signal ends that.
fn printed(signals: &Signals) -> Result<Flushed, ChannelError> {
    tell::terminal(|terminal| {
        terminal.flush()?;
        loop {
            let mut polled = [
                PollFd::new(terminal, PollFlags::IN),
                PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            ];
            // An interrupted wait is a short one.
            let _ = poll(&mut polled, None);
            match terminal.flushed() {
                Err(ChannelError::Late) if signals.next().is_none() => {}
                heard => return heard,
            }
        }
    })
}

struct Supervisor<'r> {
    link: SupervisorEnd,
    worker: Child,
    guardian: Guarding,
    recording: &'r mut Child,
    recorder: Recorder,
    kept: Kept,
    /// When the worker was heard last, on the boot clock.
    last_heartbeat: u64,
    /// Whether it has been heard at all.
    beats: bool,
    /// When a worker that was asked to end is killed.
    end_by: Option<u64>,
    /// When it was killed.
    killed_at: Option<u64>,
    /// Where the daemon's state is told, if anywhere.
    notify: Notify,
}

impl Supervisor<'_> {
    /// Watches the worker until it has ended; `None` where it was killed and the kernel does not let it go.
    fn watch(&mut self, signals: &Signals) -> Result<Option<ExitStatus>, Refusal> {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK_EVERY.subsec_nanos().into(),
        };
        let mut looked_at = boot_ns();
        loop {
            if let Some(status) = self.worker.try_wait().map_err(|error| {
                Refusal::failed(format!("the worker cannot be waited for: {error}."))
            })? {
                return Ok(Some(status));
            }
            let mut polled = [
                PollFd::from_borrowed_fd(self.link.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            ];
            // An interrupted wait is a short one.
            let _ = poll(&mut polled, Some(&timeout));
            let now = boot_ns();
            if now.saturating_sub(looked_at) > LEASE_NS / 2 {
                // We were stopped ourselves; what the worker said meanwhile waits in the socket.
                self.last_heartbeat = now;
            }
            looked_at = now;
            self.hear();
            // Without either of them nothing new may be done: the worker ends its runs, and itself when asked.
            let is_alone =
                !self.guardian.is_alive() || !matches!(self.recording.try_wait(), Ok(None));
            let mut is_asked = is_alone && self.end_by.is_none();
            while signals.next().is_some() {
                is_asked = true;
            }
            if is_asked {
                self.notify.tell(State::Stopping);
                self.ask_to_end();
                self.end_by.get_or_insert(now.saturating_add(END_WITHIN_NS));
            }
            let is_silent = self.beats && now.saturating_sub(self.last_heartbeat) > LEASE_NS;
            if is_silent || self.end_by.is_some_and(|by| now > by) {
                // It may have ended just now; either way it is waited for above.
                let _ = self.worker.kill();
                // One that the kernel does not let go yet undoes nothing either.
                self.guardian.undo_all();
                let killed_at = *self.killed_at.get_or_insert(now);
                if now.saturating_sub(killed_at) > GONE_WITHIN_NS {
                    return Ok(None);
                }
            }
        }
    }

    /// Asks the worker to end in good order.
    fn ask_to_end(&self) {
        if let Some(pid) = Pid::from_raw(self.worker.id().cast_signed()) {
            // The child was not waited for yet, so the PID is its own; it may be dead already.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Takes in what the worker has said.
    fn hear(&mut self) {
        while let Some((message, descriptors)) = self.link.receive() {
            self.last_heartbeat = boot_ns();
            self.beats = true;
            match message {
                ToSupervisor::Heartbeat => {
                    self.notify.tell(State::Alive);
                    continue;
                }
                ToSupervisor::Serving => self.notify.tell(State::Ready),
                ToSupervisor::Journal { path } => self.kept.journal(path, descriptors),
                ToSupervisor::Tap { path } => self.kept.tap(path, descriptors),
                ToSupervisor::Namespace { path } => self.kept.namespace(path, descriptors),
                ToSupervisor::Release { path } => self.kept.release(&path),
            }
            self.link.acknowledge();
        }
    }

    /// Cleans up after a worker that did not, and says how it ended.
    fn conclude(mut self, status: Option<ExitStatus>) -> Ended {
        use std::os::unix::process::ExitStatusExt as _;
        // What it said before it died may still wait: a TAP that it handed over, say.
        self.hear();
        let why = match status.map(|status| (status.signal(), status)) {
            Some((Some(signal), _)) => format!("the worker was ended by signal {signal}"),
            Some((None, _)) => "the worker ended early".to_owned(),
            None => {
                "the worker was killed and is not gone, since it waits for a file system".to_owned()
            }
        };
        // The guardian has no worker to watch any more, and has undone everything when it is gone.
        self.guardian.wait();
        let is_clean = self.kept.is_empty();
        let why = if self.replace_recorder() {
            "the process that writes the journal (injector record) has ended".to_owned()
        } else {
            why
        };
        let mut broke = self.kept.clean_up(&why, &self.recorder);
        for line in &broke {
            tell::aside(format!("injector: {line}"));
        }
        let settled = self.recorder.settle();
        if let Err(refusal) = &settled {
            tell::aside(format!(
                "injector: the record of the run is not on disk yet: {refusal}"
            ));
        }
        let code = status.and_then(|status| status.code());
        let exit = code
            .and_then(|code| u8::try_from(code).ok())
            .and_then(|code| Exit::try_from(code).ok());
        match exit {
            Some(Exit::Done) if settled.is_err() => Ended {
                exit: Exit::Failed,
                broke: None,
            },
            Some(exit) if is_clean => Ended { exit, broke: None },
            _ => {
                if is_clean {
                    let line = format!("{why} before it armed anything.");
                    tell::aside(format!("injector: {line}"));
                    broke.push(line);
                }
                Ended {
                    exit: Exit::Failed,
                    broke: Some(broke.join(" ")),
                }
            }
        }
    }

    /// Starts another recorder where the first has died, for the journals that were not closed. The worker is gone, so
    /// nothing depends on it. Says whether it did.
    fn replace_recorder(&mut self) -> bool {
        if matches!(self.recording.try_wait(), Ok(None)) {
            return false;
        }
        // Nothing fires any more, so there is nothing to halt by a key.
        if let Ok(another) = recorder::start(Keys::None) {
            *self.recording = another.process;
            self.recorder = another.recorder;
            tell::through(another.terminal);
        }
        true
    }
}
