//! The injector under test: started, waited for, and ended in every way that a user or fate can.

mod companions;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use crate::binaries;
use crate::eventually::eventually;
use crate::lack::Lack;
use crate::place::Place;

pub use companions::{Companion, page_holder, relay};

/// The issue asks for 1 s; a busy machine may take longer, and the bench measures it.
const ARMING: Duration = Duration::from_secs(40);
/// How long a command may take to end once it has been told to.
const ENDING: Duration = Duration::from_secs(10);

/// What the tests' own host allows: the daemon on everything, and the limits that are usual.
const CONFIG: &str = "[daemon]\nenabled = true\nallow = [\"/\"]\n";

/// The binary, with a journal, a socket and a configuration of its own.
#[derive(Debug)]
pub struct Injector {
    binary: PathBuf,
    state: TempDir,
    withheld: Option<&'static str>,
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; absent where a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

/// The object that `--json` prints at the end of a run.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Id of the run.
    pub run: String,
    /// `completed`, `stopped`, `halted` or `failed`.
    pub outcome: String,
    /// How long the faults were there.
    pub armed_for_ms: u64,
    /// One for each fault of the run.
    pub faults: Vec<FaultReport>,
    /// What else is to be known of the run, as calls that no program was asked about.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// What could not be undone.
    pub undo_errors: Vec<String>,
}

/// What one fault met.
#[derive(Clone, Debug, Deserialize)]
pub struct FaultReport {
    /// Its kind, `net.delay`.
    pub fault: String,
    /// What brought it about.
    pub mechanism: String,
    /// Packets or calls of the target.
    pub seen: u64,
    /// Those that passed the filters.
    pub matched: u64,
    /// Those that the fault acted on.
    pub hit: u64,
    /// Those that were chosen and could not be acted on.
    #[serde(default)]
    pub missed: u64,
    /// The connections that were hit.
    #[serde(default)]
    pub connections: Vec<Connection>,
    /// What the target did about requests that were hit, as JSON.
    #[serde(default)]
    pub reaction: serde_json::Value,
    /// What the target did about plug-ins that were hit, as JSON.
    #[serde(default)]
    pub plugins: serde_json::Value,
    /// A remark, as that the target never met the fault.
    pub note: Option<String>,
}

/// A connection that was reset, as it was the moment before.
#[derive(Clone, Debug, Deserialize)]
pub struct Connection {
    /// The far end.
    pub remote: SocketAddr,
    /// `busy` or `idle`.
    pub state: String,
}

/// One line of `run --json` on standard error.
#[derive(Clone, Debug, Deserialize)]
pub struct Progress {
    /// `armed`, `step_started`, `step_ended` or `ended`.
    pub event: String,
    /// The step, where the event is one of a step.
    pub step: Option<String>,
    /// When, on the boot clock.
    pub boot_ns: u64,
}

impl Finished {
    /// The report on standard output.
    pub fn report(&self) -> Result<Report> {
        let start = self
            .stdout
            .find('{')
            .with_context(|| format!("no report in {self:?}"))?;
        serde_json::from_str(&self.stdout[start..])
            .with_context(|| format!("not a report: {:?}", self.stdout))
    }
}

impl Injector {
    /// The binary of `INJECTOR_BIN` or of this build.
    pub fn new() -> Result<Self> {
        Self::configured(CONFIG)
    }

    /// The same on a host that allows what this configuration says.
    pub fn configured(text: &str) -> Result<Self> {
        let injector = Self {
            binary: binaries::injector()?,
            state: tempfile::tempdir().context("cannot make a folder for the journal")?,
            withheld: None,
        };
        injector.configure(text)?;
        Ok(injector)
    }

    /// The same on a host whose kernel has not what `injector doctor` calls so; builds for release take no notice.
    #[must_use]
    pub const fn without(mut self, capability: &'static str) -> Self {
        self.withheld = Some(capability);
        self
    }

    /// The same with the binary at this path, which may be replaced meanwhile.
    #[must_use]
    pub fn installed(mut self, binary: &Path) -> Self {
        binary.clone_into(&mut self.binary);
        self
    }

    /// Changes what the host allows; the next run reads it.
    pub fn configure(&self, text: &str) -> Result<()> {
        let path = self.config();
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn config(&self) -> PathBuf {
        self.state.path().join("injector.toml")
    }

    /// Its own folder: configuration, socket, journals.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// The folder of its journals.
    pub fn runs(&self) -> PathBuf {
        self.state.path().join("runs")
    }

    /// A command with these arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env("INJECTOR_STATE_DIR", self.runs())
            .env("INJECTOR_SOCKET", self.state.path().join("injector.sock"))
            .env("INJECTOR_CONFIG", self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.envs(self.withheld.map(|it| ("INJECTOR_WITHHOLD", it)));
        command
    }

    /// Runs a command that ends by itself.
    pub fn once(&self, arguments: &[&str]) -> Result<Finished> {
        Running::spawn(self.command(arguments))?.wait()
    }

    /// Starts a command that arms and waits until it has.
    pub fn arm(&self, arguments: &[&str]) -> Result<Running> {
        let mut running = Running::spawn(self.command(arguments))?;
        running.wait_until_armed()?;
        Ok(running)
    }

    /// Starts a command and does not wait for anything.
    pub fn start_here(&self, arguments: &[&str]) -> Result<Running> {
        Running::spawn(self.command(arguments))
    }

    /// Starts the daemon and waits until its socket takes connections.
    pub fn start_daemon(&self) -> Result<Running> {
        let daemon = self.start_here(&["daemon"])?;
        let socket = self.state().join("injector.sock");
        eventually("the daemon's socket", ARMING, || {
            Ok(UnixStream::connect(&socket).ok())
        })?;
        Ok(daemon)
    }

    /// Starts a command in a place of its own and does not wait for anything.
    pub fn start(&self, place: Place<'_>, arguments: &[&str]) -> Result<Running> {
        let mut command = self.command(arguments);
        place.settle(&mut command)?;
        Running::spawn(command)
    }
}

/// A command that runs; stopped when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Receiver<String>,
    /// Lines of standard error that were taken from the channel.
    told: Vec<String>,
}

impl Running {
    /// Starts a command that a test has changed, and does not wait for anything.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut stdout = child.stdout.take().context("no standard output")?;
        let errors = child.stderr.take().context("no standard error")?;
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            // What is not UTF-8 is missing then, and its test fails.
            let _length = stdout.read_to_string(&mut text);
            text
        });
        let (sender, stderr) = channel();
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            stdout: Some(stdout),
            stderr,
            told: Vec::new(),
        })
    }

    /// Process id of the supervisor.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self
            .child
            .try_wait()
            .context("cannot wait for the injector")?
            .is_none())
    }

    /// Waits for the line or the event that says that the faults are there. The error is a [`Lack`]
    /// where the injector refused because the host cannot do it.
    pub fn wait_until_armed(&mut self) -> Result<()> {
        let deadline = Instant::now() + ARMING;
        while let Some(line) = self.next_line(deadline) {
            let event = serde_json::from_str::<Progress>(&line).ok();
            if line.starts_with("armed ") || event.is_some_and(|event| event.event == "armed") {
                let _earlier = Lack::take_last();
                return Ok(());
            }
        }
        let said = self.told.join("\n");
        if let Some(lack) = Lack::find(self.code_of_an_ended(), &said) {
            bail!(lack);
        }
        bail!("the injector was not armed within {ARMING:?}; its standard error: {said:?}")
    }

    /// The exit code, where it has ended or is about to: it has closed its standard error by then.
    fn code_of_an_ended(&mut self) -> Option<i32> {
        let ended = eventually("the injector to end", Duration::from_secs(1), || {
            self.child
                .try_wait()
                .context("cannot wait for the injector")
        });
        ended.ok().and_then(|status: ExitStatus| status.code())
    }

    /// The next event of a run, until `deadline` or the end.
    pub fn next_event(&mut self, deadline: Instant) -> Option<Progress> {
        while let Some(line) = self.next_line(deadline) {
            if let Ok(event) = serde_json::from_str(&line) {
                return Some(event);
            }
        }
        None
    }

    fn next_line(&mut self, deadline: Instant) -> Option<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.stderr.recv_timeout(left) {
            Ok(line) => {
                Lack::overhear(&line);
                self.told.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Sends the supervisor a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.child.id(), signal)
    }

    /// The worker's process id.
    pub fn worker(&self) -> Result<u32> {
        self.companion(Companion::Worker)
    }

    /// The process id of one of the processes that the supervisor has started.
    pub fn companion(&self, which: Companion) -> Result<u32> {
        which.of(self.child.id())
    }

    /// Kills all of injector's processes at once: none sees another's death.
    pub fn kill_all(&self) -> Result<()> {
        let others = [Companion::Guardian, Companion::Recorder, Companion::Worker];
        let others = others.map(|which| self.companion(which));
        self.signal(Signal::STOP)?;
        let others = others.into_iter().collect::<Result<Vec<_>>>()?;
        for pid in &others {
            send(*pid, Signal::STOP)?;
        }
        for pid in others.iter().chain([&self.child.id()]) {
            send(*pid, Signal::KILL)?;
        }
        eventually("injector's processes to be gone", ENDING, || {
            let is_there = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
            Ok((!others.iter().any(is_there)).then_some(()))
        })
    }

    /// Sends the worker a signal.
    pub fn signal_worker(&self, signal: Signal) -> Result<()> {
        send(self.worker()?, signal)
    }

    /// Ctrl-C, then the end.
    pub fn interrupt(self) -> Result<Finished> {
        self.signal(Signal::INT)?;
        self.wait_within(ENDING)
    }

    /// Ctrl-C, then the report; the command must end well.
    pub fn report(self) -> Result<Report> {
        let finished = self.interrupt()?;
        ensure!(
            finished.code == Some(0),
            "the injector did not end well: {finished:?}"
        );
        let report = finished.report()?;
        ensure!(
            report.undo_errors.is_empty(),
            "not undone: {:?}",
            report.undo_errors
        );
        Ok(report)
    }

    /// Waits for an end that comes by itself.
    pub fn wait(self) -> Result<Finished> {
        self.wait_within(Duration::from_mins(1))
    }

    /// Waits for the end.
    pub fn wait_within(mut self, within: Duration) -> Result<Finished> {
        let status: ExitStatus = eventually("the injector to end", within, || {
            self.child
                .try_wait()
                .context("cannot wait for the injector")
        })?;
        let stdout = match self.stdout.take() {
            Some(reader) => reader
                .join()
                .map_err(|_panic| anyhow!("the reader of standard output panicked"))?,
            None => String::new(),
        };
        while self
            .next_line(Instant::now() + Duration::from_secs(1))
            .is_some()
        {}
        let stderr = self.told.join("\n");
        // A suite tells on standard output why it could not run what it was asked for.
        Lack::hear_the_end(status.code(), [&stdout, &stderr]);
        Ok(Finished {
            code: status.code(),
            stdout,
            stderr,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_ended))) {
            return;
        }
        let _gone_already = self.signal(Signal::INT);
        let ended = eventually("the injector to end", Duration::from_secs(3), || {
            Ok(self.child.try_wait()?)
        });
        if ended.is_err() {
            let _gone_already = self.signal_worker(Signal::KILL);
            let _gone_already = self.child.kill();
            let _status = self.child.wait();
        }
    }
}

/// Sends a process a signal.
pub fn send(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("not a process id")?;
    kill_process(pid, signal).with_context(|| format!("cannot signal process {pid:?}"))
}
