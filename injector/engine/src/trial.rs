//! One run in a process of its own, for a command that makes several: it gives up no privilege by that, and each run
//! has a supervisor, as any other has.
//!
//! The process is this program again, and gets what is asked as JSON on its standard input ([`Asked`]). It prints what
//! `injector run --json` does. It dies with the command, and its faults end as with the death of any supervisor; a
//! signal that would end the command ends the run in good order first.
//!
//! Rejected: a run after the other in one process. A supervisor gives up its capabilities for good.

use std::{
    io::{self, Read, Write as _},
    os::fd::AsFd as _,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde::{Deserialize, Serialize};

use crate::{spawn, supervisor::Signals};
use injector_plan::policy::Override;
use injector_record::trials::Trial;
use injector_spec::{config::Source, error::Refusal, experiment::Experiment};

/// The hidden command.
pub const COMMAND: &str = "trial";

/// How often the caller is told that time goes on.
const TICK: Duration = Duration::from_millis(100);

/// The most bytes of a report that are read: a run of as many faults as there can be has fewer.
const LARGEST: u64 = 64 << 20;

/// What a run is asked for with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What is run.
    pub experiment: Experiment,
    /// Which limits of this host are lifted for it.
    pub overrides: Vec<Override>,
}

/// Whether more runs may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// They may.
    GoOn,
    /// The command got a signal that would end it.
    End,
}

/// Makes runs, one after the other.
pub struct Trials {
    signals: Signals,
    wish: Wish,
}

impl Trials {
    /// From here on a signal that would end the command ends its run in good order.
    pub fn begin() -> Result<Self, Refusal> {
        Ok(Self {
            signals: Signals::block()?,
            wish: Wish::GoOn,
        })
    }

    /// Whether more runs may follow.
    pub fn wish(&mut self) -> Wish {
        while self.signals.next().is_some() {
            self.wish = Wish::End;
        }
        self.wish
    }

    /// Makes a run and waits for its end; one that could not be made is refused. `tick` is called some times a second.
    pub fn run(&mut self, asked: &Asked, config: &Source, tick: &mut dyn FnMut()) -> Trial {
        self.told(asked, config, tick)
            .unwrap_or_else(|error| Trial::Refused(broke(&error)))
    }

    fn told(
        &mut self,
        asked: &Asked,
        config: &Source,
        tick: &mut dyn FnMut(),
    ) -> io::Result<Trial> {
        let mut command = spawn::own(COMMAND);
        command.arg("--json");
        if let Source::Named(file) = config {
            command.arg("--config").arg(file);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn::start(command, spawn::Lifetime::WithParent)?;
        let said = child.stdout.take().map(read);
        if let Some(stderr) = child.stderr.take() {
            // Its thread ends with the process.
            drain(stderr);
        }
        let handed = child.stdin.take().map(|stdin| hand_over(stdin, asked));
        self.wait(&mut child, tick)?;
        let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
        serde_json::from_slice(&said).or_else(|error| {
            // A process that ended before it read what is asked has said why, if it could.
            handed.transpose()?;
            Err(io::Error::other(error))
        })
    }

    /// Waits for the end of the process, and passes on each signal that asks for one.
    fn wait(&mut self, child: &mut Child, tick: &mut dyn FnMut()) -> io::Result<()> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("its PID is no PID"))?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: TICK.subsec_nanos().into(),
        };
        while child.try_wait()?.is_none() {
            let mut polled = [
                PollFd::new(&process, PollFlags::IN),
                PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            ];
            // An interrupted wait is a short one.
            let _ = poll(&mut polled, Some(&timeout));
            while self.signals.next().is_some() {
                self.wish = Wish::End;
                // The process is our child and was not waited for, so the PID is its own.
                let _ = kill_process(pid, Signal::INT);
            }
            tick();
        }
        Ok(())
    }
}

/// Writes what is asked, which the process reads before it does anything else.
fn hand_over(mut stdin: ChildStdin, asked: &Asked) -> io::Result<()> {
    stdin.write_all(&serde_json::to_vec(asked)?)
}

fn read(stdout: ChildStdout) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut said = Vec::new();
        // What came before an error is no document, which is told.
        let _ = stdout.take(LARGEST).read_to_end(&mut said);
        said
    })
}

/// To the end, so that the run never waits for a reader. The journal has what it says.
fn drain(mut stderr: ChildStderr) {
    thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
}

fn broke(error: &io::Error) -> Refusal {
    Refusal::failed(format!(
        "a run broke off without a report: {error}; `injector list` says how, and `injector sweep` puts back \
         what it has left"
    ))
}
