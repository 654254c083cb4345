//! The supervisor: a small process that starts the worker and outlives it.
//!
//! Every command that arms is a supervisor, and its first child is the worker, which does all the work.
//! The supervisor holds copies of what must not vanish with the worker (TAPs, journals, namespaces), listens
//! for its breath, kills it when it stops breathing, and restores host settings when it dies. It has
//! no runtime, no BPF and nothing that could hang.
//!
//! Order when the worker dies: its links are gone with it, so nothing is redirected any more; then the
//! TAPs are closed; then host settings are restored; then the journal says so.
//!
//! Rejected: doing the work in the process that the person started, with a helper that cleans up. A
//! helper is killed first by the same mistake, and the person's shell would hold the wrong process.

pub(crate) mod clean;
pub mod link;
mod notify;
mod signals;
mod spawn;

use std::{
    os::fd::{AsFd, OwnedFd},
    process::{Child, ExitStatus},
    time::Duration,
};

use injector_common::lease::LEASE_NS;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    cli::tell,
    error::{Exit, Refusal},
    kernel::clock::boot_ns,
    privilege,
    sweep::{self, Sweeping},
    worker::Job,
};
use clean::Kept;
use link::{SupervisorEnd, ToSupervisor};
use notify::{Notify, State};
use signals::Signals;

/// How often the supervisor looks at the clock when nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a worker may take to end after it was asked to.
const END_WITHIN_NS: u64 = 8_000_000_000;

/// Starts a worker for the job and stays until it has ended and everything is put back.
pub fn run(job: &Job) -> Result<Exit, Refusal> {
    if !rustix::process::geteuid().is_root() {
        return Err(Refusal::usage(
            "injector loads BPF programs and therefore needs root; run it with sudo.",
        ));
    }
    for left in sweep::bury_dead_runs(Sweeping::Remove)? {
        tell::aside(format!("injector: {left}."));
    }
    let signals = Signals::block()?;
    let (ours, theirs) = link::pair()?;
    let mut worker = spawn_and_confine(theirs)?;
    ours.send_job(job)?;
    let mut supervisor = Supervisor {
        link: ours,
        kept: Kept::default(),
        last_breath: boot_ns(),
        breathes: false,
        end_by: None,
        notify: match job {
            Job::Daemon { .. } => Notify::from_environment(),
            // Not the service that a one-shot command may be a part of.
            Job::Run { .. } => Notify::default(),
        },
    };
    let status = supervisor.watch(&mut worker, &signals)?;
    supervisor.hear_rest();
    Ok(supervisor.conclude(status))
}

/// Starts the worker, spared when memory is short, and then gives up what only the worker needs. What the
/// host withholds is told and does not stop the run: what needs it is refused there.
fn spawn_and_confine(link: OwnedFd) -> Result<Child, Refusal> {
    let mut withheld = privilege::withheld();
    let shielded = privilege::shield_worker();
    let worker = spawn::worker(link)?;
    if let Err(error) = shielded.and_then(|()| privilege::shield_supervisor()) {
        withheld.push(format!(
            "CAP_SYS_RESOURCE (to lower oom_score_adj: {error}; when memory is short, injector may be ended \
             early, and its faults with it)"
        ));
    }
    if let Err(errno) = privilege::confine_supervisor() {
        withheld.push(format!("giving up of capabilities ({errno})"));
    }
    if !withheld.is_empty() {
        let withheld = withheld.join("; ");
        tell::aside(format!("injector: this host withholds {withheld}."));
    }
    Ok(worker)
}

struct Supervisor {
    link: SupervisorEnd,
    kept: Kept,
    /// When the worker was heard last, on the boot clock.
    last_breath: u64,
    /// Whether it has been heard at all.
    breathes: bool,
    /// When a worker that was asked to end is killed.
    end_by: Option<u64>,
    /// Where the daemon's state is told, if anywhere.
    notify: Notify,
}

impl Supervisor {
    /// Watches the worker until it has ended.
    fn watch(&mut self, worker: &mut Child, signals: &Signals) -> Result<ExitStatus, Refusal> {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK_EVERY.subsec_nanos().into(),
        };
        let mut looked_at = boot_ns();
        loop {
            if let Some(status) = worker.try_wait().map_err(|error| {
                Refusal::failed(format!("the worker cannot be waited for: {error}."))
            })? {
                return Ok(status);
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
                self.last_breath = now;
            }
            looked_at = now;
            self.hear();
            while signals.next().is_some() {
                self.notify.tell(State::Stopping);
                spawn::ask_to_end(worker);
                self.end_by.get_or_insert(now.saturating_add(END_WITHIN_NS));
            }
            let is_silent = self.breathes && now.saturating_sub(self.last_breath) > LEASE_NS;
            if is_silent || self.end_by.is_some_and(|by| now > by) {
                // It may have ended just now; either way it is waited for above.
                let _ = worker.kill();
            }
        }
    }

    /// Takes in what the worker has said.
    fn hear(&mut self) {
        while let Some((message, descriptors)) = self.link.receive() {
            self.last_breath = boot_ns();
            self.breathes = true;
            match message {
                ToSupervisor::Breath => {
                    self.notify.tell(State::Alive);
                    continue;
                }
                ToSupervisor::Serving => self.notify.tell(State::Ready),
                ToSupervisor::Journal { path } => self.kept.journal(path, descriptors),
                ToSupervisor::Tap { path, netns_inode } => {
                    self.kept.tap(path, netns_inode, descriptors);
                }
                ToSupervisor::Namespace { path, netns_inode } => {
                    self.kept.namespace(path, netns_inode, descriptors);
                }
                ToSupervisor::Release { path } => self.kept.release(&path),
            }
            self.link.acknowledge();
        }
    }

    /// What a worker said before it died may still wait: a TAP that it handed over, say.
    fn hear_rest(&mut self) {
        self.hear();
    }

    /// Cleans up after a worker that did not, and says how it ended.
    fn conclude(self, status: ExitStatus) -> Exit {
        use std::os::unix::process::ExitStatusExt as _;
        let why = match status.signal() {
            Some(signal) => format!("the worker was ended by signal {signal}"),
            None => "the worker ended early".to_owned(),
        };
        let is_clean = self.kept.is_empty();
        for line in self.kept.clean_up(&why) {
            tell::aside(format!("injector: {line}"));
        }
        match status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map(Exit::try_from)
        {
            Some(Ok(exit)) if is_clean => exit,
            _ => {
                if is_clean {
                    tell::aside(format!("injector: {why} before it armed anything."));
                }
                Exit::Failed
            }
        }
    }
}
